"""A pump written by hand on `protocol.DeviceSession`, at the far end of a wire whose faults are set frame by frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from driver import Journal, Pump
from protocol import (
    SCHEMA_HASH,
    Ack,
    Calibration,
    CommandResult,
    CommandState,
    DeviceSession,
    Event,
    Hello,
    Message,
    Mode,
    Nak,
    NakReason,
    Proposal,
    ProposeBolus,
    ProposeCalibration,
    ProposeContinuous,
    Status,
    Stopped,
    StreamDecoder,
    encode_frame,
    encode_payload,
    proposal_digest,
)

LATENCY_S = 0.001
DEFAULT_BOLUS_RATE_UL_PER_H = 1000.0


@dataclass
class Command:
    """What the pump really did for an id."""

    proposal: Message
    started_s: float
    state: CommandState = CommandState.RUNNING
    delivered_ul: float = 0.0


class HandPump:
    """Does what it is told; `canonical` changes what it proposes, `lasting` is what a reset leaves."""

    def __init__(self, clock: Any) -> None:
        self.clock = clock
        self.session = DeviceSession()
        self.hello: dict[str, Any] = {}
        self.boot_id = 1
        self.last_id = 0
        self.step_volume_nl = 10.0
        self.previous_nl = 10.0
        self.commands: dict[int, Command] = {}
        self.commits: list[int] = []
        self.requests: list[Message] = []
        self.canonical: Callable[[Message], Message] = lambda message: message
        self.tampered_digest = False
        self.refuse: dict[type[Message], Nak] = {}
        self.forgets = False
        self._proposals: dict[int, Message] = {}

    def receive(self, data: bytes) -> bytes:
        for request in self.session.receive(data, self.clock.monotonic()):
            self.requests.append(request.message)
            self._let_run()
            self.session.reply(request.seq, self._answer(request.message))
        return self.session.data_to_send()

    def notify(self, message: Message) -> bytes:
        self.session.notify(message)
        return self.session.data_to_send()

    def reset(self) -> None:
        """A power cut: RAM is lost, a bolus never resumes."""
        self._let_run()
        for command in self.commands.values():
            if command.state == CommandState.RUNNING:
                command.state = CommandState.INTERRUPTED
        self.session = DeviceSession()
        self.boot_id += 1
        self._proposals.clear()

    @property
    def mode(self) -> Mode:
        self._let_run()
        running = [c.proposal for c in self.commands.values() if c.state == CommandState.RUNNING]
        if not running:
            return Mode.STOPPED
        return Mode.BOLUS if isinstance(running[-1], ProposeBolus) else Mode.CONTINUOUS

    def _let_run(self) -> None:
        for command in self.commands.values():
            if command.state != CommandState.RUNNING:
                continue
            proposal = command.proposal
            ran_h = (self.clock.monotonic() - command.started_s) / 3600.0
            if isinstance(proposal, ProposeBolus):
                command.delivered_ul = min(proposal.volume_ul, ran_h * proposal.rate_ul_per_h)
                if command.delivered_ul >= proposal.volume_ul:
                    command.state = CommandState.DONE
            else:
                command.delivered_ul = ran_h * proposal.rate_ul_per_h

    def _answer(self, message: Message) -> Message:
        if type(message) in self.refuse:
            return self.refuse[type(message)]
        return getattr(self, f"_on_{type(message).__name__}")(message)

    def _on_HelloRequest(self, _: Any) -> Message:  # noqa: N802
        fields: dict[str, Any] = {
            "protocol_major": 1,
            "protocol_minor": 0,
            "schema_hash": SCHEMA_HASH,
            "capabilities": 0,
            "mtu": 512,
            "boot_id": self.boot_id,
            "last_command_id": self.last_id,
            "model": "hand-made",
            "serial_number": "HAND-1",
            "firmware_version": "0.1",
        }
        return Hello(**{**fields, **self.hello})

    def _on_StatusRequest(self, _: Any) -> Message:  # noqa: N802
        return Status(
            device_time_us=int(self.clock.monotonic() * 1e6),
            boot_id=self.boot_id,
            mode=self.mode,
            alarms=0,
            rate_ul_per_h=0.0,
            steps=0,
            delivered_ul=0.0,
            reservoir_ul=20_000.0,
            battery_mv=2800,
            head_temperature_c=37.0,
            step_volume_nl=self.step_volume_nl,
            last_command_id=self.last_id,
            active_command_id=0,
        )

    def _propose(self, message: Any) -> Message:
        if message.command_id <= self.last_id:
            return Nak(NakReason.STALE_COMMAND_ID, "id is not above the highest")
        canonical = self.canonical(message)
        self._proposals[message.command_id] = canonical
        digest = bytes(8) if self.tampered_digest else proposal_digest(canonical)
        return Proposal(message.command_id, message.command_id * 7, digest, 10_000, encode_payload(canonical))

    def _on_ProposeContinuous(self, message: ProposeContinuous) -> Message:  # noqa: N802
        return self._propose(message)

    def _on_ProposeBolus(self, message: ProposeBolus) -> Message:  # noqa: N802
        rate = message.rate_ul_per_h or DEFAULT_BOLUS_RATE_UL_PER_H
        return self._propose(ProposeBolus(message.command_id, message.volume_ul, rate))

    def _on_ProposeCalibration(self, message: ProposeCalibration) -> Message:  # noqa: N802
        return self._propose(message)

    def _on_Commit(self, message: Any) -> Message:  # noqa: N802
        proposal = self._proposals.pop(message.command_id, None)
        if proposal is None or message.token != message.command_id * 7:
            return Nak(NakReason.BAD_TOKEN, "no such proposal")
        self.last_id = message.command_id
        self.commits.append(message.command_id)
        command = Command(proposal, self.clock.monotonic())
        self.commands[message.command_id] = command
        if isinstance(proposal, ProposeCalibration):
            self.previous_nl, self.step_volume_nl = self.step_volume_nl, proposal.step_volume_nl
            command.state = CommandState.DONE
        return self._on_CommandResultRequest(message)

    def _on_CommandResultRequest(self, message: Any) -> Message:  # noqa: N802
        id_ = message.command_id
        command = self.commands.get(id_)
        if command is not None and not self.forgets:
            high_ul = command.delivered_ul + (1.0 if command.state == CommandState.INTERRUPTED else 0.0)
            return CommandResult(id_, command.state, command.delivered_ul, high_ul)
        state = CommandState.FORGOTTEN if id_ <= self.last_id else CommandState.UNKNOWN
        return CommandResult(id_, state, 0.0, 0.0)

    def _on_Stop(self, _: Any) -> Message:  # noqa: N802
        for command in self.commands.values():
            if command.state == CommandState.RUNNING:
                command.state = CommandState.STOPPED
        self._proposals.clear()
        return Stopped(int(self.clock.monotonic() * 1e6), 4711, 1.25)

    def _on_CalibrationRequest(self, _: Any) -> Message:  # noqa: N802
        return Calibration(self.step_volume_nl, self.previous_nl, 10.0, 3)

    def _on_Subscribe(self, _: Any) -> Message:  # noqa: N802
        return Ack()


@dataclass
class Fault:
    """What happens to the next `times` frames of one message type, in whichever direction it travels."""

    kind: str
    type_: int
    times: int
    delay_s: float = 0.0


@dataclass
class Wire:
    """A cable that fits `Transport`. Faults: lose, corrupt, duplicate, delay, unplug (after it passed), interrupt."""

    clock: Any
    device: HandPump
    name: str = "hand:pump"
    faults: list[Fault] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    lottery: Iterator[bool] | None = None
    closed: bool = False
    unplugged: bool = False
    reads: int = 0

    def __post_init__(self) -> None:
        self._to_host = bytearray()
        self._decoder = StreamDecoder()
        self._replies = StreamDecoder()
        self._interrupt = False

    def fault(self, kind: str, message: type[Message], times: int = 1, delay_s: float = 0.0) -> None:
        self.faults.append(Fault(kind, message.TYPE, times, delay_s))

    @property
    def in_waiting(self) -> int:
        if self.unplugged and not self._to_host:
            raise OSError("unplugged")
        return len(self._to_host)

    def write(self, data: bytes) -> None:
        if self.unplugged:
            raise OSError("unplugged")
        for frame in self._decoder.feed(data):
            self.log.append(f"sent {type(frame.message).__name__}")
            self._pass(frame, lambda raw: self._arrive(self.device.receive(raw)))

    def read(self, timeout_s: float) -> bytes:
        self.reads += 1
        if not self._to_host:
            self.clock.wait(timeout_s, until=lambda: bool(self._to_host) or self.unplugged or self._interrupt)
        if self._interrupt:
            self._interrupt = False
            raise KeyboardInterrupt
        if self.unplugged and not self._to_host:
            raise OSError("unplugged")
        data = bytes(self._to_host)
        self._to_host.clear()
        return data

    def close(self) -> None:
        self.closed = True

    def interrupt(self) -> None:
        """Ctrl-C, seen at the next wait."""
        self._interrupt = True

    def send_unasked(self, message: Message) -> None:
        self._arrive(self.device.notify(message))

    def send_raw(self, data: bytes) -> None:
        self._to_host += data

    def _arrive(self, data: bytes) -> None:
        for frame in self._replies.feed(data):
            self._pass(frame, self.send_raw)

    def _pass(self, frame: Any, deliver: Callable[[bytes], None]) -> None:
        raw = encode_frame(frame.type, frame.seq, frame.payload)
        fault = next((f for f in self.faults if f.type_ == frame.type and f.times > 0), None)
        kind = "" if fault is None else fault.kind
        if fault is not None:
            fault.times -= 1
        if self.lottery is not None and next(self.lottery):
            kind = "lose"
        if kind == "lose":
            return
        if kind == "corrupt":
            raw = raw[:5] + bytes([raw[5] ^ 0x40 or 1]) + raw[6:]
        delay_s = LATENCY_S + (fault.delay_s if fault is not None else 0.0)
        for _ in range(2 if kind == "duplicate" else 1):
            self.clock.after(delay_s, lambda: deliver(raw))
        if kind == "unplug":
            self.clock.after(delay_s, lambda: setattr(self, "unplugged", True))
        if kind == "interrupt":
            self.clock.after(delay_s, self.interrupt)


@pytest.fixture
def device(clock: Any) -> HandPump:
    return HandPump(clock)


@pytest.fixture
def wire(clock: Any, device: HandPump, disk: Any) -> Wire:
    return Wire(clock, device, log=disk.log)


@pytest.fixture
def open_pump(clock: Any, wire: Wire, disk: Any) -> Callable[..., Pump]:
    """Opens the hand-made pump with a journal on the test's disk."""

    def open_it(**options: Any) -> Pump:
        options.setdefault("journal", Journal.in_directory("/journals", disk))
        return Pump.open(wire, clock=clock, **options)

    return open_it


@pytest.fixture
def event() -> Callable[..., Event]:
    return lambda sequence, code=1, argument=0: Event(sequence, 0, code, argument)
