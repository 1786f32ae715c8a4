"""A cable that faults are done to."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from firmware_mock.faults.armed import Afflicted, Armed
from firmware_mock.faults.device_acts import strike
from firmware_mock.faults.frame_acts import Piece, frames_of, pieces, type_of
from firmware_mock.faults.host_end import Handle, HostClock
from firmware_mock.faults.kinds import Direction, Fault, FaultKind
from firmware_mock.faults.second_host import (
    TAKES_AN_ID,
    TAKES_LEASE,
    overwrite_results,
    say_with_key,
    second_host_bytes,
    take_an_id,
)
from firmware_mock.ports import Port, PortUnplugged
from firmware_mock.world import World, to_ns

SMALL_BUFFER_BYTES = 256
READ_NS = 1_000_000
UNTIL_OPENED = 1 << 62

_ONE_FRAME = frozenset(
    {
        FaultKind.FLIP,
        FaultKind.DUPLICATE,
        FaultKind.REORDER,
        FaultKind.TRUNCATE,
        FaultKind.FRAGMENT,
        FaultKind.NOISE,
        FaultKind.BLOCKED_WRITE,
    }
)
_SOME_FRAMES = frozenset({FaultKind.DROP_REQUEST, FaultKind.DROP_REPLY, FaultKind.LATE})
_NOT_BY_A_FRAME = frozenset({FaultKind.RESET_ON_OPEN, FaultKind.CLOCK_DRIFT})
_WINDOWS = frozenset(
    {FaultKind.ECHO, FaultKind.WRONG_BAUD, FaultKind.STUCK_LINE, FaultKind.SLOW_READER, FaultKind.BIT_ROT}
)


class FaultyPort(Port):
    """A cable with armed faults. `clock` is the host's; `pump` must be set before the first byte.

    `last_arrival_ns` is when the last of the bytes that a fault holds back will arrive. `handed_over` is all that host
    and device gave to the line, before any fault and even where nobody hears it: when, which way, the bytes. Another
    host's words are not in it, the device's answers to them are.
    """

    pump: Afflicted

    def __init__(self, world: World, name: str, *, baud: int = 115_200) -> None:
        super().__init__(world, name, baud=baud)
        self.clock = HostClock(world)
        self.opening = 0
        self.last_arrival_ns = 0
        self.handed_over: list[tuple[int, Direction, bytes]] = []
        self._armed: list[Armed] = []
        self._overheard: bytearray | None = None

    def connect(self) -> Handle:
        """The host opens the port; handles from before are dead, what had arrived is gone.

        Raises:
            PortUnplugged: the cable is out.
        """
        self.clock.catch_up()
        if not self.plugged:
            raise PortUnplugged(f"port sim:{self.name} is gone")
        self.opening += 1
        self.take_arrived()
        for armed in self._armed:
            if armed.fault.kind is FaultKind.RESET_ON_OPEN and not armed.has_acted:
                self._happen(armed)
            elif armed.fault.kind is FaultKind.HALF_OPEN and armed.is_set_off:
                armed.until_ns = min(armed.until_ns, self.world.now_ns)
        return Handle(self, self.opening)

    def arm(self, faults: Iterable[Fault]) -> None:
        """Have these faults wait for what sets them off, in place of those before."""
        self.disarm()
        self._armed = [Armed(fault) for fault in faults]

    def disarm(self) -> None:
        """Let no more faults begin; what has begun goes on to its end, and what is held back is let go."""
        self.pump.spare()
        for armed in self._armed:
            armed.passed = armed.fault.nth
            armed.frames_left = 0
            if armed.due is not None:
                armed.due.cancel()
            armed.is_spared = armed.is_spared or armed.from_ns > self.world.now_ns or not armed.is_set_off
            if armed.held is not None:
                self._deliver([(armed.held, 0)], armed.fault.direction)
                armed.held = None

    def has_acted(self) -> tuple[bool, ...]:
        """For each armed fault, whether it did anything."""
        return tuple(armed.has_acted for armed in self._armed)

    def acted_ns(self) -> tuple[int | None, ...]:
        """For each armed fault, when it first did something; None for one that did not."""
        return tuple(armed.acted_ns for armed in self._armed)

    @property
    def cleared_ns(self) -> int:
        """When the last fault that acted is over; far ahead for a connection that is dead until opened afresh."""
        return max((armed.until_ns for armed in self._armed if armed.has_acted), default=0)

    def host_writes(self, data: bytes) -> None:
        self.clock.catch_up()
        self.handed_over.append((self.world.now_ns, Direction.TO_DEVICE, data))
        for frame in frames_of(data):
            if not self.plugged:
                raise PortUnplugged(f"port sim:{self.name} is gone")
            self._carry(frame, Direction.TO_DEVICE)

    def host_reads(self, timeout_s: float) -> bytes:
        self.clock.catch_up()
        data = super().host_reads(timeout_s)
        self.clock.catch_up()
        for armed in self._armed:
            if armed.fault.kind is FaultKind.SLOW_READER and armed.covers(self.world.now_ns) and data:
                kept = data[:SMALL_BUFFER_BYTES]
                if len(kept) > armed.fault.amount:
                    self._acted(armed)
                self._to_host[:0] = kept[armed.fault.amount :]
                self.world.run_until(self.world.now_ns + READ_NS)
                data = kept[: armed.fault.amount]
        return data

    def send(self, data: bytes) -> None:
        self.handed_over.append((self.world.now_ns, Direction.TO_HOST, data))
        if not self.pump.is_on:
            return
        if self._overheard is not None:
            self._overheard += data
            return
        self.pump.at_seam(3)
        for frame in frames_of(data):
            self._carry(frame, Direction.TO_HOST)
        self.pump.at_seam(4)

    def _carry(self, frame: bytes, direction: Direction) -> None:
        now_ns = self.world.now_ns
        message_type = type_of(frame)
        for armed in self._armed:
            if armed.is_set_off_by(direction, message_type):
                self._set_off(armed)
        parts: list[Piece] = [(frame, 0)]
        for armed in self._armed:
            if armed.frames_left and direction is armed.fault.direction:
                if armed.fault.kind is FaultKind.BLOCKED_WRITE:
                    self._block(armed)
                elif armed.fault.kind is FaultKind.REORDER:
                    parts = self._swapped(armed, parts)
                else:
                    armed.frames_left -= 1
                    parts = self._through(armed, parts)
                    armed.until_ns = now_ns + max((delay_ns for _, delay_ns in parts), default=0)
            elif armed.covers(now_ns):
                if armed.fault.kind is FaultKind.ECHO and direction is Direction.TO_DEVICE:
                    self._acted(armed)
                    self._deliver([(frame, 0)], Direction.TO_HOST)
                elif armed.fault.kind in (_WINDOWS | {FaultKind.HALF_OPEN}) - {FaultKind.ECHO, FaultKind.SLOW_READER}:
                    parts = self._through(armed, parts)
        self._deliver(parts, direction)

    def _through(self, armed: Armed, parts: list[Piece]) -> list[Piece]:
        changed = [
            (data, before_ns + delay_ns)
            for part, before_ns in parts
            for data, delay_ns in (pieces(armed.fault, part, armed.stream) if part else [])
        ]
        if changed != parts:
            self._acted(armed)
        return changed

    def _swapped(self, armed: Armed, parts: list[Piece]) -> list[Piece]:
        if armed.held is None:
            armed.held = b"".join(part for part, _ in parts)
            return []
        held, armed.held, armed.frames_left = armed.held, None, 0
        armed.until_ns = self.world.now_ns
        self._acted(armed)
        return [*parts, (held, 0)]

    def _block(self, armed: Armed) -> None:
        armed.frames_left = 0
        self._acted(armed)
        self.world.run_until(self.world.now_ns + to_ns(armed.fault.duration_s))
        armed.until_ns = self.world.now_ns
        if armed.fault.amount:
            raise TimeoutError(f"a write to port sim:{self.name} timed out")
        if not self.plugged:
            raise PortUnplugged(f"port sim:{self.name} is gone")

    def _deliver(self, parts: list[Piece], direction: Direction) -> None:
        for data, delay_ns in parts:
            if not data:
                continue
            if delay_ns == 0:
                self._put_on_line(data, direction)
            else:
                due_ns = self.world.now_ns + delay_ns
                self.last_arrival_ns = max(self.last_arrival_ns, due_ns)
                self.world.at(due_ns, partial(self._put_on_line, data, direction))

    def _put_on_line(self, data: bytes, direction: Direction) -> None:
        if direction is Direction.TO_HOST:
            super().send(data)
        elif self.plugged:
            super().host_writes(data)

    def _arrive_at_device(self, data: bytes, plugging: int) -> None:
        if self.pump.is_on:
            self.pump.guarded(lambda: Port._arrive_at_device(self, data, plugging))

    def _set_off(self, armed: Armed) -> None:
        fault = armed.fault
        if fault.kind in _NOT_BY_A_FRAME:
            return
        armed.is_set_off = True
        armed.from_ns = self.world.now_ns + to_ns(fault.delay_s)
        armed.until_ns = armed.from_ns + to_ns(fault.duration_s)
        if fault.kind in _ONE_FRAME:
            armed.frames_left = 2 if fault.kind is FaultKind.REORDER else 1
        elif fault.kind in _SOME_FRAMES:
            armed.frames_left = fault.amount
        elif fault.kind is FaultKind.HALF_OPEN:
            armed.until_ns = UNTIL_OPENED
        elif fault.kind not in _WINDOWS:
            armed.due = self.world.at(armed.from_ns, lambda: self._happen(armed))

    def _acted(self, armed: Armed) -> None:
        if armed.acted_ns is None:
            armed.acted_ns = self.world.now_ns
        self.world.ledger.saw(f"fault.{armed.fault.kind}")

    def _happen(self, armed: Armed) -> None:
        """What no frame shows: to the plug, the host, or the device."""
        if armed.is_spared:
            return
        fault = armed.fault
        armed.until_ns = self.world.now_ns + to_ns(fault.duration_s)
        match fault.kind:
            case FaultKind.BOOT_GARBAGE:
                self._acted(armed)
                armed.until_ns = self.world.now_ns
                text = b"\r\nboot " + armed.stream.randbytes(fault.amount)
                super().send(text[: fault.amount])
            case FaultKind.RE_ENUMERATE:
                if self.plugged:
                    self._acted(armed)
                    self.opening += 1
                    self.unplug()
                    self.world.after(fault.duration_s, self.plug)
            case FaultKind.SECOND_HOST:
                self._second_host(armed)
            case FaultKind.HOST_SUSPEND:
                self.clock.suspend(fault.duration_s, counted=bool(fault.amount), on_sleep=lambda: self._acted(armed))
            case FaultKind.CLOCK_JUMP:
                self._acted(armed)
                armed.until_ns = self.world.now_ns
                self.clock.jump(fault.duration_s)
            case FaultKind.RESET_ON_OPEN | FaultKind.REBOOT:
                if self.pump.is_on:
                    self._acted(armed)
                    self.pump.reset(fault.duration_s)
            case FaultKind.EVIDENCE_LOST:
                if self.pump.is_on and overwrite_results(self._aside, fault.seed, self.pump.key):
                    self._acted(armed)
            case _:
                strike(armed, self.pump, self.world, lambda: self._acted(armed))

    def _second_host(self, armed: Armed) -> None:
        fault = armed.fault
        if fault.amount != TAKES_LEASE:
            armed.until_ns = self.world.now_ns
        if not self.pump.is_on or self.on_receive is None:
            return
        if fault.amount == TAKES_AN_ID:
            if take_an_id(self._aside, fault.seed, self.pump.key):
                self._acted(armed)
            return
        if self.pump.key is not None:
            if say_with_key(self._aside, fault, self.pump.key):
                self._acted(armed)
            return
        self._acted(armed)
        data, receive = second_host_bytes(fault), self.on_receive
        self.pump.guarded(lambda: receive(data))

    def _aside(self, data: bytes) -> bytes:
        """What the device says to bytes from elsewhere, which this host does not hear."""
        self._overheard = bytearray()
        if self.on_receive is not None:
            self.on_receive(data)
        said, self._overheard = bytes(self._overheard), None
        return said
