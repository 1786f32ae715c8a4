"""What the pump watches over itself: alarms and their tones, self-test, service life, encoder, telemetry switch."""

from __future__ import annotations

from collections.abc import Callable

from firmware_mock.firmware.accounts import Accounts
from firmware_mock.firmware.alarms import Alarms
from firmware_mock.firmware.clock import DeviceClock
from firmware_mock.firmware.identity import Image
from firmware_mock.firmware.infusion_watch import InfusionWatch
from firmware_mock.firmware.motor import Motor
from firmware_mock.firmware.notices import Notices
from firmware_mock.firmware.nvram import Nvram
from firmware_mock.firmware.patient_bolus import PatientBoluses
from firmware_mock.firmware.self_test import SelfTest
from firmware_mock.firmware.service import Service
from firmware_mock.firmware.sounder import Heard, Sounder
from firmware_mock.firmware.stall_watch import StallWatch
from firmware_mock.firmware.telemetry_switch import TelemetrySwitch
from firmware_mock.firmware.therapy import Therapy
from firmware_mock.firmware.tokens import Tokens
from firmware_mock.physics.battery import Battery
from firmware_mock.physics.thermostat import HeadThermometer
from firmware_mock.world import World
from protocol import Alarm, EventCode, SelfTestItem
from protocol.profile import ModelProfile


class Upkeep:
    """`alarms` and `self_test` answer requests. What comes from outside acts only while the firmware `runs`.

    Call `watch` whenever the motor was told something, `slipped` when the rotor began or ceased to follow, and `end`
    when the firmware runs no longer.
    """

    def __init__(
        self,
        world: World,
        profile: ModelProfile,
        image: Image,
        nvram: Nvram,
        motor: Motor,
        clock: DeviceClock,
        battery: Battery,
        thermometer: HeadThermometer,
        accounts: Accounts,
        therapy: Therapy,
        patient: PatientBoluses,
        tokens: Tokens,
        stall_watch: StallWatch,
        announce: Callable[[EventCode, int], None],
        runs: Callable[[], bool],
        *,
        served_s: float,
    ) -> None:
        self._runs = runs
        self._nvram = nvram
        self._image = image
        self._stall_watch = stall_watch
        self._sounder = Sounder(world, clock, profile.sounder)
        self._infusion = InfusionWatch(world, nvram, motor, clock, profile, lambda: self.alarms.watch())
        notices = Notices(world, nvram, clock, self._sounder, profile.sounder, announce)
        self.alarms = Alarms(
            world,
            nvram,
            accounts,
            motor,
            clock,
            battery,
            profile,
            notices,
            lambda: self._infusion.alarm,
            self._empty,
            announce,
        )
        self.self_test = SelfTest(
            world, profile, image, nvram, clock, battery, thermometer, motor, therapy, tokens, announce
        )
        self._service = Service(world, nvram, clock, battery, profile, served_s, self._stop)
        self._switch = TelemetrySwitch(nvram, therapy, patient, tokens, announce)
        self._therapy = therapy
        self._tokens = tokens

    def start(self) -> None:
        """The firmware starts, and nothing is infused yet; what a loss of power has kept from being stopped is, now."""
        self.alarms.reset()
        self._infusion.reset()
        self.self_test.start()
        self._service.watch()
        if self._nvram.memory.conditions.bar is not None:
            self._stop()

    def watch(self) -> None:
        """The motor was told something, or the load of the battery is another."""
        self._stall_watch.watch()
        self._infusion.watch()
        self.alarms.watch()
        self.self_test.watch()
        self._service.watch()

    def slipped(self) -> None:
        """What the firmware will see at its next looks is another now."""
        self._stall_watch.watch()
        self._infusion.watch()
        self.alarms.watch()

    def end(self) -> None:
        """No timer of it comes to its end, and nothing sounds."""
        self.alarms.end()
        self._stall_watch.end()
        self._infusion.end()
        self.self_test.end()
        self._service.end()

    def close_switch(self) -> None:
        """A magnet comes to the telemetry switch, or the programmer asks for telemetry."""
        self._from_outside(self._switch.close)

    def open_switch(self) -> None:
        """It goes."""
        self._from_outside(self._switch.open)

    def let_switch_stick(self, sticks: bool) -> None:
        """Whether the telemetry switch is never seen open again."""
        self._switch.sticks = sticks

    def break_part(self, item: SelfTestItem) -> None:
        """What an item of the self-test looks at is broken from now on; the next test will find it."""
        if item & SelfTestItem.FIRMWARE_IMAGE:
            self._image.content = bytes([self._image.content[0] ^ 1]) + self._image.content[1:]
        self.self_test.broken |= item & ~SelfTestItem.FIRMWARE_IMAGE
        self.suspect()

    def mend_part(self, item: SelfTestItem) -> None:
        """It is in order again; the image is programmed anew."""
        if item & SelfTestItem.FIRMWARE_IMAGE:
            self._image.content = Image.programmed().content
        self.self_test.broken &= ~item
        self.suspect()

    def suspect(self) -> None:
        """Something that the self-test looks at may be another."""
        if self._runs():
            self.self_test.suspect()

    def tones(self, from_ns: int, until_ns: int) -> list[Heard]:
        """What the sounder gave, and as things are will give, from an instant of the world until before another."""
        return self._sounder.tones(from_ns, until_ns)

    def _empty(self) -> None:
        """The programmed volume is used up, unless there was a refill or a loss of power at the same instant."""
        if self._runs() and self.alarms.active() & Alarm.EMPTY_RESERVOIR:
            self._stop()

    def _stop(self) -> None:
        """Nothing is infused any more."""
        self._tokens.kill()
        if self._nvram.memory.in_hand is not None:
            self._therapy.stop()

    def _from_outside(self, act: Callable[[], None]) -> None:
        if self._runs():
            self._nvram.guarded(act)()
