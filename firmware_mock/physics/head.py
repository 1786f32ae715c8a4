"""The peristaltic head: a rotor that turns between commands, and the law of what its rollers move.

Q = f·V_step·(1 - s·ΔP)·(1 - w·N^p)·(1 + c·exp(-h/τ))·(1 + α·ΔT)·[1 + Σ a_k cos(k·n·θ)] + G·(P_reservoir - P_outlet)

The rotor's position is an integer in 2^-40 steps, the period between steps an integer in picoseconds: counted steps are
the floor of the position, so none is counted twice and a halt between two steps loses nothing. What belongs to the
unit itself is its *mean law*; the pulsation averages out over a revolution, and the seat of the tubing is a random
factor on the stroke volume, drawn anew at each start of the motor and each change of its rate.
"""

from __future__ import annotations

import cmath
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import exp, log, pi

from firmware_mock.physics.effects import PumpEffects
from firmware_mock.physics.thermostat import Thermostat
from firmware_mock.world import NS_PER_S, World
from protocol.profile import ModelProfile

HOUR_NS = 3600 * NS_PER_S
PS_PER_NS = 1000
FRACTION_BITS = 40
ALL_PPM = 1_000_000
LARGEST_CREEP_CHANGE = 4e-4
LARGEST_WEAR_CHANGE = 1e-4


@dataclass(frozen=True, slots=True)
class HeadLaw:
    """What the head does from one instant until `end_ns` (None: for good), with t in seconds from that instant.

    Into an outlet at rest it moves `mean_ul_per_s`·(1 + creep·exp(-creep_decay·t))·seat·(1 + Re Σ a·exp(ω t)) + leak;
    each hPa that builds up in the line takes `loss_ul_per_s_per_hpa` off, by the mean flow at the start (pulsation
    times pressure averages out). Volumes in µL at `head_temperature_c`, constant in a segment, as is the wear: at its
    exact mean over the planned segment, in which it changes by at most 1e-4. Creep is exact.
    """

    end_ns: int | None
    head_temperature_c: float
    mean_ul_per_s: float = 0.0
    creep: float = 0.0
    creep_decay_per_s: float = 0.0
    seat: float = 1.0
    waves: tuple[tuple[complex, complex], ...] = ()
    leak_ul_per_s: float = 0.0
    loss_ul_per_s_per_hpa: float = 0.0
    evidence: tuple[str, ...] = ()

    def averaged(self) -> HeadLaw:
        """The unit's mean law: over rotor phase and over the seats of its starts."""
        return replace(self, seat=1.0, waves=())


@dataclass(frozen=True, slots=True)
class _Stall:
    """The rotor stands since `since_ns`, its last step made at `last_step_ns`, while it is driven as before."""

    since_ns: int
    last_step_ns: int
    period_ps: int
    last_position: int | None

    def last_position_at(self, t_ns: int) -> int | None:
        """Where it would get to from where it stands, were it freed then; None for no end."""
        if self.last_position is None:
            return None
        return self.last_position - (((t_ns - self.since_ns) * PS_PER_NS) << FRACTION_BITS) // self.period_ps


class Head:
    """The rotor and its tubing. `on_change` is called after each start, change of rate, halt, stall and end of one.

    `on_slip` is called as the rotor ceases to follow what drives it, and as it follows again, though nothing was told
    to change. `reservoir_hpa` is the reservoir's gauge pressure for the next law, and `longest_ns` the longest that one
    holds; whoever lets it be longer than an hour knows that the head's temperature does not change.
    """

    def __init__(self, world: World, profile: ModelProfile, effects: PumpEffects, thermostat: Thermostat) -> None:
        self.on_change: Callable[[], None] = lambda: None
        self.on_slip: Callable[[], None] = lambda: None
        self.reservoir_hpa = effects.reservoir_pressure_hpa
        self.longest_ns = HOUR_NS
        self._stroke = 1.0
        self._stall: _Stall | None = None
        self._is_held = False
        self._made_ppm = ALL_PPM
        self._driven_ps = 0
        self._world = world
        self._effects = effects
        self._thermostat = thermostat
        self._nominal_temperature_c = profile.head_temperature_c
        self._steps_per_revolution = profile.steps_per_revolution
        self._rollers = profile.rollers
        self._seat_stream = world.stream("pump.seat")
        self._seat = 1.0
        error_pct = effects.unit_error_pct
        error_pct += world.stream("pump.unit_error").gauss(0.0, effects.unit_error_standard_pct)
        self._step_volume_ul = profile.step_volume_nl * 1e-3 * (1.0 + error_pct / 100.0)
        world.ledger.add_fact("pump.unit_error_pct", error_pct)
        self._rotor_offset = world.stream("pump.rotor").randrange(self._steps_per_revolution << FRACTION_BITS)
        self._start_ns = world.now_ns
        self._start_position = (effects.revolutions_before * self._steps_per_revolution) << FRACTION_BITS
        self._period_ps = 0
        self._last_position: int | None = None
        self._run_before_ns = round(effects.creep_hours_before * HOUR_NS)

    def run(self, period_ps: int) -> None:
        """Turn from now on, a step every `period_ps`."""
        self._turn(period_ps, None)

    def run_steps(self, period_ps: int, steps: int) -> int:
        """Turn from now on for so many steps, then stand still; returns the instant the last one is due at, in ns."""
        last_position = self._position(self._world.now_ns) + (steps << FRACTION_BITS) * self._made_ppm // ALL_PPM
        self._turn(period_ps, last_position)
        return self._start_ns - (-steps * period_ps // PS_PER_NS)

    def halt(self) -> None:
        """Stand still from now on."""
        self._anchor()
        self._stall = None
        self._period_ps = 0
        self._last_position = None
        self._world.trace("pump.halt", self.counted_steps(self._start_ns))
        self.on_change()

    def stall(self, *, held: bool = False) -> None:
        """Stop the rotor, which goes on being driven, until it is freed or driven afresh; `held`: until it is freed."""
        self._is_held = self._is_held or held
        if self._turns(self._world.now_ns):
            self._slip()

    def free(self) -> None:
        """Let the rotor follow again what drives it; steps that it has missed are not made up for."""
        self._is_held = False
        stall, self._stall = self._stall, None
        if stall is None:
            return
        self._anchor()
        now_ns = self._world.now_ns
        last_position = stall.last_position_at(now_ns)
        if last_position is None or last_position > self._start_position:
            self._period_ps, self._last_position = self._made_in_ps(self._driven_ps), last_position
        self._world.trace("pump.free", self.counted_steps(now_ns))
        self.on_change()
        self.on_slip()

    def change_stroke(self, factor: float) -> None:
        """From now on each step moves so many times what it moved at first, as in tubing that gave way."""
        self._stroke = factor
        self._world.trace("pump.stroke", round(1e6 * factor))
        self.on_change()

    def slip(self, made_ppm: int) -> None:
        """From now on let it make so many steps in a million that it is driven to: fewer than all, or more.

        Raises:
            ValueError: none at all, which is a stall.
        """
        if made_ppm <= 0:
            raise ValueError(f"made_ppm = {made_ppm} must be above 0; a rotor that makes no step stalls")
        before, self._made_ppm = self._made_ppm, made_ppm
        if self._period_ps:
            self._anchor()
            if self._last_position is not None:
                left = self._last_position - self._start_position
                self._last_position = self._start_position + left * made_ppm // before
            self._period_ps = self._made_in_ps(self._driven_ps)
            self.on_change()
        elif self._stall is not None:
            now_ns, last_position = self._world.now_ns, self._stall.last_position_at(self._world.now_ns)
            if last_position is not None:
                last_position = self._start_position + (last_position - self._start_position) * made_ppm // before
            period_ps = self._made_in_ps(self._driven_ps)
            self._stall = _Stall(now_ns, self._stall.last_step_ns, period_ps, last_position)
        self._world.trace("pump.slip", made_ppm)
        self.on_slip()

    @property
    def follows(self) -> bool:
        """Whether it makes the steps that it is driven to, none more and none less."""
        return self._stall is None and self._made_ppm == ALL_PPM

    @property
    def stalled_since_ns(self) -> int | None:
        """When the rotor made its last step, or should have begun to turn; None where it follows what drives it."""
        return None if self._stall is None else self._stall.last_step_ns

    @property
    def is_driven(self) -> bool:
        """Whether it was told to turn, not yet to stand, and does not stall."""
        return self._period_ps != 0

    @property
    def planned_steps(self) -> int | None:
        """How many steps the present command is for; None where there is no such number."""
        if self._last_position is None:
            return None
        return (self._last_position - self._start_position) >> FRACTION_BITS

    def counted_steps(self, t_ns: int) -> int:
        """Whole steps since manufacture."""
        return self._position(t_ns) >> FRACTION_BITS

    def counts_ns(self, steps: int) -> int | None:
        """The instant at which `counted_steps` first is at least `steps` as the motor now runs; None for never."""
        position = steps << FRACTION_BITS
        if position <= self._start_position:
            return self._start_ns
        if not self._period_ps or (self._last_position is not None and position > self._last_position):
            return None
        return self._reaches_ns(position)

    def steps_per_s(self, t_ns: int) -> float:
        """Step rate as the rotor turns at an instant of the present command."""
        return PS_PER_NS * NS_PER_S / self._period_ps if self._turns(t_ns) else 0.0

    def law(self, t_ns: int, outlet_pressure_hpa: float) -> HeadLaw:
        """The law from an instant of the present command on, against a resting outlet of that gauge pressure."""
        effects = self._effects
        driving_hpa = self.reservoir_hpa - outlet_pressure_hpa
        leak_ul_per_s_per_hpa = effects.leak_ul_per_h_per_hpa / 3600.0
        leak_ul_per_s = leak_ul_per_s_per_hpa * driving_hpa
        evidence = ["pump.leak"] if leak_ul_per_s else []
        if not self._turns(t_ns):
            return HeadLaw(
                end_ns=t_ns + self.longest_ns if leak_ul_per_s else None,
                head_temperature_c=self._thermostat.temperature_c(t_ns + self.longest_ns // 2),
                leak_ul_per_s=leak_ul_per_s,
                loss_ul_per_s_per_hpa=leak_ul_per_s_per_hpa,
                evidence=tuple(evidence),
            )
        steps_per_s = self.steps_per_s(t_ns)
        creep = effects.creep_pct / 100.0 * exp(-self._hours_run(t_ns) / effects.creep_time_h)
        end_ns = self._segment_end_ns(t_ns, creep)
        temperature_c = self._thermostat.temperature_c((t_ns + end_ns) // 2)
        warming = 1.0 + effects.temperature_coefficient_per_k * (temperature_c - self._nominal_temperature_c)
        wear = self._mean_wear(t_ns, end_ns)
        unloaded_ul_per_s = steps_per_s * self._step_volume_ul * self._stroke * wear * warming
        mean_ul_per_s = unloaded_ul_per_s * (1.0 + effects.pressure_slope_per_hpa * driving_hpa)
        waves = self._waves(t_ns, steps_per_s)
        acted = {
            "pump.unit_error": effects.unit_error_pct or effects.unit_error_standard_pct,
            "pump.seat": self._seat != 1.0,
            "pump.pulsation": waves,
            "pump.back_pressure": effects.pressure_slope_per_hpa,
            "pump.wear": wear != 1.0,
            "pump.creep": creep,
            "pump.temperature": warming != 1.0,
        }
        evidence += [name for name, truth in acted.items() if truth]
        return HeadLaw(
            end_ns=end_ns,
            head_temperature_c=temperature_c,
            mean_ul_per_s=mean_ul_per_s,
            creep=creep,
            creep_decay_per_s=1.0 / (3600.0 * effects.creep_time_h),
            seat=self._seat,
            waves=waves,
            leak_ul_per_s=leak_ul_per_s,
            loss_ul_per_s_per_hpa=effects.pressure_slope_per_hpa * unloaded_ul_per_s * (1.0 + creep)
            + leak_ul_per_s_per_hpa,
            evidence=tuple(evidence),
        )

    def _turn(self, period_ps: int, last_position: int | None) -> None:
        if period_ps <= 0:
            raise ValueError(f"a step period of {period_ps} ps is not positive")
        self._anchor()
        self._stall = None
        self._driven_ps = period_ps
        self._period_ps = self._made_in_ps(period_ps)
        self._last_position = last_position
        if self._effects.seat_scatter_pct:
            self._seat = 1.0 + self._seat_stream.gauss(0.0, self._effects.seat_scatter_pct) / 100.0
        self._world.trace("pump.run", period_ps)
        if self._is_held:
            self._slip()
        else:
            self.on_change()

    def _made_in_ps(self, driven_ps: int) -> int:
        """How long a step takes that is asked for so often."""
        return driven_ps if self._made_ppm == ALL_PPM else max(1, driven_ps * ALL_PPM // self._made_ppm)

    def _slip(self) -> None:
        now_ns = self._world.now_ns
        last_step_ns = self.counts_ns(self.counted_steps(now_ns))
        assert last_step_ns is not None
        self._anchor()
        self._stall = _Stall(now_ns, last_step_ns, self._period_ps, self._last_position)
        self._period_ps, self._last_position = 0, None
        self._world.trace("pump.stall", self.counted_steps(now_ns))
        self.on_change()
        self.on_slip()

    def _anchor(self) -> None:
        now_ns = self._world.now_ns
        position = self._position(now_ns)
        if self._period_ps:
            self._run_before_ns += self._turned_ns(now_ns)
        self._start_ns, self._start_position = now_ns, position

    def _turns(self, t_ns: int) -> bool:
        if not self._period_ps:
            return False
        return self._last_position is None or self._position(t_ns) < self._last_position

    def _position(self, t_ns: int) -> int:
        if not self._period_ps:
            return self._start_position
        turned = (((t_ns - self._start_ns) * PS_PER_NS) << FRACTION_BITS) // self._period_ps
        position = self._start_position + turned
        return position if self._last_position is None else min(position, self._last_position)

    def _reaches_ns(self, position: int) -> int:
        return self._start_ns + -(
            -((position - self._start_position) * self._period_ps) // (PS_PER_NS << FRACTION_BITS)
        )

    def _turned_ns(self, t_ns: int) -> int:
        until_ns = t_ns if self._last_position is None else min(t_ns, self._reaches_ns(self._last_position))
        return until_ns - self._start_ns

    def _hours_run(self, t_ns: int) -> float:
        return (self._run_before_ns + self._turned_ns(t_ns)) / HOUR_NS

    def _revolutions(self, t_ns: int) -> float:
        return self._position(t_ns) / (self._steps_per_revolution << FRACTION_BITS)

    def _segment_end_ns(self, t_ns: int, creep: float) -> int:
        """`longest_ns` on, sooner where creep or wear would change too much or the run is over."""
        end_ns = t_ns + self.longest_ns
        if abs(creep) > LARGEST_CREEP_CHANGE:
            hours = -self._effects.creep_time_h * log(1.0 - LARGEST_CREEP_CHANGE / abs(creep))
            end_ns = min(end_ns, t_ns + 1 + round(hours * HOUR_NS))
        if self._effects.wear_coefficient:
            exponent = self._effects.wear_exponent
            revolutions = self._revolutions(t_ns)
            allowed = revolutions**exponent + LARGEST_WEAR_CHANGE / self._effects.wear_coefficient
            steps = (allowed ** (1.0 / exponent) - revolutions) * self._steps_per_revolution
            end_ns = min(end_ns, t_ns + 1 + round(steps / self.steps_per_s(t_ns) * NS_PER_S))
        if self._last_position is not None:
            end_ns = min(end_ns, self._reaches_ns(self._last_position))
        return end_ns

    def _mean_wear(self, start_ns: int, end_ns: int) -> float:
        """Mean of 1 - w·N^p over the revolutions of a segment, from the exact integral where there are any."""
        if not self._effects.wear_coefficient:
            return 1.0
        first, last = self._revolutions(start_ns), self._revolutions(end_ns)
        if last == first:
            return max(0.0, 1.0 - float(self._effects.wear_coefficient * first**self._effects.wear_exponent))
        power = self._effects.wear_exponent + 1.0
        lost = self._effects.wear_coefficient * (last**power - first**power) / power
        return max(0.0, 1.0 - float(lost / (last - first)))

    def _waves(self, t_ns: int, steps_per_s: float) -> tuple[tuple[complex, complex], ...]:
        """Roller harmonics as complex amplitude, phase included, and angular frequency i·ω."""
        revolution = self._steps_per_revolution << FRACTION_BITS
        percents = (self._effects.pulsation_1_pct, self._effects.pulsation_2_pct, self._effects.pulsation_3_pct)
        waves = []
        for harmonic, percent in enumerate(percents, start=1):
            if percent:
                lobes = harmonic * self._rollers
                turned = (lobes * (self._position(t_ns) + self._rotor_offset)) % revolution / revolution
                amplitude = percent / 100.0 * cmath.exp(2j * pi * turned)
                waves.append((amplitude, 2j * pi * lobes * steps_per_s / self._steps_per_revolution))
        return tuple(waves)
