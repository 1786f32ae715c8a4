"""Too few or too many steps: what the encoder saw in a window of time against what the timer asked for.

Windows follow each other from boot on. One in which the rotor followed shows nothing new, so its end is no event: only
when the rotor does not follow, or did not in the present window, is somebody there to look at its end.
"""

from __future__ import annotations

from collections.abc import Callable

from firmware_mock.firmware.clock import DeviceClock
from firmware_mock.firmware.motor import Motor
from firmware_mock.firmware.nvram import Nvram
from firmware_mock.physics.head import FRACTION_BITS
from firmware_mock.world import Event, World
from protocol import Alarm
from protocol.profile import ModelProfile

LEAST_STEPS = 10
_STEP = 1 << FRACTION_BITS
_US_PER_S = 1_000_000


class InfusionWatch:
    """A window that is off by more than the model's accuracy, to a step, raises `alarm`; a good one ends it.

    Windows with fewer than `LEAST_STEPS` say nothing, nor do those in which the motor was known to have stalled: that
    alarm says more. `on_found` is called when `alarm` has changed. Steps are counted in 2^-40 of one.

    Call `watch` whenever the motor was told something or the rotor began or ceased to follow.
    """

    def __init__(
        self,
        world: World,
        nvram: Nvram,
        motor: Motor,
        clock: DeviceClock,
        profile: ModelProfile,
        on_found: Callable[[], None],
    ) -> None:
        self.alarm = Alarm(0)
        self._world = world
        self._nvram = nvram
        self._motor = motor
        self._on_found = on_found
        self._window_ns = clock.true_ns(round(profile.infusion_check_s * _US_PER_S))
        self._limit_ppm = round(1e4 * profile.accuracy_limit_pct)
        self._due: Event | None = None
        self.reset()

    def reset(self) -> None:
        """Begin anew, as after a reset."""
        self.end()
        self.alarm = Alarm(0)
        self._first_ns = self._begins_ns = self._last_ns = self._world.now_ns
        self._begun_due = self._last_due = self._motor.due_parts
        self._begun_lag = self._last_lag = self._lag()
        self._last_period_ps = self._motor.period_ps
        self._stalled = self._nvram.memory.motor_stalled

    def watch(self) -> None:
        """Take note of how far encoder and timer are apart, and come back at the end of a window that may be off."""
        if self._due is not None and self._due.time_ns <= self._world.now_ns:
            self._judge()
        self._note()
        self.end()
        off = abs(self._last_lag - self._begun_lag) > 2 * _STEP
        if off or self.alarm or not self._motor.follows:
            self._due = self._world.at(self._begins_ns + self._window_ns, self._nvram.guarded(self._check))

    def end(self) -> None:
        """Look no longer."""
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def _lag(self) -> int:
        return self._motor.due_parts - self._motor.steps * _STEP

    def _note(self) -> None:
        """Where windows have begun since the last note, the rotor has followed since: the lag is what it was."""
        now_ns = self._world.now_ns
        begins_ns = now_ns - (now_ns - self._first_ns) % self._window_ns
        if begins_ns > self._begins_ns:
            self._begins_ns, self._begun_lag = begins_ns, self._last_lag
            self._begun_due = self._last_due
            if self._last_period_ps and begins_ns > self._last_ns:
                self._begun_due += ((begins_ns - self._last_ns) * 1000 << FRACTION_BITS) // self._last_period_ps
            self._stalled = False
        self._stalled |= self._nvram.memory.motor_stalled
        self._last_ns, self._last_due, self._last_lag = now_ns, self._motor.due_parts, self._lag()
        self._last_period_ps = self._motor.period_ps

    def _check(self) -> None:
        self._due = None
        self._judge()
        self.watch()

    def _judge(self) -> None:
        """A window that may be off ends now."""
        due, lag = self._motor.due_parts - self._begun_due, self._lag() - self._begun_lag
        self._stalled |= self._nvram.memory.motor_stalled
        before = self.alarm
        if due >= LEAST_STEPS * _STEP and not self._stalled:
            is_off = (abs(lag) - _STEP) * 1_000_000 > self._limit_ppm * due
            self.alarm = Alarm(0) if not is_off else Alarm.UNDER_INFUSION if lag > 0 else Alarm.OVER_INFUSION
        self._begins_ns = self._last_ns = self._world.now_ns
        self._begun_due = self._last_due = self._motor.due_parts
        self._begun_lag = self._last_lag = self._lag()
        self._last_period_ps = self._motor.period_ps
        self._stalled = self._nvram.memory.motor_stalled
        if self.alarm != before:
            self._on_found()
