"""The control lease: at most one session doses, for a time it asked for; then what must not outlive it is stopped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from firmware_mock.firmware.nvram import Nvram
from firmware_mock.firmware.refusals import RefusedRequest
from firmware_mock.firmware.therapy import Therapy
from firmware_mock.firmware.tokens import Tokens
from firmware_mock.world import Event, World
from protocol import Ack, EventCode, Lease, LeaseRelease, LeaseRequest, LeaseStatusRequest, NakReason

SHORTEST_MS = 1_000
LONGEST_MS = 24 * 3_600_000
_NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class _Held:
    lease_id: int
    session: int
    holder: str
    expires_ns: int
    end: Event


class ControlLease:
    """The lease belongs to its id; `session` counts HELLOs, and is the only one that may dose under it.

    Its time is real time, as that of the tokens: it scales with a served world's speed.
    """

    def __init__(
        self, world: World, nvram: Nvram, therapy: Therapy, tokens: Tokens, announce: Callable[[EventCode, int], None]
    ) -> None:
        self._world = world
        self._nvram = nvram
        self._therapy = therapy
        self._tokens = tokens
        self._announce = announce
        self._ids = world.stream("pump.lease")
        self._session = 0
        self._held: _Held | None = None

    @property
    def is_held(self) -> bool:
        """Whether anybody holds it."""
        return self._held is not None

    def begin_session(self) -> None:
        """A HELLO came: whoever speaks now has to renew the lease before it is theirs again."""
        self._session += 1

    def check(self) -> None:
        """
        Raises:
            RefusedRequest: another session holds the lease.
        """
        if self._held is not None and self._held.session != self._session:
            raise self._refusal(self._held)

    def ask(self, request: LeaseRequest) -> Lease:
        """Answer a LeaseRequest: grant the lease, or renew it from now on.

        Raises:
            RefusedRequest: it is held under another id, the id is no longer in force, or the duration is out of range.
        """
        if request.duration_ms < SHORTEST_MS:
            raise RefusedRequest(NakReason.OUT_OF_RANGE, f"duration_ms below the limit {SHORTEST_MS} ms")
        if request.duration_ms > LONGEST_MS:
            raise RefusedRequest(NakReason.OUT_OF_RANGE, f"duration_ms above the limit {LONGEST_MS} ms")
        held = self._held
        if held is None and request.lease_id != 0:
            raise self._no_such_lease()
        if held is not None and request.lease_id != held.lease_id:
            raise self._refusal(held)
        lease_id = request.lease_id or self._ids.getrandbits(63) + 1
        self._hold(lease_id, request)
        if held is None:
            self._nvram.write(replace(self._nvram.memory, leased=True))
            self._announce(EventCode.LEASE_GRANTED, 0)
        return self._lease()

    def status(self, _: LeaseStatusRequest) -> Lease:
        """Answer a LeaseStatusRequest."""
        return self._lease()

    def release(self, request: LeaseRelease) -> Ack:
        """Answer a LeaseRelease: what runs goes on and no longer depends on the lease; a waiting token dies with it.

        Raises:
            RefusedRequest: the id is not that of the lease.
        """
        held = self._held
        if held is None:
            raise self._no_such_lease()
        if request.lease_id != held.lease_id:
            raise self._refusal(held)
        self.end()
        self._tokens.kill()
        self._therapy.outlive_lease()
        self._announce(EventCode.LEASE_RELEASED, 0)
        return Ack()

    def end(self) -> None:
        """Nobody holds the lease, without any consequences."""
        if self._held is not None:
            self._held.end.cancel()
            self._held = None

    def reset(self) -> None:
        """After a reset: the lease is over as if it had run out."""
        self.end()
        if self._nvram.memory.leased:
            self._run_out()

    def _hold(self, lease_id: int, request: LeaseRequest) -> None:
        self.end()
        duration_ns = round(request.duration_ms * _NS_PER_MS * self._world.served_speed)
        expires_ns = self._world.now_ns + duration_ns
        end = self._world.at(expires_ns, self._nvram.guarded(self._run_out))
        self._held = _Held(lease_id, self._session, request.holder, expires_ns, end)

    def _run_out(self) -> None:
        self._held = None
        self._tokens.kill()
        self._announce(EventCode.LEASE_EXPIRED, 0)
        self._therapy.lose_lease()

    def _lease(self) -> Lease:
        held = self._held
        if held is None:
            return Lease(0, 0, "")
        return Lease(held.lease_id if held.session == self._session else 0, self._remaining_ms(held), held.holder)

    def _remaining_ms(self, held: _Held) -> int:
        """Rounded up, so that a lease that is held never seems to be over."""
        link_ns = round((held.expires_ns - self._world.now_ns) / self._world.served_speed)
        return max(1, -(-link_ns // _NS_PER_MS))

    def _refusal(self, held: _Held) -> RefusedRequest:
        seconds = -(-self._remaining_ms(held) // 1000)
        return RefusedRequest(NakReason.LEASE_HELD, f"held by {held.holder or '(no name)'} for {seconds} s")

    def _no_such_lease(self) -> RefusedRequest:
        return RefusedRequest(NakReason.NO_LEASE, "nobody holds the lease; ask with lease_id 0")
