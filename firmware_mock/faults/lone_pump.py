"""A simulated pump and its cable alone: what a campaign needs of a station, with power that can go at any instant.

What the motor does is noted where it is told to turn, so the truth about doses depends on no account of the firmware.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from firmware_mock.faults.line import FaultyPort
from firmware_mock.firmware.clock import DeviceClock
from firmware_mock.firmware.motor import Motor
from firmware_mock.firmware.pump import PumpFirmware
from firmware_mock.physics.battery import Battery
from firmware_mock.physics.effects import PumpEffects
from firmware_mock.physics.head import Head
from firmware_mock.physics.thermostat import HeadThermometer, Thermostat
from firmware_mock.world import World, to_ns
from protocol.profile import ModelProfile

SERIAL_NUMBER = "SIM-P-0001"
BEFORE_MOTOR_STARTS, AFTER_MOTOR_STARTED = 1, 2
AT_ONCE, IN_A_WRITE = 0, 5

_STARTS_UTC_S = 1_795_219_200
_RIG = {"pump": {"head_thermometer": {"standard_uncertainty_k": 0.0}}}


@dataclass(slots=True)
class Turning:
    """One stretch of the motor: `planned` steps, None for as long as it is left to; `made` so far or in all."""

    began_ns: int
    planned: int | None
    began_at_steps: int
    made: int = 0


class _PowerCut(Exception):
    """Carries a loss of power out of the firmware's code to the edge of the device."""


class _WatchedMotor(Motor):
    """The motor, with every order to it noted, and a place before and after where power may go."""

    pump: LonePump

    def run(self, step_ticks: int) -> None:
        super().run(step_ticks)
        self.pump.turns(None)

    def run_steps(self, step_ticks: int, steps: int, on_done: Callable[[], None]) -> None:
        self.pump.at_seam(BEFORE_MOTOR_STARTS)
        super().run_steps(step_ticks, steps, lambda: self.pump.guarded(on_done))
        self.pump.turns(steps)
        self.pump.at_seam(AFTER_MOTOR_STARTED)

    def halt(self) -> None:
        super().halt()
        self.pump.stands()


class LonePump:
    """The pump, at the end of `port`. Powers up on construction; `clock_error_ppm` is its crystal's."""

    def __init__(self, world: World, profile: ModelProfile, *, clock_error_ppm: float = 0.0) -> None:
        effects = PumpEffects(clock_error_ppm=clock_error_ppm)
        thermostat = Thermostat(world, profile.head_temperature_c, effects)
        self._world = world
        self._head = Head(world, profile, effects, thermostat)
        self._clock = DeviceClock(world, effects)
        self._battery = Battery(
            profile.battery_energy_j, 0.0, profile.battery_base_power_uw, profile.battery_step_energy_uj
        )
        self._thermometer = HeadThermometer(world, thermostat, _RIG)
        self._profile = profile
        self._motor = _WatchedMotor(world, self._head, self._battery, self._clock)
        self._motor.pump = self
        self._past: list[Turning] = []
        self._turning: Turning | None = None
        self._is_off = False
        self._deaf_until_ns = 0
        self._is_guarded = False
        self._cut: tuple[int, float, Callable[[], None]] | None = None
        self.port = FaultyPort(world, "pump")
        self.port.pump = self
        self._firmware = self.new_firmware()

    @property
    def step_volume_ul(self) -> float:
        """What a step moves."""
        return self._profile.step_volume_nl * 1e-3

    @property
    def steps(self) -> int:
        """Steps that the rotor made since manufacture."""
        return self._head.counted_steps(self._world.now_ns)

    def turnings(self) -> tuple[Turning, ...]:
        """Every stretch of the motor, the present one included."""
        self.stands()
        return tuple(self._past)

    def new_firmware(self) -> PumpFirmware:
        """Firmware with an empty memory, powered up."""
        return PumpFirmware(
            self._world,
            self.port,
            self._profile,
            self._motor,
            self._clock,
            self._battery,
            self._thermometer,
            serial_number=SERIAL_NUMBER,
            filled_ul=self._profile.reservoir_volume_ul,
            starts_utc_s=_STARTS_UTC_S,
        )

    @property
    def is_on(self) -> bool:
        """Whether it hears and speaks."""
        return not self._is_off and self._world.now_ns >= self._deaf_until_ns

    def reset(self, deaf_s: float) -> None:
        """Restart the firmware; it says and hears nothing for a while."""
        if not self._is_off:
            self.restart()
            self._deaf_until_ns = self._world.now_ns + to_ns(deaf_s)

    def restart(self) -> None:
        """What the firmware does when it gets a reset."""
        self._firmware.reboot()

    def cut_power(self, seam: int, off_s: float, delay_ns: int, on_cut: Callable[[], None]) -> None:
        """Take power away now, at the next place of a kind in what the firmware does, or after `delay_ns`, be it in the
        middle of a write to its memory; `on_cut` is told.
        """
        if seam == IN_A_WRITE:
            at_ns = self._world.now_ns + delay_ns
            self._firmware.cut_power_at(at_ns, off_s, lambda: self._goes_dark(off_s, on_cut))
            return
        self._cut = (seam, off_s, on_cut)
        if seam == AT_ONCE:
            self._lose_power()

    def spare(self) -> None:
        """Take no power away where it has not yet gone."""
        self._cut = None

    def stall(self) -> bool:
        """Stop the rotor without telling the firmware; whether it turned."""
        turned = self._head.steps_per_s(self._world.now_ns) > 0.0
        self._head.halt()
        return turned

    def guarded(self, act: Callable[[], None]) -> None:
        """Let the firmware act; where power goes meanwhile, it gets no further."""
        if self._is_guarded:
            act()
            return
        self._is_guarded = True
        try:
            act()
        except _PowerCut:
            self._lose_power()
        finally:
            self._is_guarded = False

    def at_seam(self, seam: int) -> None:
        """A place where power may go.

        Raises:
            _PowerCut: it does.
        """
        if self._cut is not None and self._cut[0] == seam and self._is_guarded:
            raise _PowerCut

    def turns(self, planned: int | None) -> None:
        """The motor was told to turn."""
        self.stands()
        self._turning = Turning(self._world.now_ns, planned, self.steps)

    def stands(self) -> None:
        """Count what the present stretch has made; it ends where the motor was told to stand."""
        turning = self._turning
        if turning is None:
            return
        self._turning = None
        turning.made = self.steps - turning.began_at_steps
        self._past.append(turning)

    def _lose_power(self) -> None:
        if self._cut is None or self._is_off:
            return
        _, off_s, on_cut = self._cut
        self._cut = None
        self._goes_dark(off_s, on_cut)
        self._firmware.cut_power(off_s)

    def _goes_dark(self, off_s: float, on_cut: Callable[[], None]) -> None:
        self._is_off = True
        self._world.after(off_s, self._lights_up)
        on_cut()

    def _lights_up(self) -> None:
        self._is_off = False
