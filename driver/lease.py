"""The control lease: taken for a time, renewed while the driver waits, given back on leaving."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from driver.clock import Clock
from driver.errors import LeaseHeld, LinkError, NakError, NoLease, ReplyInvalid, TransportError
from driver.link import Link
from protocol import Ack, Lease, LeaseRelease, LeaseRequest, LeaseStatusRequest, NakReason
from protocol.messages import HOLDER_BYTES

SHORTEST_S = 1.0
LONGEST_S = 86_400.0
RENEWED_AFTER = 1.0 / 3.0
RETRY_AFTER = 1.0 / 12.0

_NOT_OURS = (NakReason.NO_LEASE, NakReason.LEASE_HELD)


class ControlLease:
    """One pump's lease as this host holds it; as a context manager it is released on leaving.

    Left by an exception it is kept, so that what depends on it still stops when it runs out; the pump gives it back on
    leaving, once it is stopped.

    Time runs on the I/O clock, from the sending of the request that was granted: never later than the pump's own.
    """

    def __init__(self, link: Link, clock: Clock) -> None:
        self._link = link
        self._clock = clock
        self._id = 0
        self._holder = ""
        self._duration_s = 0.0
        self._renewal_s = self._end_s = float("-inf")
        self._session = link.sessions
        self._why_not = "none was taken"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.release()

    @property
    def lease_id(self) -> int:
        """What renews it, from another session too; 0 while none is held."""
        return self._id if self.is_held else 0

    @property
    def is_held(self) -> bool:
        """Whether it was granted, has not run out, and was not lost."""
        return self._id != 0 and self._clock.monotonic() < self._end_s

    @property
    def renewal_in_s(self) -> float:
        """I/O seconds until `keep` has something to do; infinite while no lease is held."""
        return max(0.0, self._renewal_s - self._clock.monotonic()) if self._id else float("inf")

    def take(self, duration_s: float, holder: str, lease_id: int) -> None:
        """Ask for the lease, or renew the one with `lease_id`.

        Raises:
            ValueError: the duration is not 1 s to 24 h, or the holder is no name of at most 24 bytes.
            LeaseHeld: another host holds it.
            ReplyInvalid: what the pump granted is no lease.
            LinkError, TransportError: the pump refused or did not answer.
        """
        if not SHORTEST_S <= duration_s <= LONGEST_S:
            raise ValueError(f"a control lease lasts {SHORTEST_S:g} s to {LONGEST_S:g} s, not {duration_s} s")
        if not holder.strip() or len(holder.encode()) > HOLDER_BYTES:
            raise ValueError(f"a lease's holder is a name of at most {HOLDER_BYTES} bytes, not {holder!r}")
        with holder_named(self._link):
            try:
                self._renew_or_ask(lease_id, duration_s, holder)
            except NakError as refusal:
                ours = self._granted_unheard(refusal)
                if not ours:
                    raise
                self._ask(ours, duration_s, holder)

    def keep(self) -> None:
        """Renew it if a third of it is used up, or the link is in another session.

        That it is lost is kept for `require`; other failures are tried again.

        Raises:
            PortLost: the port is gone.
        """
        is_due = self._session != self._link.sessions or self._clock.monotonic() >= self._renewal_s
        if self._id == 0 or not is_due:
            return
        if not self.is_held:
            self.lose("it ran out before it could be renewed")
            return
        try:
            self._ask(self._id, self._duration_s, self._holder)
        except LinkError as error:
            if isinstance(error, NakError) and error.reason in _NOT_OURS:
                self.lose(error.finding)
            else:
                self._renewal_s = self._clock.monotonic() + RETRY_AFTER * self._duration_s

    def lose(self, why: str) -> None:
        """Note that the lease is gone."""
        if self._id:
            self._id = 0
            self._why_not = why

    def require(self) -> None:
        """
        Raises:
            NoLease: none is held.
        """
        if self._id and not self.is_held:
            self.lose("it ran out before it could be renewed")
        if not self.is_held:
            raise NoLease(
                self._link.port,
                f"a therapy that stops when the control lease is lost needs one ({self._why_not}); take it with "
                "Pump.take_control(duration_s, holder=…) first",
            )

    def require_not_lost(self) -> None:
        """
        Raises:
            NoLease: a lease was taken here and lost since; said once.
        """
        if self._id and not self.is_held:
            self.lose("it ran out before it could be renewed")
        if self._id == 0 and self._holder:
            self._holder = ""
            raise NoLease(
                self._link.port,
                f"the control lease is lost ({self._why_not}); what was to stop with it stops. Take it again "
                "with Pump.take_control(duration_s, holder=…)",
            )

    def release(self) -> None:
        """Give it back; what runs goes on and no longer depends on it. Without one nothing is sent.

        Raises:
            LinkError, TransportError: the pump did not answer; the lease runs out by itself.
        """
        id_, self._id, self._holder = self._id, 0, ""
        self._why_not = "it was released"
        if id_ == 0:
            return
        try:
            self._link.request(LeaseRelease(id_), Ack)
        except NakError as refusal:
            if refusal.reason not in _NOT_OURS:
                raise

    def release_on_leaving(self) -> None:
        """Give it back as far as the pump can be reached; else it runs out by itself."""
        with contextlib.suppress(LinkError, TransportError):
            self.release()

    def _renew_or_ask(self, lease_id: int, duration_s: float, holder: str) -> None:
        """Renew the lease with an id, else ours; where the pump does not know ours any more, ask for a new one."""
        try:
            self._ask(lease_id or self.lease_id, duration_s, holder)
        except NakError as refusal:
            if lease_id or not self._id or refusal.reason != NakReason.NO_LEASE:
                raise
            self.lose(refusal.finding)
            self._ask(0, duration_s, holder)

    def _ask(self, lease_id: int, duration_s: float, holder: str) -> None:
        asked_s = self._clock.monotonic()
        lease = self._link.request(LeaseRequest(lease_id, round(duration_s * 1000.0), holder), Lease)
        if lease.lease_id == 0 or lease.remaining_ms == 0:
            raise ReplyInvalid(self._link.port, "the pump grants the control lease without an id or for no time at all")
        self._id, self._duration_s, self._holder = lease.lease_id, duration_s, holder
        self._session = self._link.sessions
        self._end_s = asked_s + lease.remaining_ms / 1000.0
        self._renewal_s = asked_s + RENEWED_AFTER * lease.remaining_ms / 1000.0

    def _granted_unheard(self, refusal: NakError) -> int:
        """The id of a lease that this session was granted by a reply that got lost; the pump tells it nobody else."""
        if refusal.reason != NakReason.LEASE_HELD:
            return 0
        with contextlib.suppress(LinkError, TransportError):
            return self._link.request(LeaseStatusRequest(), Lease).lease_id
        return 0


@contextlib.contextmanager
def holder_named(link: Link) -> Iterator[None]:
    """A refusal because of the lease becomes `LeaseHeld`, which names who holds it and for how long.

    Raises:
        LeaseHeld: another host holds the control lease.
    """
    try:
        yield
    except NakError as refusal:
        if refusal.reason != NakReason.LEASE_HELD:
            raise
        holder, remaining_s = "", None
        with contextlib.suppress(LinkError, TransportError):
            lease = link.request(LeaseStatusRequest(), Lease)
            holder, remaining_s = lease.holder, lease.remaining_ms / 1000.0
        raise LeaseHeld(refusal, holder, remaining_s) from refusal
