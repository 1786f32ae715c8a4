"""The control lease: at most one host doses, for a time it asked for; others may watch, and may STOP."""

from __future__ import annotations

from construct import Int32ul, Int64ul, Struct

from protocol.messages.sizes import text
from protocol.registry import Message, reply, request

HOLDER_BYTES = 24


@request(0x23, Struct("lease_id" / Int64ul, "duration_ms" / Int32ul, "holder" / text(HOLDER_BYTES)))
class LeaseRequest(Message, frozen=True):
    """Asks for the lease, with `lease_id` 0, or to renew the one that is held, from now on for `duration_ms`.

    `holder` says for people who holds it. The lease belongs to the `lease_id`, not to the session: a host that
    opens a new session renews its lease before it doses.
    """

    lease_id: int
    duration_ms: int
    holder: str


@request(0x26, Struct())
class LeaseStatusRequest(Message, frozen=True):
    """Asks who holds the lease."""


@reply(
    0xA3,
    Struct("lease_id" / Int64ul, "remaining_ms" / Int32ul, "holder" / text(HOLDER_BYTES)),
    to=[LeaseRequest, LeaseStatusRequest],
)
class Lease(Message, frozen=True):
    """The lease as it is: `remaining_ms` 0 says that nobody holds it.

    `lease_id` is 0 for all but the session that holds the lease.
    """

    lease_id: int
    remaining_ms: int
    holder: str


@request(0x27, Struct("lease_id" / Int64ul))
class LeaseRelease(Message, frozen=True):
    """Gives the lease back; what runs goes on, and no longer depends on it."""

    lease_id: int
