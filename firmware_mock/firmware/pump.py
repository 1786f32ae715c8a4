"""The pump as its host sees it: requests in, replies, telemetry and events out, on one port."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from firmware_mock.firmware.accounts import Accounts
from firmware_mock.firmware.alarms import Alarms
from firmware_mock.firmware.clock import DeviceClock
from firmware_mock.firmware.motor import Motor
from firmware_mock.firmware.nvram import Memory, Nvram
from firmware_mock.firmware.proposals import Proposable, RefusedRequest, plan
from firmware_mock.firmware.telemetry import TelemetryStream
from firmware_mock.firmware.therapy import Therapy
from firmware_mock.firmware.tokens import Tokens
from firmware_mock.physics.battery import Battery
from firmware_mock.physics.thermostat import HeadThermometer
from firmware_mock.ports import Port
from firmware_mock.world import Event as WorldEvent
from firmware_mock.world import World
from protocol import (
    MAX_PAYLOAD_BYTES,
    PROTOCOL_MAJOR,
    PROTOCOL_MINOR,
    SCHEMA_HASH,
    Ack,
    Calibration,
    CalibrationRequest,
    CommandResult,
    CommandResultRequest,
    Commit,
    DeviceSession,
    Event,
    EventCode,
    Hello,
    HelloRequest,
    Message,
    Nak,
    NakReason,
    Proposal,
    ProposeBolus,
    ProposeCalibration,
    ProposeContinuous,
    Status,
    StatusRequest,
    Stop,
    Stopped,
    Stream,
    Subscribe,
    Telemetry,
)
from protocol.profile import ModelProfile

FIRMWARE_VERSION = "1.0.0-mock"


class PumpFirmware:
    """Powers up on construction. `filled_ul` is what it was told at the last refill."""

    def __init__(
        self,
        world: World,
        port: Port,
        profile: ModelProfile,
        motor: Motor,
        clock: DeviceClock,
        battery: Battery,
        thermometer: HeadThermometer,
        *,
        serial_number: str,
        filled_ul: float,
    ) -> None:
        self._world = world
        self._port = port
        self._profile = profile
        self._serial_number = serial_number
        self._motor = motor
        self._clock = clock
        self._battery = battery
        self._thermometer = thermometer
        self._nvram = Nvram(
            Memory(
                step_volume_nl=profile.step_volume_nl,
                previous_step_volume_nl=profile.step_volume_nl,
                reservoir_ul=filled_ul,
                reservoir_at_steps=motor.steps,
            )
        )
        self._session = DeviceSession()
        self._event_sequence = 0
        self._tokens = Tokens(world)
        self._accounts = Accounts(self._nvram, motor)
        self._therapy = Therapy(self._nvram, motor, self._accounts, self._announce)
        self._alarms = Alarms(world, self._accounts, motor, battery, profile.reservoir_alarm_ul, self._announce)
        self._stream = TelemetryStream(world, clock, lambda: port.unsent_bytes, self._send_telemetry)
        self._answers: dict[type[Message], Callable[..., Message]] = {
            HelloRequest: self._hello,
            StatusRequest: self._status,
            ProposeContinuous: self._propose,
            ProposeBolus: self._propose,
            ProposeCalibration: self._propose,
            Commit: self._commit,
            CommandResultRequest: self._command_result,
            Stop: self._stop,
            CalibrationRequest: self._calibration,
            Subscribe: self._subscribe,
        }
        self._exhaustion: WorldEvent | None = None
        motor.on_change = self._motor_changed
        port.on_receive = self._receive
        self._boot()

    def reboot(self) -> None:
        """A reset: what is not in memory is lost, infusion resumes, a bolus is interrupted."""
        self._world.ledger.saw("pump.reboot")
        self._boot()

    def _boot(self) -> None:
        memory = self._nvram.memory
        self._nvram.write(replace(memory, boot_id=memory.boot_id + 1))
        self._session = DeviceSession()
        self._event_sequence = 0
        self._tokens.kill()
        self._stream.reset()
        self._clock.reset()
        self._accounts.reset()
        self._alarms.reset()
        self._announce(EventCode.BOOT)
        self._therapy.recover()

    def _motor_changed(self) -> None:
        self._alarms.watch()
        if self._exhaustion is not None:
            self._exhaustion.cancel()
        self._exhaustion = self._world.at(self._battery.reaches_ns(0.0), self._power_lost)

    def _power_lost(self) -> None:
        """The battery is flat: the motor stands still, the port is dead."""
        self._world.ledger.saw("pump.battery_exhausted")
        self._port.on_receive = None
        self._motor.on_change = self._alarms.end
        self._stream.end()
        self._motor.halt()

    def _receive(self, data: bytes) -> None:
        for request in self._session.receive(data, self._world.monotonic()):
            try:
                answer = self._answers[type(request.message)](request.message)
            except RefusedRequest as refusal:
                answer = Nak(refusal.reason, refusal.detail)
            self._session.reply(request.seq, answer)
        self._send()

    def _send(self) -> None:
        data = self._session.data_to_send()
        if data:
            self._port.send(data)

    def _hello(self, _: HelloRequest) -> Hello:
        self._stream.end()
        memory = self._nvram.memory
        return Hello(
            protocol_major=PROTOCOL_MAJOR,
            protocol_minor=PROTOCOL_MINOR,
            schema_hash=SCHEMA_HASH,
            capabilities=0,
            mtu=MAX_PAYLOAD_BYTES,
            boot_id=memory.boot_id,
            last_command_id=memory.last_command_id,
            model=self._profile.name,
            serial_number=self._serial_number,
            firmware_version=FIRMWARE_VERSION,
        )

    def _status(self, _: StatusRequest) -> Status:
        now_ns, memory = self._world.now_ns, self._nvram.memory
        return Status(
            device_time_us=self._clock.now_us(),
            boot_id=memory.boot_id,
            mode=self._therapy.mode,
            alarms=self._alarms.active(),
            rate_ul_per_h=self._therapy.rate_ul_per_h,
            steps=self._motor.steps,
            delivered_ul=self._accounts.delivered_ul,
            reservoir_ul=self._accounts.reservoir_ul,
            battery_mv=self._battery.millivolts(now_ns),
            head_temperature_c=self._thermometer.reading_c(now_ns),
            step_volume_nl=memory.step_volume_nl,
            last_command_id=memory.last_command_id,
            active_command_id=self._therapy.active_command_id,
        )

    def _propose(self, proposed: Proposable) -> Proposal:
        memory = self._nvram.memory
        if proposed.command_id <= memory.last_command_id:
            highest = memory.last_command_id
            raise RefusedRequest(NakReason.STALE_COMMAND_ID, f"command_id must be above {highest}")
        return self._tokens.issue(plan(proposed, self._profile, self._therapy, memory.step_volume_nl))

    def _commit(self, commit: Commit) -> CommandResult:
        if commit.command_id > self._nvram.memory.last_command_id:
            self._tokens.redeem(commit).carry_out()
        return self._therapy.result(commit.command_id)

    def _command_result(self, request: CommandResultRequest) -> CommandResult:
        return self._therapy.result(request.command_id)

    def _stop(self, _: Stop) -> Stopped:
        self._therapy.stop()
        pending_id = self._tokens.pending_command_id
        if pending_id is not None:
            self._tokens.kill()
            self._therapy.burn(pending_id)
        return Stopped(self._clock.now_us(), self._motor.steps, self._accounts.delivered_ul)

    def _calibration(self, _: CalibrationRequest) -> Calibration:
        memory = self._nvram.memory
        return Calibration(
            step_volume_nl=memory.step_volume_nl,
            previous_step_volume_nl=memory.previous_step_volume_nl,
            nominal_step_volume_nl=self._profile.step_volume_nl,
            generation=memory.generation,
        )

    def _subscribe(self, request: Subscribe) -> Ack:
        self._stream.subscribe(request)
        return Ack()

    def _send_telemetry(self, sequence: int, overflow: int) -> None:
        now_ns = self._world.now_ns
        self._session.notify(
            Telemetry(
                stream=Stream.TELEMETRY,
                mode=self._therapy.mode,
                overflow=overflow,
                sequence=sequence,
                device_time_us=self._clock.now_us(),
                steps=self._motor.steps,
                rate_ul_per_h=self._therapy.rate_ul_per_h,
                head_temperature_c=self._thermometer.reading_c(now_ns),
                battery_mv=self._battery.millivolts(now_ns),
                alarms=self._alarms.active(),
            )
        )
        self._send()

    def _announce(self, code: EventCode, argument: int = 0) -> None:
        self._event_sequence += 1
        self._session.notify(Event(self._event_sequence, self._clock.now_us(), code, argument))
        self._send()
