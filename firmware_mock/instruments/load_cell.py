"""The weighing cell: from the force on the pan to a filtered, drifting, noisy signal in mg."""

from __future__ import annotations

from collections.abc import Mapping
from math import exp, pi, sin, sqrt
from typing import Any, NamedTuple

from firmware_mock.instruments.balance_effects import FILTER_SCALES, BalanceEffects
from firmware_mock.physics.certificates import draw_error, rig_number
from firmware_mock.physics.environment import RoomAir, ThermalLag
from firmware_mock.physics.noise import Flicker, OrnsteinUhlenbeck, RandomWalk, ShotNoise
from firmware_mock.physics.vessel import Vessel
from firmware_mock.world import NS_PER_S, World, to_ns

ADJUSTMENT_WEIGHT_KG_PER_M3 = 8000.0
_FILTER_MEMORY = 10.0
_LINEARITY_TERMS = 4
_VISIBLE_DIGITS = 0.1


class Signal(NamedTuple):
    """One conversion, in mg of load.

    `steady_mg` is the filtered load with warm-up but without noise, `slow_mg` has 1/f noise and random walk as well,
    `total_mg` everything. `rate_mg_per_s` is the slope of the filtered load, `disturbance_mg` the part of doors and
    footfalls.
    """

    time_ns: int
    total_mg: float
    slow_mg: float
    steady_mg: float
    rate_mg_per_s: float
    disturbance_mg: float


class LoadCell:
    """Asked in time order. Between questions the load is taken as linear in time, to which the filter answers exactly.

    After a pause of more than twenty filter times the load is looked at once more ten filter times before the
    question, so that a rare reading lags as a frequent one does.
    """

    def __init__(
        self, world: World, rig: Mapping[str, Any], air: RoomAir, vessel: Vessel, effects: BalanceEffects
    ) -> None:
        self._ledger = world.ledger
        self._air = air
        self._vessel = vessel
        self._effects = effects
        self._lag = ThermalLag(air, 60.0 * effects.cell_time_constant_min)
        self._certificate_ppm = draw_error(
            world,
            "balance.sensitivity_error_ppm",
            rig_number(rig, "balance", "certificate", "sensitivity_standard_uncertainty_ppm"),
        )
        self._linearity_mg = _draw_linearity(world, rig)
        self._half_turn_per_mg = pi / (1e3 * rig_number(rig, "balance", "capacity_g"))
        self._digit_mg = rig_number(rig, "balance", "readability_mg")
        self._visible_mg = _VISIBLE_DIGITS * self._digit_mg
        self._start_noise(world)
        self._adjustments = world.stream("balance.adjustment")
        self._zero_step_mg = self._adjusted_ppm = 0.0
        self._start_ns = self._time_ns = world.now_ns
        self._set_reference(world.now_ns)
        self.filter_setting = effects.filter_setting
        self._load_mg: float | None = None
        self._load_time_ns = world.now_ns
        self._filtered_mg = self._rate_mg_per_s = 0.0
        self._samples = self._lagged = self._warm = self._thermal = self._shaken = 0
        world.at_close(self._note_evidence)

    def convert(self, t_ns: int) -> Signal:
        """The signal at an instant, at or after the last one."""
        effects = self._effects
        elapsed_s = (t_ns - self._time_ns) / NS_PER_S
        self._time_ns = t_ns
        filter_s = effects.filter_s * FILTER_SCALES[self.filter_setting]
        if filter_s > 0.0:
            memory_ns = to_ns(_FILTER_MEMORY * filter_s)
            if t_ns - self._load_time_ns > 2 * memory_ns:
                self._follow(t_ns - memory_ns, filter_s)
        self._follow(t_ns, filter_s)

        steady_mg = self._filtered_mg + self._zero_step_mg
        if effects.warm_up_mg:
            on_min = effects.on_before_min + (t_ns - self._start_ns) / (60 * NS_PER_S)
            warm_up_mg = effects.warm_up_mg * exp(-on_min / effects.warm_up_min)
            steady_mg += warm_up_mg
            self._warm += abs(warm_up_mg) > self._visible_mg
        slow_mg = steady_mg
        if self._flicker is not None:
            slow_mg += self._flicker.advance(elapsed_s)
        if self._walk is not None:
            slow_mg += self._walk.advance(elapsed_s)
        disturbance_mg = 0.0
        if self._door is not None:
            disturbance_mg += self._door.advance(elapsed_s)
        if self._footfall is not None:
            disturbance_mg += self._footfall.advance(elapsed_s)
        total_mg = slow_mg + disturbance_mg
        if self._white is not None:
            total_mg += self._white.advance(elapsed_s, filter_s)
        if effects.vibration_mg:
            turns_per_s = 2.0 * pi * effects.vibration_hz
            passed = 1.0 / sqrt(1.0 + (turns_per_s * filter_s) ** 2)
            shaken_mg = effects.vibration_mg * passed * sin(turns_per_s * t_ns / NS_PER_S + self._vibration_phase)
            self._shaken += round((total_mg + shaken_mg) / self._digit_mg) != round(total_mg / self._digit_mg)
            total_mg += shaken_mg
        self._samples += 1
        return Signal(t_ns, total_mg, slow_mg, steady_mg, self._rate_mg_per_s, disturbance_mg)

    def adjust(self, t_ns: int) -> None:
        """Let the cell adjust itself with its built-in weight: sensitivity and zero step to new values."""
        self._set_reference(t_ns)
        self._adjusted_ppm = self._adjustments.gauss(0.0, self._effects.adjustment_ppm)
        self._zero_step_mg = self._adjustments.gauss(0.0, self._effects.adjustment_zero_mg)
        self._ledger.saw("balance.adjustment")

    def _follow(self, t_ns: int, filter_s: float) -> None:
        """Bring the filter to an instant, over a load that changed linearly since the last one."""
        load_mg = self._indicated_mg(t_ns)
        before_mg = self._load_mg
        elapsed_s = (t_ns - self._load_time_ns) / NS_PER_S
        self._load_mg, self._load_time_ns = load_mg, t_ns
        if before_mg is None:
            self._filtered_mg = load_mg
        elif elapsed_s > 0.0:
            slope = (load_mg - before_mg) / elapsed_s
            behind_mg = slope * filter_s
            if filter_s > 0.0:
                started_mg = self._filtered_mg - before_mg + behind_mg
                self._filtered_mg = load_mg - behind_mg + started_mg * exp(-elapsed_s / filter_s)
                self._rate_mg_per_s = (load_mg - self._filtered_mg) / filter_s
                self._lagged += abs(load_mg - self._filtered_mg) > self._visible_mg
            else:
                self._filtered_mg, self._rate_mg_per_s = load_mg, slope

    def _indicated_mg(self, t_ns: int) -> float:
        """The load as the cell would indicate it without filter and noise."""
        weighed_mg = self._vessel.pan_force_mg(t_ns) * self._per_force
        ppm = self._certificate_ppm + self._adjusted_ppm
        if self._effects.sensitivity_ppm_per_k:
            thermal_ppm = self._effects.sensitivity_ppm_per_k * (self._lag.temperature_c(t_ns) - self._reference_c)
            ppm += thermal_ppm
            self._thermal += abs(thermal_ppm * weighed_mg) > 1e6 * self._visible_mg
        turn = weighed_mg * self._half_turn_per_mg
        error_mg = 1e-6 * ppm * weighed_mg
        for order, amplitude_mg in self._linearity_mg:
            error_mg += amplitude_mg * sin(order * turn)
        return weighed_mg + error_mg

    def _set_reference(self, t_ns: int) -> None:
        """Remember the air and the temperature in which the built-in weight was last weighed right."""
        self._reference_c = self._lag.temperature_c(t_ns)
        self._per_force = 1.0 / (1.0 - self._air.density_kg_per_m3(t_ns) / ADJUSTMENT_WEIGHT_KG_PER_M3)

    def _start_noise(self, world: World) -> None:
        effects = self._effects
        self._white = OrnsteinUhlenbeck(world.stream("balance.white"), effects.white_mg) if effects.white_mg else None
        self._flicker = Flicker(world.stream("balance.flicker"), effects.flicker_mg) if effects.flicker_mg else None
        self._walk: RandomWalk | None = None
        if effects.random_walk_mg_per_sqrt_h:
            self._walk = RandomWalk(world.stream("balance.random_walk"), effects.random_walk_mg_per_sqrt_h)
        self._door = self._shots(world, "door", effects.door_per_h, effects.door_mg, effects.door_s)
        self._footfall = self._shots(world, "footfall", effects.footfall_per_h, effects.footfall_mg, effects.footfall_s)
        self._vibration_phase = world.stream("balance.vibration").uniform(0.0, 2.0 * pi)

    def _shots(self, world: World, name: str, per_h: float, amplitude_mg: float, decay_s: float) -> ShotNoise | None:
        if per_h == 0.0 or amplitude_mg == 0.0:
            return None
        return ShotNoise(
            world.stream(f"balance.{name}"),
            per_h=per_h,
            amplitude_mg=amplitude_mg,
            decay_s=decay_s,
            visible_mg=self._visible_mg,
        )

    def _note_evidence(self) -> None:
        samples = self._samples
        for effect, times in (
            ("balance.white_noise", samples if self._white is not None else 0),
            ("balance.flicker", samples if self._flicker is not None else 0),
            ("balance.random_walk", samples if self._walk is not None else 0),
            ("balance.vibration", self._shaken),
            ("balance.filter_lag", self._lagged),
            ("balance.sensitivity_drift", self._thermal),
            ("balance.warm_up", self._warm),
            ("balance.door", self._door.acted if self._door is not None else 0),
            ("balance.footfall", self._footfall.acted if self._footfall is not None else 0),
        ):
            if times:
                self._ledger.saw(effect, times)


def _draw_linearity(world: World, rig: Mapping[str, Any]) -> tuple[tuple[int, float], ...]:
    """Amplitudes of a sine series over the range, zero at no load and at full load.

    Over loads and seeds its standard deviation is what the certificate states.
    """
    standard_uncertainty_mg = rig_number(rig, "balance", "certificate", "linearity_standard_uncertainty_mg")
    each_mg = standard_uncertainty_mg * sqrt(2.0 / _LINEARITY_TERMS)
    return tuple(
        (order, draw_error(world, f"balance.linearity_{order}_mg", each_mg)) for order in range(1, _LINEARITY_TERMS + 1)
    )
