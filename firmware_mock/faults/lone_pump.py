"""A simulated pump and its cable alone: what a campaign needs of a station, with power that can go at any instant.

What the motor does is noted where it is told to turn, so the truth about doses depends on no account of the firmware.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from firmware_mock.faults.line import FaultyPort
from firmware_mock.firmware.memory import Memory
from firmware_mock.firmware.motor import Motor
from firmware_mock.firmware.pump import PumpFirmware
from firmware_mock.firmware.watchdog import TIMEOUT_S
from firmware_mock.physics.effects import PumpEffects
from firmware_mock.pump_parts import NO_RIG, pump_parts
from firmware_mock.world import World, to_ns
from protocol import PairRequest, encode
from protocol.profile import ModelProfile

SERIAL_NUMBER = "SIM-P-0001"
BEFORE_MOTOR_STARTS, AFTER_MOTOR_STARTED = 1, 2
BEFORE_SENDING, AFTER_SENDING = 3, 4
AT_ONCE, IN_A_WRITE = 0, 5
BEFORE_MOTOR_RUNS_ON, AFTER_MOTOR_RUNS_ON, BEFORE_MOTOR_HALTS, AFTER_MOTOR_HALTED = 6, 7, 8, 9

PAIRING_S = 1.0

_SLOTS = 2
_STARTS_UTC_S = 1_795_219_200


@dataclass(slots=True)
class Turning:
    """A stretch of the motor, a step every `step_ticks`: `planned`, None for as long as it is let; `made` so far."""

    began_ns: int
    planned: int | None
    began_at_steps: int
    step_ticks: int
    made: int = 0


@dataclass(frozen=True, slots=True)
class Setting:
    """What the memory held after a write, each with what tells one write of a value from another of the same.

    `calibration`: nL a step, generation. `filling`: µL, at a step count. `clock`: UTC in s, its offset, generation.
    """

    calibration: tuple[float, int]
    filling: tuple[float, int]
    clock: tuple[int, int, int]


class PowerCut(Exception):
    """Carries a loss of power out of the firmware's code to the edge of the device."""


class _Hang(Exception):
    """The same for code that gets no further."""


class _WatchedMotor(Motor):
    """The motor, with every order to it noted, and a place before and after where power may go."""

    pump: LonePump

    def run(self, step_ticks: int) -> None:
        self.pump.at_seam(BEFORE_MOTOR_RUNS_ON)
        super().run(step_ticks)
        self.pump.turns(None, step_ticks)
        self.pump.at_seam(AFTER_MOTOR_RUNS_ON)

    def run_steps(self, step_ticks: int, steps: int, on_done: Callable[[], None]) -> None:
        self.pump.at_seam(BEFORE_MOTOR_STARTS)
        super().run_steps(step_ticks, steps, lambda: self.pump.guarded(on_done))
        self.pump.turns(steps, step_ticks)
        self.pump.at_seam(AFTER_MOTOR_STARTED)

    def halt(self) -> None:
        self.pump.at_seam(BEFORE_MOTOR_HALTS)
        super().halt()
        self.pump.stands()
        self.pump.at_seam(AFTER_MOTOR_HALTED)


class LonePump:
    """The pump, at the end of `port`. Powers up on construction; `clock_error_ppm` is its crystal's, `key` its own.

    `settings` are what its memory held, one after the other.
    """

    def __init__(
        self,
        world: World,
        profile: ModelProfile,
        *,
        clock_error_ppm: float = 0.0,
        key: bytes | None = None,
        serial_number: str = SERIAL_NUMBER,
    ) -> None:
        effects = PumpEffects(clock_error_ppm=clock_error_ppm)
        self._world = world
        self._parts, _ = pump_parts(world, profile, effects, NO_RIG, motor=_WatchedMotor)
        self._head = self._parts.head
        self._profile = profile
        self.key = key
        self._serial_number = serial_number
        assert isinstance(self._parts.motor, _WatchedMotor)
        self._parts.motor.pump = self
        self.settings: list[Setting] = []
        self._past: list[Turning] = []
        self._turning: Turning | None = None
        self._is_off = False
        self._deaf_until_ns = 0
        self._is_guarded = False
        self._cut: tuple[int, float, Callable[[], None]] | None = None
        self._hang: tuple[int, float, Callable[[], None]] | None = None
        self.port = self.new_port()
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

    @property
    def turning(self) -> Turning | None:
        """What the motor was last told to turn for, None where it was told to stand."""
        return self._turning

    def turnings(self) -> tuple[Turning, ...]:
        """Every stretch of the motor, the present one included."""
        self.stands()
        return tuple(self._past)

    def pair(self, key: bytes) -> None:
        """Give it a key as at the factory: with the button pressed, and nobody at the line yet."""
        self.key = key
        self._firmware.press_pairing_button()
        receive = self.port.on_receive
        assert receive is not None
        receive(encode(PairRequest(key), seq=1))
        self._world.sleep(PAIRING_S)
        self.port.take_arrived()

    def new_port(self) -> FaultyPort:
        """The cable."""
        return FaultyPort(self._world, "pump")

    def new_firmware(self) -> PumpFirmware:
        """Firmware with an empty memory, powered up."""
        firmware = self._parts.powered_up(
            self._world,
            self.port,
            serial_number=self._serial_number,
            starts_utc_s=_STARTS_UTC_S,
            key=self.key,
        )
        firmware.observe(self.before_work, self._after_write)
        return firmware

    def before_work(self, begin_ns: int, end_ns: int) -> None:
        """The memory chip is about to work, from when to when."""

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

    def rot(self, amount: int, off_s: float, stream: random.Random) -> None:
        """Take power away, and let what is stored decay meanwhile: both slots of the memory for an `amount` of 0, one
        for 1, else one bit less than that.
        """
        if not self._is_off:
            self._goes_dark(off_s, lambda: None)
            self._firmware.cut_power(off_s)
        self._firmware.rot(stream, bits=max(0, amount - 1), slots=max(0, _SLOTS - amount))

    @property
    def memory_is_lost(self) -> bool:
        """Whether the firmware knows no more what was: it stands and takes no orders."""
        return self._firmware.memory_is_lost

    def hang(self, seam: int, deaf_s: float, on_hang: Callable[[], None]) -> None:
        """Let the firmware hang now or at the next place of a kind in what it does; `on_hang` is told.

        The watchdog resets it, and then it says and hears nothing for a while.
        """
        self._hang = (seam, deaf_s, on_hang)
        if seam == AT_ONCE and self.is_on:
            self._hangs()

    def spare(self) -> None:
        """Take no power away where it has not yet gone, and let nothing hang that does not yet."""
        self._cut = self._hang = None

    def stall(self) -> bool:
        """Stop the rotor without telling the firmware; whether it turned."""
        turned = self._head.steps_per_s(self._world.now_ns) > 0.0
        self._head.stall()
        return turned

    def guarded(self, act: Callable[[], None]) -> None:
        """Let the firmware act; where power goes meanwhile, it gets no further."""
        if self._is_guarded:
            act()
            return
        self._is_guarded = True
        try:
            act()
        except PowerCut:
            self._lose_power()
        except _Hang:
            self._hangs()
        finally:
            self._is_guarded = False

    def at_seam(self, seam: int) -> None:
        """A place where power may go, or the firmware get no further.

        Raises:
            PowerCut, _Hang: so it is.
        """
        if self._cut is not None and self._cut[0] == seam and self._is_guarded:
            raise PowerCut
        if self._hang is not None and self._hang[0] == seam and self._is_guarded:
            raise _Hang

    def turns(self, planned: int | None, step_ticks: int) -> None:
        """The motor was told to turn."""
        self.stands()
        self._turning = Turning(self._world.now_ns, planned, self.steps, step_ticks)

    def stands(self) -> None:
        """Count what the present stretch has made; it ends where the motor was told to stand."""
        turning = self._turning
        if turning is None:
            return
        self._turning = None
        turning.made = self.steps - turning.began_at_steps
        self._past.append(turning)

    def _after_write(self, memory: Memory) -> None:
        setting = Setting(
            (memory.step_volume_nl, memory.generation),
            (memory.reservoir_ul, memory.reservoir_at_steps),
            (memory.clock_utc_s, memory.clock_offset_s, memory.clock_generation),
        )
        if not self.settings or self.settings[-1] != setting:
            self.settings.append(setting)

    def _lose_power(self) -> None:
        if self._cut is None or self._is_off:
            return
        _, off_s, on_cut = self._cut
        self._cut = None
        self._goes_dark(off_s, on_cut)
        self._firmware.cut_power(off_s)

    def _hangs(self) -> None:
        if self._hang is None or self._is_off:
            return
        _, deaf_s, on_hang = self._hang
        self._hang = None
        self._firmware.hang()
        self._deaf_until_ns = self._world.now_ns + to_ns(TIMEOUT_S + deaf_s)
        on_hang()

    def _goes_dark(self, off_s: float, on_cut: Callable[[], None]) -> None:
        self._is_off = True
        self._world.after(off_s, self._lights_up)
        on_cut()

    def _lights_up(self) -> None:
        self._is_off = False
