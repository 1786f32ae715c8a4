"""What the head moved, by adaptive quadrature of its law as it is written: the check on the closed forms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from math import ceil, cos, exp, fsum, pi, sin

from scipy.integrate import quad

from firmware_mock import World
from firmware_mock.physics.catheter import Condition
from firmware_mock.physics.effects import PumpEffects
from firmware_mock.world import NS_PER_S
from years.living import Life, profile

EFFECTS = PumpEffects(
    unit_error_pct=-3.0,
    seat_scatter_pct=0.5,
    pulsation_1_pct=20.0,
    pulsation_2_pct=5.0,
    pulsation_3_pct=1.0,
    creep_pct=2.0,
    creep_time_h=30.0,
)
"""What is solved exactly within a segment."""
DRIFTS = replace(
    EFFECTS,
    wear_coefficient=1e-5,
    revolutions_before=20_000,
    temperature_coefficient_per_k=5e-4,
    head_temperature_ripple_k=0.05,
)
"""With what is constant in a segment instead, as large as in a good laboratory: wear, and the day's temperature."""
CONDITION = Condition(compliance_ul_per_hpa=2.0, resistance_hpa_s_per_ul=10.0, tip_pressure_hpa=15.0)
_TIME_CONSTANT_S = CONDITION.compliance_ul_per_hpa * CONDITION.resistance_hpa_s_per_ul
_TIME_CONSTANTS_KEPT = 60
_FRACTION = 1 << 40
_PS_PER_NS = 1000
_PS_PER_S = 1_000_000_000_000
DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Turn:
    """From `start_ns` until the next one a step every `period_ps`, 0 for none; `seat` is the factor drawn for it."""

    start_ns: int
    period_ps: int
    seat: float


class Turns:
    """Every turn that a head is told to make from now on, with what had left it and the tip by then, in µL."""

    def __init__(self, life: Life) -> None:
        self.told: list[Turn] = []
        self.moved_ul: list[float] = []
        self._world = life.world
        self._head = life.head
        self._infusion = life.infusion
        self._seats = World(seed=life.world.seed).stream("pump.seat")
        self._heard_before = life.head.on_change
        life.head.on_change = self._changed

    def _changed(self) -> None:
        self._heard_before()
        now_ns = self._world.now_ns
        self.moved_ul.append(self._infusion.pumped_ul(now_ns))
        if not self._head.is_driven:
            self.told.append(Turn(now_ns, 0, 1.0))
            return
        seat = 1.0 + self._seats.gauss(0.0, EFFECTS.seat_scatter_pct) / 100.0
        self.told.append(Turn(now_ns, round(_PS_PER_S / self._head.steps_per_s(now_ns)), seat))


@dataclass(frozen=True, slots=True)
class _Piece:
    """A turn with what came before it: steps and hours; and its length."""

    turn: Turn
    steps_before: float
    hours_before: float
    seconds: float

    def lobes(self) -> int:
        """Into how many parts to cut the integral, a roller's passage each."""
        model = profile()
        return ceil(self.seconds * _PS_PER_S / self.turn.period_ps * model.rollers / model.steps_per_revolution)


@dataclass(frozen=True, slots=True)
class _Law:
    """The head's law as `head.py` states it, with what its seed has drawn for the rotor and the thermostat."""

    effects: PumpEffects
    rotor_offset: float
    thermostat_phase: float

    def ul_per_s(self, piece: _Piece, t_s: float) -> float:
        """Flow at an instant of a turn."""
        model, effects = profile(), self.effects
        steps_per_s = _PS_PER_S / piece.turn.period_ps
        revolutions = (piece.steps_before + steps_per_s * t_s) / model.steps_per_revolution
        turned = revolutions + self.rotor_offset / model.steps_per_revolution
        percents = (effects.pulsation_1_pct, effects.pulsation_2_pct, effects.pulsation_3_pct)
        pulsation = 1.0 + sum(
            percent / 100.0 * cos(2.0 * pi * harmonic * model.rollers * turned)
            for harmonic, percent in enumerate(percents, start=1)
        )
        creep = 1.0 + effects.creep_pct / 100.0 * exp(-(piece.hours_before + t_s / 3600.0) / effects.creep_time_h)
        wear = 1.0 - effects.wear_coefficient * (effects.revolutions_before + revolutions) ** effects.wear_exponent
        day = (piece.turn.start_ns / NS_PER_S + t_s) / DAY_S
        ripple_k = effects.head_temperature_ripple_k * sin(2.0 * pi * day + self.thermostat_phase)
        warming = 1.0 + effects.temperature_coefficient_per_k * ripple_k
        step_ul = model.step_volume_nl * 1e-3 * (1.0 + effects.unit_error_pct / 100.0)
        return steps_per_s * step_ul * piece.turn.seat * creep * wear * warming * pulsation


@dataclass(frozen=True, slots=True)
class Integrals:
    """What left the head in each turn, and what the catheter still holds of it at the end, in µL."""

    volumes_ul: tuple[float, ...]
    stored_ul: float


def by_quadrature(seed: int, effects: PumpEffects, turns: list[Turn], end_ns: int) -> Integrals:
    """The turns up to an instant that lies behind the last of them."""
    world = World(seed=seed)
    law = _Law(
        effects,
        world.stream("pump.rotor").randrange(profile().steps_per_revolution * _FRACTION) / _FRACTION,
        world.stream("pump.thermostat").uniform(0.0, 2.0 * pi),
    )
    volumes_ul, stored_ul = [], []
    for piece in _pieces(turns, end_ns):
        volumes_ul.append(_integral(law, piece, 0.0, lambda t_s: 1.0))
        to_the_end_s = (end_ns - piece.turn.start_ns) / NS_PER_S
        recent_s = to_the_end_s - _TIME_CONSTANTS_KEPT * _TIME_CONSTANT_S
        if piece.seconds > recent_s:
            kept = partial(_still_kept, end_s=to_the_end_s)
            stored_ul.append(_integral(law, piece, max(0.0, recent_s), kept))
    return Integrals(tuple(volumes_ul), fsum(stored_ul))


def _still_kept(t_s: float, end_s: float) -> float:
    """The share of what entered the catheter at an instant that has not left it at another."""
    return exp((t_s - end_s) / _TIME_CONSTANT_S)


def _pieces(turns: list[Turn], end_ns: int) -> list[_Piece]:
    pieces, position, run_ns = [], 0, 0
    for turn, until_ns in zip(turns, [*(turn.start_ns for turn in turns[1:]), end_ns], strict=True):
        length_ns = until_ns - turn.start_ns
        pieces.append(_Piece(turn, position / _FRACTION, run_ns / NS_PER_S / 3600.0, length_ns / NS_PER_S))
        if turn.period_ps:
            position += length_ns * _PS_PER_NS * _FRACTION // turn.period_ps
            run_ns += length_ns
    return pieces


def _integral(law: _Law, piece: _Piece, from_s: float, weight: Callable[[float], float]) -> float:
    if not piece.turn.period_ps:
        return 0.0
    parts = max(1, piece.lobes())
    edges = [from_s + (piece.seconds - from_s) * part / parts for part in range(parts + 1)]
    return fsum(
        quad(lambda t_s: law.ul_per_s(piece, t_s) * weight(t_s), start, end, epsabs=0.0, epsrel=1e-12)[0]
        for start, end in pairwise(edges)
    )
