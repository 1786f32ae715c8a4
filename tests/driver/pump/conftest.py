"""A pump written by hand on `protocol.DeviceSession`, at the far end of a wire whose faults are set frame by frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest
from msgspec import structs

from driver import Journal, KeysInMemory, Pump, SchemaCache
from protocol import (
    SCHEMA_HASH,
    Ack,
    Alarm,
    AlarmEntry,
    Alarms,
    BulkObject,
    Calibration,
    Capability,
    ClockReply,
    CommandResult,
    CommandState,
    Description,
    DeviceGuard,
    DeviceSession,
    Event,
    FirmwareInformation,
    Hello,
    Lease,
    Message,
    Mode,
    Nak,
    NakReason,
    Paired,
    PatientBolusLimits,
    Proposal,
    ProposeBolus,
    ProposeBridge,
    ProposeCalibration,
    ProposeContinuous,
    ProposeFlex,
    ProposeMinimumRate,
    ProposePatientBolus,
    ProposePatientBolusLimits,
    ProposePrime,
    ProposeRefill,
    ProposeTherapyClock,
    ProposeTrial,
    Record,
    SelfTestReport,
    Status,
    Stopped,
    StreamDecoder,
    Subscription,
    Therapy,
    TherapyClock,
    Tone,
    encode_frame,
    encode_payload,
    key_check,
    proposal_digest,
    schema_document,
)
from protocol.bulk import BulkRefused, Snapshot

LATENCY_S = 0.001
DEFAULT_BOLUS_RATE_UL_PER_H = 1000.0
MINIMUM_RATE_UL_PER_H = 0.25
SHORTEST_INTERVAL_MS = 20
GIVEN_ONCE = ProposeBolus | ProposePatientBolus | ProposePrime
SETTINGS = ProposeCalibration | ProposePatientBolusLimits | ProposeRefill | ProposeTherapyClock
AS_ASKED = ProposeContinuous | ProposeFlex | ProposeBridge | ProposeTrial | SETTINGS
NO_LIMITS = ProposePatientBolusLimits(0, 0, 0.0, 0.0, 0, 0, 0, 0.0)


def drawn_ul(proposal: Any, ran_h: float) -> float:
    """What a therapy has given after so many hours."""
    if isinstance(proposal, ProposeBridge):
        bridged_h = min(ran_h, proposal.volume_ul / proposal.bridge_rate_ul_per_h)
        return bridged_h * proposal.bridge_rate_ul_per_h + (ran_h - bridged_h) * proposal.rate_ul_per_h
    return ran_h * getattr(proposal, "rate_ul_per_h", 0.0)


@dataclass
class Command:
    """What the pump really did for an id."""

    proposal: Message
    started_s: float
    state: CommandState = CommandState.RUNNING
    delivered_ul: float = 0.0
    token: int = 0


class HandPump:
    """Does what it is told; `canonical` changes what it proposes, `lasting` is what a reset leaves."""

    def __init__(self, clock: Any) -> None:
        self.clock = clock
        self.guard = DeviceGuard(Random(1).randbytes)
        self.is_pairing = False
        self.session = DeviceSession(self.guard)
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
        self.memory_lost = False
        self._proposals: dict[int, Message] = {}
        self.schema = schema_document()
        self.limits = NO_LIMITS
        self.reservoir_ul = 20_000.0
        self.therapy_clock = (0, 0, 0)
        self.alarms: dict[Alarm, AlarmEntry] = {}
        self.ahead_s = 0.0
        self.drift = 0.0
        self.records: dict[BulkObject, list[Record]] = {}
        self.snapshots = 0
        self.snapshot: Snapshot | None = None
        self.piece_bytes = 64
        self.lease: tuple[int, float, str] | None = None
        self.leases_granted = 0
        self.may_control = False

    @property
    def device_us(self) -> int:
        return int((self.clock.monotonic() + self.ahead_s) * (1.0 + self.drift) * 1e6)

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
        self.session = DeviceSession(self.guard)
        self.boot_id += 1
        self._proposals.clear()
        self.snapshot = None
        self._end_lease()

    def lose_memory(self) -> None:
        """Both slots were bad at a reset: it stands, knows nothing, and takes no order."""
        self.reset()
        self.commands.clear()
        self.last_id = 0
        self.memory_lost = True

    def obey_another(self, id_: int, proposal: Message, token: int) -> None:
        """Another host has its proposal for an id committed, which kills any other for it."""
        self._proposals.clear()
        self.last_id = id_
        self.commands[id_] = Command(proposal, self.clock.monotonic(), token=token)

    @property
    def mode(self) -> Mode:
        self._let_run()
        running = [c.proposal for c in self.commands.values() if c.state == CommandState.RUNNING]
        if not running:
            return Mode.STOPPED
        return Mode.BOLUS if isinstance(running[-1], GIVEN_ONCE) else Mode.CONTINUOUS

    def _let_run(self) -> None:
        for command in self.commands.values():
            if command.state != CommandState.RUNNING:
                continue
            proposal = command.proposal
            ran_h = (self.clock.monotonic() - command.started_s) / 3600.0
            if isinstance(proposal, GIVEN_ONCE):
                command.delivered_ul = min(proposal.volume_ul, ran_h * proposal.rate_ul_per_h)
                if command.delivered_ul >= proposal.volume_ul:
                    command.state = CommandState.DONE
            else:
                command.delivered_ul = drawn_ul(proposal, ran_h)

    def _answer(self, message: Message) -> Message:
        if type(message) in self.refuse:
            return self.refuse[type(message)]
        if self._lease_refuses(type(message).__name__):
            assert self.lease is not None
            _, end_s, holder = self.lease
            return Nak(NakReason.LEASE_HELD, f"held by {holder} for {end_s - self.clock.monotonic():.0f} s")
        if isinstance(message, AS_ASKED):
            return self._propose_therapy(message)
        return getattr(self, f"_on_{type(message).__name__}")(message)

    def _lease_refuses(self, name: str) -> bool:
        if self.lease is not None and self.clock.monotonic() >= self.lease[1]:
            self._end_lease()
        guarded = name.startswith("Propose") or name in ("Commit", "AcknowledgeAlarms", "SelfTestRequest")
        return self.lease is not None and guarded and not self.may_control

    def _end_lease(self) -> None:
        """It ran out: what depends on it ends as by STOP."""
        self.lease, self.may_control = None, False
        for command in self.commands.values():
            if command.state == CommandState.RUNNING and getattr(command.proposal, "on_lease_loss", 0):
                command.state = CommandState.STOPPED

    def _on_HelloRequest(self, _: Any) -> Message:  # noqa: N802
        is_keyed = self.guard.key is not None
        self.may_control = self.may_control and is_keyed
        fields: dict[str, Any] = {
            "protocol_major": 1,
            "protocol_minor": 0,
            "schema_hash": SCHEMA_HASH,
            "capabilities": Capability.AUTHENTICATION if is_keyed else 0,
            "mtu": 512,
            "boot_id": self.boot_id,
            "last_command_id": self.last_id,
            "model": "hand-made",
            "serial_number": "HAND-1",
            "firmware_version": "0.1",
        }
        return Hello(**{**fields, **self.hello})

    def _on_HandshakeConfirm(self, _: Any) -> Message:  # noqa: N802
        self.may_control = False
        return Ack()

    def _on_PairRequest(self, message: Any) -> Message:  # noqa: N802
        if not self.is_pairing:
            return Nak(NakReason.NOT_PAIRING, "press the button")
        self.is_pairing = False
        self.guard.key = message.key
        return Paired(key_check(message.key, "HAND-1"))

    def _on_StatusRequest(self, _: Any) -> Message:  # noqa: N802
        return Status(
            device_time_us=self.device_us,
            boot_id=self.boot_id,
            mode=self.mode,
            alarms=Alarm.MEMORY_ERROR if self.memory_lost else 0,
            rate_ul_per_h=0.0,
            steps=0,
            delivered_ul=0.0,
            reservoir_ul=self.reservoir_ul,
            battery_mv=2800,
            head_temperature_c=37.0,
            step_volume_nl=self.step_volume_nl,
            last_command_id=self.last_id,
            active_command_id=0,
        )

    def _propose(self, message: Any) -> Message:
        if self.memory_lost:
            return Nak(NakReason.WRONG_STATE, "memory lost")
        if message.command_id <= self.last_id:
            return Nak(NakReason.STALE_COMMAND_ID, "id is not above the highest")
        canonical = self.canonical(message)
        self._proposals[message.command_id] = canonical
        digest = bytes(8) if self.tampered_digest else proposal_digest(canonical)
        return Proposal(message.command_id, message.command_id * 7, digest, 10_000, encode_payload(canonical))

    def _propose_therapy(self, message: Any) -> Message:
        if getattr(message, "on_lease_loss", 0) and self.lease is None:
            return Nak(NakReason.NO_LEASE, "take the lease first")
        return self._propose(message)

    def _on_ProposeMinimumRate(self, message: ProposeMinimumRate) -> Message:  # noqa: N802
        return self._propose_therapy(
            ProposeMinimumRate(message.command_id, MINIMUM_RATE_UL_PER_H, message.on_lease_loss)
        )

    def _on_ProposePatientBolus(self, message: Any) -> Message:  # noqa: N802
        if not self.limits.enabled:
            return Nak(NakReason.WRONG_STATE, "patient boluses are off")
        return self._propose(ProposePatientBolus(message.command_id, self.limits.volume_ul, self.limits.rate_ul_per_h))

    def _on_ProposePrime(self, message: ProposePrime) -> Message:  # noqa: N802
        rate = message.rate_ul_per_h or DEFAULT_BOLUS_RATE_UL_PER_H
        return self._propose(ProposePrime(message.command_id, message.volume_ul, rate))

    def _on_ProposeBolus(self, message: ProposeBolus) -> Message:  # noqa: N802
        rate = message.rate_ul_per_h or DEFAULT_BOLUS_RATE_UL_PER_H
        return self._propose(ProposeBolus(message.command_id, message.volume_ul, rate))

    def _on_Commit(self, message: Any) -> Message:  # noqa: N802
        if message.command_id in self.commands or self.memory_lost:
            return self._on_CommandResultRequest(message)
        proposal = self._proposals.pop(message.command_id, None)
        if proposal is None or message.token != message.command_id * 7:
            return Nak(NakReason.BAD_TOKEN, "no such proposal")
        self.last_id = message.command_id
        self.commits.append(message.command_id)
        command = Command(proposal, self.clock.monotonic(), token=message.token)
        self.commands[message.command_id] = command
        if isinstance(proposal, SETTINGS):
            self._set(proposal)
            command.state = CommandState.DONE
        return self._on_CommandResultRequest(message)

    def _set(self, proposal: Any) -> None:
        match proposal:
            case ProposeCalibration():
                self.previous_nl, self.step_volume_nl = self.step_volume_nl, proposal.step_volume_nl
            case ProposePatientBolusLimits():
                self.limits = proposal
            case ProposeRefill():
                self.reservoir_ul = proposal.volume_ul
            case ProposeTherapyClock():
                self.therapy_clock = (proposal.utc_s, proposal.utc_offset_s, self.therapy_clock[2] + 1)

    def _on_CommandResultRequest(self, message: Any) -> Message:  # noqa: N802
        id_ = message.command_id
        self._proposals.pop(id_, None)
        command = self.commands.get(id_)
        if command is not None and not self.forgets:
            high_ul = command.delivered_ul + (1.0 if command.state == CommandState.INTERRUPTED else 0.0)
            return CommandResult(id_, command.state, command.delivered_ul, high_ul, command.token)
        is_forgotten = self.memory_lost or id_ <= self.last_id
        state = CommandState.FORGOTTEN if is_forgotten else CommandState.UNKNOWN
        return CommandResult(id_, state, 0.0, 0.0, 0)

    def _on_Stop(self, _: Any) -> Message:  # noqa: N802
        for command in self.commands.values():
            if command.state == CommandState.RUNNING:
                command.state = CommandState.STOPPED
        self._proposals.clear()
        return Stopped(int(self.clock.monotonic() * 1e6), 4711, 1.25)

    def _on_CalibrationRequest(self, _: Any) -> Message:  # noqa: N802
        return Calibration(self.step_volume_nl, self.previous_nl, 10.0, 3)

    def _on_Subscribe(self, message: Any) -> Message:  # noqa: N802
        used_ms = max(message.interval_ms, SHORTEST_INTERVAL_MS) if message.interval_ms else 0
        return Subscription(message.stream, used_ms, SHORTEST_INTERVAL_MS)

    def _on_DescribeRequest(self, message: Any) -> Message:  # noqa: N802
        piece = self.schema[message.offset : message.offset + 500]
        return Description(len(self.schema), message.offset, piece)

    def _on_TherapyRequest(self, _: Any) -> Message:  # noqa: N802
        running = [(id_, c.proposal) for id_, c in self.commands.items() if c.state == CommandState.RUNNING]
        therapies = [(id_, proposal) for id_, proposal in running if not isinstance(proposal, GIVEN_ONCE)]
        if not therapies:
            return Therapy(0, 0, b"")
        id_, proposal = therapies[-1]
        return Therapy(id_, proposal.TYPE, encode_payload(proposal))

    def _on_PatientBolusLimitsRequest(self, _: Any) -> Message:  # noqa: N802
        in_force = self.limits
        return PatientBolusLimits(
            in_force.enabled, in_force.volume_ul, in_force.rate_ul_per_h, in_force.lockout_s, in_force.most_per_day,
            in_force.window_s, in_force.window_limit_ul, 0, 0,
        )  # fmt: skip

    def _on_TherapyClockRequest(self, _: Any) -> Message:  # noqa: N802
        utc_s, utc_offset_s, generation = self.therapy_clock
        return TherapyClock(utc_s, utc_offset_s, self.device_us, generation)

    def _on_FirmwareInformationRequest(self, _: Any) -> Message:  # noqa: N802
        return FirmwareInformation(bytes(range(32)), 1_700_000_000, "0.1", "boot-2", "rev-C", self.boot_id, 17, 1)

    def _on_AlarmsRequest(self, _: Any) -> Message:  # noqa: N802
        return Alarms(self.device_us, tuple(self.alarms.values()))

    def _on_AcknowledgeAlarms(self, message: Any) -> Message:  # noqa: N802
        for alarm, entry in self.alarms.items():
            if alarm & message.alarms:
                tone = Tone.SILENT if message.silence_s else entry.tone
                self.alarms[alarm] = structs.replace(entry, acknowledged=1, silent_for_s=message.silence_s, tone=tone)
        return Ack()

    def _on_SelfTestRequest(self, message: Any) -> Message:  # noqa: N802
        asked = message.items or 63
        return SelfTestReport(self.device_us, asked & ~40, asked & 8, asked & 32)

    def _on_ClockRequest(self, message: Any) -> Message:  # noqa: N802
        return ClockReply(message.host_time_us, self.device_us, self.device_us, self.boot_id)

    def _on_BulkOpen(self, message: Any) -> Message:  # noqa: N802
        self.snapshots += 1
        records = [record for record in self.records.get(message.object, []) if record.index >= message.first_index]
        first_index = message.first_index if not records else records[0].index
        self.snapshot = Snapshot(message.object, self.snapshots, records, first_index=first_index)
        return self.snapshot.information()

    def _on_BulkRead(self, message: Any) -> Message:  # noqa: N802
        if self.snapshot is None:
            return Nak(NakReason.NO_SNAPSHOT, "nothing is open")
        try:
            return self.snapshot.read(message, self.piece_bytes)
        except BulkRefused as refusal:
            return Nak(refusal.reason, refusal.detail)

    def _on_LeaseRequest(self, message: Any) -> Message:  # noqa: N802
        now_s = self.clock.monotonic()
        if message.lease_id == 0 and self.lease is None:
            self.leases_granted += 1
            lease_id = 100 + self.leases_granted
        elif self.lease is not None and message.lease_id == self.lease[0]:
            lease_id = message.lease_id
        elif self.lease is None:
            return Nak(NakReason.NO_LEASE, "no such lease")
        else:
            _, end_s, holder = self.lease
            return Nak(NakReason.LEASE_HELD, f"held by {holder} for {end_s - now_s:.0f} s")
        self.lease = (lease_id, now_s + message.duration_ms / 1000.0, message.holder)
        self.may_control = True
        return Lease(lease_id, message.duration_ms, message.holder)

    def _on_LeaseStatusRequest(self, _: Any) -> Message:  # noqa: N802
        if self.lease is None:
            return Lease(0, 0, "")
        lease_id, end_s, holder = self.lease
        remaining_ms = max(0, round((end_s - self.clock.monotonic()) * 1000.0))
        return Lease(lease_id if self.may_control else 0, remaining_ms, holder)

    def _on_LeaseRelease(self, message: Any) -> Message:  # noqa: N802
        if self.lease is None or self.lease[0] != message.lease_id:
            return Nak(NakReason.NO_LEASE, "no such lease")
        self.lease, self.may_control = None, False
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
    """A cable that fits `Transport`. Faults: lose, corrupt, duplicate, delay, unplug (after it passed), interrupt.

    When bytes cross is the clock's affair; that they cross is the `carrier`'s.
    """

    clock: Any
    device: HandPump
    carrier: Any
    name: str = "hand:pump"
    faults: list[Fault] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    lottery: Iterator[bool] | None = None
    closed: bool = False
    unplugged: bool = False
    reads: int = 0

    def __post_init__(self) -> None:
        self._decoder = StreamDecoder()
        self._replies = StreamDecoder()
        self._interrupt = False

    def fault(self, kind: str, message: type[Message], times: int = 1, delay_s: float = 0.0) -> None:
        self.faults.append(Fault(kind, message.TYPE, times, delay_s))

    @property
    def in_waiting(self) -> int:
        self._pull_if_unplugged()
        return self.carrier.in_waiting

    def write(self, data: bytes) -> None:
        self._pull_if_unplugged()
        for frame in self._decoder.feed(self.carrier.to_device(data)):
            self.log.append(f"sent {type(frame.message).__name__}")
            self._pass(frame, lambda raw: self._arrive(self.device.receive(raw)))

    def read(self, timeout_s: float) -> bytes:
        self.reads += 1
        if not self.unplugged and not self.carrier.in_waiting:
            self.clock.wait(timeout_s, until=lambda: self.unplugged or self._interrupt or self.carrier.in_waiting)
        if self._interrupt:
            self._interrupt = False
            raise KeyboardInterrupt
        self._pull_if_unplugged()
        return self.carrier.take()

    def close(self) -> None:
        self.closed = True

    def interrupt(self) -> None:
        """Ctrl-C, seen at the next wait."""
        self._interrupt = True

    def send_unasked(self, message: Message) -> None:
        self._arrive(self.device.notify(message))

    def send_raw(self, data: bytes) -> None:
        self.carrier.to_host(data)

    def _pull_if_unplugged(self) -> None:
        if self.unplugged:
            self.carrier.pull()

    def _arrive(self, data: bytes) -> None:
        for frame in self._replies.feed(data):
            self._pass(frame, self.send_raw)

    def _pass(self, frame: Any, deliver: Callable[[bytes], None]) -> None:
        raw = encode_frame(frame.type, frame.seq, frame.payload, trailer=frame.trailer)
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
def wire(clock: Any, device: HandPump, disk: Any, carrier: Any) -> Wire:
    return Wire(clock, device, carrier, log=disk.log)


@pytest.fixture
def open_pump(clock: Any, wire: Wire, disk: Any, tmp_path: Path) -> Callable[..., Pump]:
    """Opens the hand-made pump with a journal on the test's disk and a cache of schemas in the test's folder."""

    def open_it(**options: Any) -> Pump:
        options.setdefault("journal", Journal.in_directory("/journals", disk))
        options.setdefault("schemas", SchemaCache(tmp_path))
        options.setdefault("key", KeysInMemory())
        return Pump.open(wire, clock=clock, **options)

    return open_it


@pytest.fixture
def event() -> Callable[..., Event]:
    return lambda sequence, code=1, argument=0: Event(sequence, 0, code, argument)
