"""What may stand in the way of STOP, and a COMMIT that comes late: done to a host by its disk and its transport."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from bench.campaign.claims import Moves
from bench.campaign.sweep_commands import LEASE_S, STEP_VOLUME_UL, STEPS, SweptCommand, Teller
from bench.campaign.sweep_host import Disk, Lock
from driver.storage import Storage
from driver.transport import Transport
from protocol import PROTOCOL_MAJOR, PROTOCOL_MINOR, Commit, HelloRequest, LeaseRequest, encode

Inject = Callable[[bytes, int], None]

_ANOTHER_NONCE = 77
_TYPE_AT = 3
_WATCHED_S = 45


class Trouble(StrEnum):
    """What happens to the host.

    JOURNAL_FULL, JOURNAL_UNWRITABLE: from its `nth` write on the disk has no more room, or takes nothing at all.
    LEASE_ELSEWHERE: before its `nth` frame another host takes the control lease. LATE_COMMIT: the host is interrupted
    in its wait for the answer to COMMIT, which arrives at the pump just before the `nth` event from then on.
    COMMIT_AGAIN: it arrives both at once and then.
    """

    JOURNAL_FULL = "journal-full"
    JOURNAL_UNWRITABLE = "journal-unwritable"
    LEASE_ELSEWHERE = "lease-elsewhere"
    LATE_COMMIT = "late-commit"
    COMMIT_AGAIN = "commit-again"


@dataclass(frozen=True, slots=True)
class InTheWay:
    """A trouble, and when it comes."""

    trouble: Trouble
    nth: int

    @property
    def is_late(self) -> bool:
        """Whether it is a COMMIT that comes late."""
        return self.trouble in (Trouble.LATE_COMMIT, Trouble.COMMIT_AGAIN)

    def storage(self, disk: Disk, acted: Callable[[], None]) -> Storage:
        """The disk as the host has it; `acted` is called when it has no more to give."""
        match self.trouble:
            case Trouble.JOURNAL_FULL:
                return _FailingDisk(disk, self.nth, errno.ENOSPC, acted)
            case Trouble.JOURNAL_UNWRITABLE:
                return _FailingDisk(disk, self.nth, errno.EACCES, acted)
            case _:
                return disk

    def transport(self, transport: Transport, inject: Inject, acted: Callable[[], None]) -> Transport:
        """The transport as the host has it; `inject` has bytes arrive at the pump before the nth event from now."""
        match self.trouble:
            case Trouble.LEASE_ELSEWHERE:
                return _SharedLine(transport, self.nth, acted)
            case Trouble.LATE_COMMIT | Trouble.COMMIT_AGAIN:
                return _LateLine(transport, inject, self.nth, acted, passes=self.trouble is Trouble.COMMIT_AGAIN)
            case _:
                return transport


def stop_commands() -> dict[str, SweptCommand]:
    """The scripts in which STOP must get through, by name."""
    return {command.name: command for command in (RUNNING_BOLUS, INTERRUPTED_BOLUS, IN_DOUBT)}


def _running_bolus(host: Teller) -> None:
    host.give(lambda: host.pump.bolus(STEPS * STEP_VOLUME_UL, wait=False))
    host.wait(0.5)
    host.stop()
    host.ask()


def _interrupted_bolus(host: Teller) -> None:
    try:
        host.give(lambda: host.pump.bolus(STEPS * STEP_VOLUME_UL))
    except KeyboardInterrupt:
        host.interrupted()
    host.stop()
    host.ask()
    for _ in range(_WATCHED_S):
        host.wait(1.0)


RUNNING_BOLUS = SweptCommand("stop", Moves.ONCE, _running_bolus, STEPS, lease_s=10.0 * LEASE_S, must_stop=True)
INTERRUPTED_BOLUS = SweptCommand("interrupt", Moves.ONCE, _interrupted_bolus, STEPS, must_stop=True)
IN_DOUBT = SweptCommand(
    "in-doubt",
    Moves.ONCE,
    _running_bolus,
    STEPS,
    basal=True,
    lease_s=10.0 * LEASE_S,
    is_in_doubt=True,
    must_stop=True,
)


class _FailingDisk:
    def __init__(self, disk: Disk, nth: int, number: int, acted: Callable[[], None]) -> None:
        self._disk = disk
        self._left = nth
        self._number = number
        self._acted = acted

    def exists(self, path: Path) -> bool:
        return self._disk.exists(path)

    def read(self, path: Path) -> bytes:
        return self._disk.read(path)

    def write_and_sync(self, path: Path, offset: int, data: bytes) -> None:
        """On a full disk what lies within the file can still be overwritten."""
        length = len(self._disk.read(path)) if self._disk.exists(path) else 0
        is_inside = self._number == errno.ENOSPC and offset + len(data) <= length
        if not self._left:
            self._acted()
        if not self._left and not is_inside:
            raise OSError(self._number, "no more")
        self._left = max(0, self._left - 1)
        self._disk.write_and_sync(path, offset, data)

    def lock(self, path: Path, holder: str) -> Lock:
        if not self._left and self._number == errno.EACCES:
            self._acted()
            raise OSError(self._number, "no lock")
        return self._disk.lock(path, holder)


class _Line:
    """A transport handed through."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.name = transport.name

    @property
    def in_waiting(self) -> int:
        return self._transport.in_waiting

    def write(self, data: bytes) -> None:
        self._transport.write(data)

    def read(self, timeout_s: float) -> bytes:
        return self._transport.read(timeout_s)

    def close(self) -> None:
        self._transport.close()


class _SharedLine(_Line):
    """Another host takes the lease before the nth frame of this one."""

    def __init__(self, transport: Transport, nth: int, acted: Callable[[], None]) -> None:
        super().__init__(transport)
        self._left = nth
        self._acted = acted

    def write(self, data: bytes) -> None:
        if self._left == 0:
            self._acted()
            hello = HelloRequest(PROTOCOL_MAJOR, PROTOCOL_MINOR, _ANOTHER_NONCE)
            lease = LeaseRequest(0, round(5000.0 * LEASE_S), "another host")
            self._transport.write(encode(hello, seq=501) + encode(lease, seq=502))
        self._left -= 1
        self._transport.write(data)


class _LateLine(_Line):
    """Keeps COMMIT for later, and interrupts the wait for its answer, as Ctrl-C does."""

    def __init__(
        self, transport: Transport, inject: Inject, nth: int, acted: Callable[[], None], *, passes: bool
    ) -> None:
        super().__init__(transport)
        self._acted = acted
        self._inject = inject
        self._nth = nth
        self._passes = passes
        self._held = b""

    def write(self, data: bytes) -> None:
        is_commit = data[0] == 0 and data[_TYPE_AT] == Commit.TYPE
        if is_commit:
            self._held = data
        if self._passes or not is_commit:
            self._transport.write(data)

    def read(self, timeout_s: float) -> bytes:
        if self._held:
            self._acted()
            self._inject(self._held, self._nth)
            self._held = b""
            raise KeyboardInterrupt
        return self._transport.read(timeout_s)
