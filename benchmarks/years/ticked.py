"""The same pump and patient, simulated a millisecond at a time: what event-driven time is held against, and no more."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

from years.living import BOLUS_UL, BOLUS_UL_PER_H, DAY_NS, FLEX_STEPS, presses_ns, profile

TICK_US = 1000
_MS_PER_MIN = 60_000
_MIN_PER_DAY = 1440
_US_PER_H = 3_600_000_000


@dataclass(frozen=True, slots=True)
class Sampled:
    """Whole steps at the end of every `sample_min` minutes."""

    sample_min: int
    steps: tuple[int, ...]


def ticked(minutes: int, *, seed: int, sample_min: int, first_minute: int = 0) -> Sampled:
    """So many minutes of a life, counted from `first_minute` of it, at which no bolus is under way.

    The button never meets a limit. Each tick looks at the button, the motor, the battery and the reservoir; each minute
    at the therapy.
    """
    model = profile()
    step_ul = model.step_volume_nl * 1e-3
    tick_s = TICK_US * 1e-6
    first_ms = first_minute * _MS_PER_MIN
    bolus_steps = round(BOLUS_UL / step_ul)
    bolus_steps_per_tick = TICK_US / _period_us(BOLUS_UL_PER_H)
    base_j, step_j = model.battery_base_power_uw * 1e-6 * tick_s, model.battery_step_energy_uj * 1e-6
    presses_ms = _presses_ms(minutes, seed, first_ms)
    presses_ms.append(-1)
    pressed = 0
    position, bolus_until, counted = 0.0, None, 0
    battery_j, reservoir_ul = model.battery_energy_j, model.reservoir_volume_ul
    basal_steps_per_tick = steps_per_tick = 0.0
    samples = []
    for now_ms in range(first_ms, first_ms + minutes * _MS_PER_MIN):
        if now_ms % _MS_PER_MIN == 0:
            basal_steps_per_tick = TICK_US / _period_us(rate_at(now_ms // _MS_PER_MIN % _MIN_PER_DAY))
            if bolus_until is None:
                steps_per_tick = basal_steps_per_tick
        if now_ms == presses_ms[pressed]:
            pressed += 1
            bolus_until = position + bolus_steps
            steps_per_tick = bolus_steps_per_tick
        position += steps_per_tick
        if bolus_until is not None and position >= bolus_until:
            bolus_until = None
            steps_per_tick = basal_steps_per_tick
        battery_j -= base_j
        if position >= counted + 1:
            counted += 1
            battery_j -= step_j
            reservoir_ul -= step_ul
            if reservoir_ul <= 0.0 or battery_j <= 0.0:
                raise AssertionError("the span is too long: the pump stands")
        if (now_ms + 1) % (sample_min * _MS_PER_MIN) == 0:
            samples.append(counted)
    return Sampled(sample_min, tuple(samples))


def rate_at(minute: int) -> float:
    """The flex rate in force at a minute of the day, in µL/h."""
    return [rate for start_min, rate in FLEX_STEPS if start_min <= minute][-1]


def _period_us(rate_ul_per_h: float) -> int:
    return round(_US_PER_H * profile().step_volume_nl * 1e-3 / rate_ul_per_h)


def _presses_ms(minutes: int, seed: int, first_ms: int) -> list[int]:
    last_ms = first_ms + minutes * _MS_PER_MIN
    days = last_ms * 1_000_000 // DAY_NS + 1
    instants_ms = (-(-t_ns // 1_000_000) for t_ns in islice(presses_ns(seed), 5 * days))
    return [t_ms for t_ms in instants_ms if first_ms <= t_ms < last_ms]
