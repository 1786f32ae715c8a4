"""The pump as its host sees it: the parts put together, requests in, replies and notifications out, on one port."""

from __future__ import annotations

import random
from collections.abc import Callable

from firmware_mock.firmware.accounts import Accounts
from firmware_mock.firmware.answers import Answers
from firmware_mock.firmware.clock import Clocks, DeviceClock
from firmware_mock.firmware.dosing import Dosing
from firmware_mock.firmware.flash import Flash, PowerLost
from firmware_mock.firmware.identity import Identity, Image
from firmware_mock.firmware.inside import Inside
from firmware_mock.firmware.keys import Keys
from firmware_mock.firmware.lease import ControlLease
from firmware_mock.firmware.logs import Logs
from firmware_mock.firmware.memory import Memory
from firmware_mock.firmware.motor import Motor
from firmware_mock.firmware.nvram import Nvram
from firmware_mock.firmware.outcomes import Outcomes
from firmware_mock.firmware.patient_bolus import PatientBoluses
from firmware_mock.firmware.power import Power
from firmware_mock.firmware.proposals import Planner
from firmware_mock.firmware.readings import Readings
from firmware_mock.firmware.rot import rot_bits, rot_page
from firmware_mock.firmware.settings import Settings
from firmware_mock.firmware.stall_watch import StallWatch
from firmware_mock.firmware.telemetry import Streams
from firmware_mock.firmware.therapy import Therapy
from firmware_mock.firmware.tokens import Tokens
from firmware_mock.firmware.upkeep import Upkeep
from firmware_mock.firmware.watchdog import Watchdog
from firmware_mock.physics.battery import Battery
from firmware_mock.physics.thermostat import HeadThermometer
from firmware_mock.ports import Port
from firmware_mock.world import Event as WorldEvent
from firmware_mock.world import World
from protocol import DeviceRequest, DeviceSession, Event, EventCode, EventRecord, Message, ResetCause, Stream
from protocol.profile import ModelProfile


class PumpFirmware:
    """Powers up on construction. `filled_ul` is what it was told at the last refill.

    `key` is what it was paired with, None for a pump that takes orders from everybody. `on_request` is told of each
    request before it is carried out, `on_answer` of both before the answer goes out, `on_event` of what it notes in its
    event log; `on_turn` is called when it has booted, hangs, has lost its power, or its button was pressed.
    `starts_utc_s`: UTC in seconds since 1970-01-01 when it was made, which is when the therapy clock began to run;
    `served_s`: how long it had been implanted then. `upkeep` takes what comes from outside other than by its port.
    """

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
        starts_utc_s: int,
        key: bytes | None = None,
        served_s: float = 0.0,
    ) -> None:
        self.on_request: Callable[[Message], None] = lambda request: None
        self.on_answer: Callable[[Message, Message], None] = lambda request, answer: None
        self.on_turn: Callable[[], None] = lambda: None
        self.on_event: Callable[[EventRecord], None] = lambda event: None
        self._world = world
        self._port = port
        self._profile = profile
        self._clock = clock
        self._battery = battery
        self._motor = motor
        self._flash = flash = Flash(world)
        self._power = Power(world, flash, self._power_fails, self._power_returns)
        self._nvram = nvram = Nvram(
            Memory(
                step_volume_nl=profile.step_volume_nl,
                previous_step_volume_nl=profile.step_volume_nl,
                reservoir_ul=filled_ul,
                reservoir_at_steps=motor.steps,
                clock_utc_s=starts_utc_s,
                clock_set_at_us=clock.running_us(),
                stood_since_us=clock.running_us(),
                key=key,
            ),
            flash,
            motor,
            profile.reserved_steps,
        )
        self._keys = Keys(world, nvram, serial_number, self._announce)
        self._session = DeviceSession(self._keys.guard)
        self._event_sequence = 0
        self._exhaustion: WorldEvent | None = None
        self._image = Image.programmed()
        self._identity = Identity(profile.name, serial_number, self._image, nvram, clock)
        self._logs = Logs(nvram, clock)
        self._tokens = Tokens(world)
        self._accounts = Accounts(nvram, motor)
        self._watchdog = Watchdog(world, nvram, motor, lambda: self._reset(ResetCause.WATCHDOG))
        stall_watch = StallWatch(world, nvram, motor, clock, profile.stall_check_s, self._announce)
        window_s = 0.0 if profile.programming is None else profile.programming.patient_window_max_s
        outcomes = Outcomes(nvram, motor, self._accounts, clock, self._logs, window_s)
        self._therapy = Therapy(world, nvram, motor, clock, outcomes, self._announce, stall_watch.seen_to_turn)
        self._patient = PatientBoluses(nvram, motor, clock, self._therapy)
        self._lease = ControlLease(world, nvram, self._therapy, self._tokens, self._announce)
        self.upkeep = Upkeep(
            world,
            profile,
            self._image,
            nvram,
            motor,
            clock,
            battery,
            thermometer,
            self._accounts,
            self._therapy,
            self._patient,
            self._tokens,
            stall_watch,
            self._announce,
            self._runs,
            served_s=served_s,
        )
        self._alarms = self.upkeep.alarms
        self._readings = Readings(
            world,
            nvram,
            clock,
            motor,
            self._accounts,
            self._therapy,
            self._alarms,
            battery,
            thermometer,
            profile.step_volume_nl,
        )
        samples = {
            Stream.TELEMETRY: self._readings.delivery,
            Stream.MOTOR: self._readings.motor,
            Stream.POWER: self._readings.power,
        }
        self._streams = Streams(world, clock, lambda: port.unsent_bytes, samples, self._notify)
        settings = Settings(nvram, self._accounts, clock, self._logs, self._announce, self._therapy.follow_clock)
        planner = Planner(
            profile, nvram, self._accounts, self._therapy, settings, self._patient, lambda: self._lease.is_held
        )
        self._dosing = dosing = Dosing(
            nvram, planner, self._tokens, self._therapy, outcomes, self._readings.stopped, self._announce
        )
        self._answers = Answers(
            self._keys,
            self._lease,
            self._tokens,
            self._logs,
            self._streams,
            self._identity,
            self._readings,
            Clocks(nvram, clock),
            self._therapy,
            self._patient,
            dosing,
            self.upkeep,
        )
        nvram.on_write = self._alarms.watch
        nvram.on_power_lost = self._power.lost_in_write
        motor.on_change = self._motor_changed
        motor.on_slip = nvram.guarded(self._motor_slipped)
        battery.on_change = self._motor_changed
        port.on_receive = self._receive
        self._boot(ResetCause.POWER_ON, motor.steps, motor.steps)

    def reboot(self) -> None:
        """A reset: what is not in memory is lost, the therapy resumes, a bolus is interrupted, the lease is over.

        The step counter lives on in a part of RAM that only a loss of power clears.
        """
        if self._power.is_on:
            self._world.ledger.saw("pump.reboot")
            self._reset(ResetCause.SOFTWARE)

    def hang(self) -> None:
        """The main loop stops: nothing is heard, said, noted or decided until the watchdog resets."""
        if not self._power.is_on or self._watchdog.starves:
            return
        self._world.ledger.saw("pump.hang")
        self._falls_silent()
        self._watchdog.starve()
        self.on_turn()

    def rot(self, stream: random.Random, *, bits: int = 0, slots: int = 0) -> None:
        """What is stored decays at rest: so many bits of it, so many slots of the image; the next start will show."""
        for slot in stream.sample(self._nvram.slots, slots):
            rot_page(slot, stream)
        rot_bits(self._nvram.stored(), bits, stream)
        self.upkeep.suspect()

    @property
    def inside(self) -> Inside:
        """Its parts, to look at."""
        return Inside(
            self._world,
            self._profile,
            self._clock,
            self._battery,
            self._motor,
            self._nvram,
            self._power,
            self._watchdog,
            self._accounts,
            self._therapy,
            self.upkeep,
        )

    @property
    def memory_is_lost(self) -> bool:
        """Whether it found no whole image at its last start."""
        return self._nvram.is_lost

    def cut_power(self, off_s: float) -> None:
        """Power goes now, and is back `off_s` later: a reset that also loses what was counted since the last record."""
        self._power.cut(off_s)

    def cut_power_at(self, time_ns: int, off_s: float, told: Callable[[], None] = lambda: None) -> None:
        """The same at an instant, be it in the middle of a write; `told` is called when it happens."""
        self._power.cut_at(time_ns, off_s, told)

    def observe(self, before_work: Callable[[int, int], None], after_write: Callable[[Memory], None]) -> None:
        """Have it told when the memory chip is about to work, from when to when in ns, and what each write has left."""
        watch = self._nvram.on_write

        def written() -> None:
            after_write(self._nvram.memory)
            watch()

        self._flash.before_work = before_work
        self._nvram.on_write = written

    def press_button(self) -> None:
        """The patient asks for a bolus; what is refused is logged. Nothing happens where the firmware does not run."""
        if self._runs():
            self._nvram.guarded(self._dosing.press_button)()
            self.on_turn()

    def press_pairing_button(self) -> None:
        """Have it take the next key that it is given at its port."""
        self._keys.is_pairing = True

    def _boot(self, cause: ResetCause, low_steps: int, high_steps: int) -> None:
        self._keys.reset()
        self._session = DeviceSession(self._keys.guard)
        self._event_sequence = 0
        self._identity.reset_cause = cause
        self._tokens.kill()
        self._streams.reset()
        self._clock.reset()
        self._accounts.reset()
        self.upkeep.end()
        self._logs.reset()
        self._therapy.after_reset(self._next_boot_id(), low_steps, high_steps)
        self._logs.complete(self._nvram.memory)
        self._announce(EventCode.BOOT, cause)
        self.upkeep.start()
        self._lease.reset()
        self._therapy.resume()
        self.on_turn()

    def _reset(self, cause: ResetCause) -> None:
        self._watchdog.end()
        self._nvram.start()
        steps = self._motor.steps
        self._nvram.guarded(lambda: self._boot(cause, steps, steps))()

    def _next_boot_id(self) -> int:
        """Where the memory is lost, the log still knows the one before; each damaged record may tell of another."""
        if not self._nvram.is_lost:
            return self._nvram.memory.boot_id + 1
        events = self._nvram.events
        known = [record.boot_id for record in events.newest_few(1)]
        return 1 + events.damaged_at_the_end() + max(known, default=0)

    def _motor_slipped(self) -> None:
        """What the firmware will see at its next looks is another now."""
        if self._runs():
            self.upkeep.slipped()

    def _runs(self) -> bool:
        return self._power.is_on and not self._watchdog.starves

    def _motor_changed(self) -> None:
        if self._watchdog.starves:
            return
        if self._power.is_on:
            self.upkeep.watch()
        if self._exhaustion is not None:
            self._exhaustion.cancel()
        flat_ns = max(self._world.now_ns, self._battery.reaches_ns(0.0))
        self._exhaustion = self._world.at(flat_ns, self._battery_exhausted)

    def _battery_exhausted(self) -> None:
        self._world.ledger.saw("pump.battery_exhausted")
        self._motor.on_change = lambda: None
        self._power.end()

    def _power_fails(self) -> None:
        """The motor stands still, the port is dead."""
        self._world.ledger.saw("pump.power_lost")
        self._nvram.lose_power()
        self._watchdog.end()
        self._falls_silent()
        self._motor.halt()
        self.on_turn()

    def _falls_silent(self) -> None:
        """No timer of the firmware comes to its end."""
        self.upkeep.end()
        self._therapy.flex.end()
        self._lease.end()
        self._streams.end()

    def _power_returns(self, cause: ResetCause) -> None:
        self._nvram.start()
        low_steps, high_steps = self._nvram.step_counts()
        self._motor.count_from(high_steps)
        self._nvram.guarded(lambda: self._boot(cause, low_steps, high_steps))()

    def _receive(self, data: bytes) -> None:
        if not self._runs():
            return
        try:
            for request in self._session.receive(data, self._world.monotonic()):
                self._session.reply(request.seq, self._answer(request))
        except PowerLost:
            self._power.lost_in_write()
            return
        self._send()

    def _answer(self, request: DeviceRequest) -> Message:
        self.on_request(request.message)
        answer = self._answers.to(request)
        self.on_answer(request.message, answer)
        return answer

    def _announce(self, code: EventCode, argument: int = 0) -> None:
        record = self._logs.add_event(code, argument)
        self.on_event(record)
        self._event_sequence += 1
        self._notify(Event(self._event_sequence, record.device_time_us, code, argument))

    def _notify(self, message: Message) -> None:
        self._session.notify(message)
        self._send()

    def _send(self) -> None:
        data = self._session.data_to_send()
        if data:
            self._port.send(data)
