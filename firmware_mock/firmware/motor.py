"""The motor driver: step periods on the timer's grid, counted steps, and the energy they take."""

from __future__ import annotations

from collections.abc import Callable

from firmware_mock.firmware.clock import DeviceClock
from firmware_mock.physics.battery import Battery
from firmware_mock.physics.head import FRACTION_BITS, Head
from firmware_mock.world import Event, World

TICK_US = 1
_TICKS_PER_H = 3_600_000_000 // TICK_US
_PS_PER_S = 1_000_000_000_000


def nearest_ticks(rate_ul_per_h: float, step_volume_nl: float, *, lowest: float, highest: float) -> int:
    """The step period, in timer ticks, whose rate is nearest and within the limits, all in µL/h."""
    ticks = max(1, round(_TICKS_PER_H * step_volume_nl * 1e-3 / rate_ul_per_h))
    if realised_ul_per_h(ticks, step_volume_nl) > highest:
        return ticks + 1
    if realised_ul_per_h(ticks, step_volume_nl) < lowest:
        return ticks - 1
    return ticks


def realised_ul_per_h(step_ticks: int, step_volume_nl: float) -> float:
    """The rate that a step period gives."""
    return _TICKS_PER_H * step_volume_nl * 1e-3 / step_ticks


class Motor:
    """Drives the head; `on_change` is called after each start, change of rate and halt.

    The step counters are registers that a reset leaves alone and a loss of power clears. `missed_steps` of the run
    before the present one were due by the timer and not seen by the encoder. `on_slip` is called as the encoder ceases
    to see the steps of the present run, and as it sees them again.
    """

    def __init__(self, world: World, head: Head, battery: Battery, clock: DeviceClock) -> None:
        self.on_change: Callable[[], None] = lambda: None
        self.on_slip: Callable[[], None] = lambda: None
        head.on_slip = lambda: self.on_slip()
        self._world = world
        self._head = head
        self._battery = battery
        self._clock = clock
        self._done: Event | None = None
        self._counted_before = 0
        self.missed_steps = 0
        self._missed_before = 0
        self._due_before = 0
        self._period_ps = 0
        self._began_ns = 0
        self._began_at_steps = 0

    @property
    def steps(self) -> int:
        """Counted steps since manufacture: those that the rotor made, as its encoder sees them.

        Those that it may have made before power was lost count as made.
        """
        return self._counted_before + self._head.counted_steps(self._world.now_ns)

    @property
    def commanded_steps(self) -> int:
        """Steps since manufacture that the timer asked for, made or not."""
        return self.steps + self._missed_before + self._missed_in_run()

    @property
    def head(self) -> Head:
        """What it drives."""
        return self._head

    @property
    def period_ps(self) -> int:
        """Between two steps as the timer was last told, in ps; 0 at standstill."""
        return self._period_ps

    @property
    def has_missed_all(self) -> bool:
        """Whether steps of the present run were due and the encoder saw none of them."""
        return self.steps == self._began_at_steps and self._missed_in_run() > 0

    @property
    def due_parts(self) -> int:
        """What the timer has asked for since manufacture, in 2^-40 steps."""
        return self._due_before + self._due_in_run()

    @property
    def follows(self) -> bool:
        """Whether the rotor makes the steps that it is driven to, none more and none less."""
        return self._head.follows

    def forgive(self) -> None:
        """What the run before the present one missed has been told."""
        self.missed_steps = 0

    @property
    def has_made_some(self) -> bool:
        """Whether the encoder saw steps of the present run."""
        return self._period_ps != 0 and self.steps > self._began_at_steps

    @property
    def began_ns(self) -> int | None:
        """When the present run began; None at standstill."""
        return self._began_ns if self._period_ps else None

    @property
    def unseen_since_ns(self) -> int | None:
        """When the encoder saw the last step of the present run, or that began; None while it sees what is due."""
        return self._head.stalled_since_ns

    def run(self, step_ticks: int) -> None:
        """Make a step every so many ticks until told otherwise."""
        period_ps = self._clock.true_ps(step_ticks * TICK_US)
        self._end_run(period_ps)
        self._head.run(period_ps)
        self._changed()

    def run_steps(self, step_ticks: int, steps: int, on_done: Callable[[], None]) -> None:
        """Make so many steps, then call `on_done`."""
        period_ps = self._clock.true_ps(step_ticks * TICK_US)
        self._end_run(period_ps)
        done_ns = self._head.run_steps(period_ps, steps)
        self._done = self._world.at(done_ns, on_done)
        self._changed()

    def halt(self) -> None:
        """Stand still."""
        self._end_run(0)
        self._head.halt()
        self._changed()

    def counts_ns(self, steps: int) -> int | None:
        """When the counter reaches a value as the motor now runs; None for never."""
        return self._head.counts_ns(steps - self._counted_before)

    def forget_run(self) -> None:
        """Tell nobody of the present run's end; it is made all the same."""
        if self._done is not None:
            self._done.cancel()
            self._done = None

    def counted_for_ns(self, steps: int) -> int:
        """How long ago the counter reached a value of the present run, or since the motor was last told something."""
        reached_ns = self.counts_ns(steps)
        return 0 if reached_ns is None else max(0, self._world.now_ns - reached_ns)

    def count_from(self, steps: int) -> None:
        """After power was lost: count on from a value; the motor stands still."""
        self._counted_before += steps - self.steps
        self.missed_steps = self._missed_before = 0
        self._began_at_steps = steps

    def _end_run(self, next_period_ps: int) -> None:
        self.forget_run()
        if self._period_ps:
            self.missed_steps = self._missed_in_run()
            self._missed_before += self.missed_steps
            self._due_before += self._due_in_run()
        self._period_ps, self._began_ns, self._began_at_steps = next_period_ps, self._world.now_ns, self.steps

    def _missed_in_run(self) -> int:
        if not self._period_ps:
            return 0
        due = self._due_in_run() >> FRACTION_BITS
        return max(0, due - (self.steps - self._began_at_steps))

    def _due_in_run(self) -> int:
        if not self._period_ps:
            return 0
        return ((self._world.now_ns - self._began_ns) * 1000 << FRACTION_BITS) // self._period_ps

    def _changed(self) -> None:
        self._battery.draw_from(self._world.now_ns, _PS_PER_S / self._period_ps if self._period_ps else 0.0)
        self.on_change()
