"""The commands of a trial: what each needs beforehand, how it is given, and what tells it from all others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from bench.campaign.claims import Moves, Turned
from bench.campaign.conduct import Start
from bench.campaign.plan import Command
from driver import Dose, Pump
from driver.settings import BolusLimits
from driver.therapy import Bridge, Continuous, Flex, FlexStep

BASAL_UL_PER_H = 20.0
LOCKOUT_S = 300

_MOVES = {Command.BRIDGE: Moves.ON, Command.FLEX: Moves.ON, Command.REFILL: Moves.NOTHING}
_ON_TOP_OF_THERAPY = (Command.PATIENT_BOLUS, Command.REFILL)
_BOLUS_UL_PER_H, _PRIME_UL_PER_H = 1000.0, 900.0
_ENDS_AT_UL_PER_H = {
    Command.BOLUS: _BOLUS_UL_PER_H,
    Command.PATIENT_BOLUS: _BOLUS_UL_PER_H,
    Command.PRIME: _PRIME_UL_PER_H,
}
_FIRST_FILLING_UL, _FULL_UL = 12_000.0, 18_000.0
_MOST_AT_ONCE_UL = 900.0
_BEFORE_NOON = datetime(2031, 5, 4, 11, 59, 57, tzinfo=timezone(timedelta(hours=2)))
_NOON_MIN = 720
BEFORE_NOON_S = 3.0
_TICKS_UL_PER_H_PER_UL = 3.6e9


@dataclass(frozen=True, slots=True)
class Told:
    """What the motor did, by the number of steps that tells a dose from others.

    `starts` are all stretches, in order. `doses`: how many steps were made at each start; `therapies`: the stretches of
    those that run on; `unasked`: those without an end that are neither theirs nor the basal therapy's, and those with
    an end at another rate than their command's.
    """

    starts: Sequence[Start]
    doses: Mapping[int, tuple[int, ...]]
    therapies: Mapping[int, Sequence[Turned]]
    unasked: Sequence[Turned]


def moves(command: Command) -> Moves:
    """What it moves."""
    return _MOVES.get(command, Moves.ONCE)


def needs_therapy(command: Command) -> bool:
    """Whether it is given on top of a therapy: a refill, so that one written twice is told from one written once."""
    return command in _ON_TOP_OF_THERAPY


def prepare(pump: Pump, command: Command, steps: int, step_volume_ul: float) -> None:
    """Have the pump ready for the command, with nothing in its way."""
    match command:
        case Command.PRIME:
            pump.refill(_FULL_UL)
        case Command.PATIENT_BOLUS:
            pump.write_patient_bolus_limits(
                BolusLimits(steps * step_volume_ul, _BOLUS_UL_PER_H, LOCKOUT_S, 100, 60, _MOST_AT_ONCE_UL)
            )
        case Command.FLEX:
            pump.set_therapy_clock(_BEFORE_NOON)


def run_basal(pump: Pump) -> None:
    """Start the therapy that other commands interrupt or come on top of."""
    pump.start(Continuous(BASAL_UL_PER_H))


def give(pump: Pump, command: Command, steps: int, step_volume_ul: float, *, wait: bool) -> Dose:
    """Give it; `wait` is for those that end by themselves."""
    volume_ul = steps * step_volume_ul
    first, second = _rates_ul_per_h(steps)
    match command:
        case Command.BOLUS:
            return pump.bolus(volume_ul, wait=wait)
        case Command.PRIME:
            return pump.prime(volume_ul, rate_ul_per_h=_PRIME_UL_PER_H, wait=wait)
        case Command.PATIENT_BOLUS:
            return pump.patient_bolus(wait=wait)
        case Command.BRIDGE:
            return pump.start(Bridge(volume_ul, first, second))
        case Command.FLEX:
            return pump.start(Flex((FlexStep(0, first), FlexStep(_NOON_MIN, second))))
        case Command.REFILL:
            return pump.refill(filling_ul(steps))


def filling_ul(steps: int) -> float:
    """The volume that a refill tells the pump, no two alike in a trial."""
    return _FIRST_FILLING_UL + steps


def running_on(commands: Mapping[int, Command]) -> set[int]:
    """The numbers of the therapies among the doses."""
    return {steps for steps, command in commands.items() if moves(command) is Moves.ON}


def tell_apart(turned: Sequence[Turned], commands: Mapping[int, Command], step_volume_ul: float) -> Told:
    """Each stretch of the motor to what it was for; `commands` are what was asked for, by its number of steps."""
    starts: list[Start] = []
    doses: dict[int, tuple[int, ...]] = {}
    therapies: dict[int, list[Turned]] = {steps: [] for steps in running_on(commands)}
    unasked = []
    for stretch in turned:
        steps = next((steps for steps in therapies if is_of(stretch.step_ticks, steps, step_volume_ul)), None)
        if steps is not None:
            therapies[steps].append(stretch)
        elif stretch.planned is not None:
            steps = stretch.planned
            doses[steps] = (*doses.get(steps, ()), stretch.made)
            rate_ul_per_h = _ENDS_AT_UL_PER_H.get(commands.get(steps, Command.REFILL))
            if rate_ul_per_h is not None and not _is_at(stretch.step_ticks, rate_ul_per_h, step_volume_ul):
                unasked.append(stretch)
        elif not is_basal(stretch.step_ticks, step_volume_ul):
            unasked.append(stretch)
        starts.append(Start(stretch.began_ns, steps))
    return Told(starts, doses, therapies, unasked)


def is_of(step_ticks: int, steps: int, step_volume_ul: float) -> bool:
    """Whether a rate is one of the two of the therapy with this number of steps."""
    return is_first_of(step_ticks, steps, step_volume_ul) or _is_at(
        step_ticks, _rates_ul_per_h(steps)[1], step_volume_ul
    )


def is_first_of(step_ticks: int, steps: int, step_volume_ul: float) -> bool:
    """Whether it is the one before a bridge's volume, or noon."""
    return _is_at(step_ticks, _rates_ul_per_h(steps)[0], step_volume_ul)


def is_basal(step_ticks: int, step_volume_ul: float) -> bool:
    """Whether it is that of the therapy that other commands interrupt or come on top of."""
    return _is_at(step_ticks, BASAL_UL_PER_H, step_volume_ul)


def _rates_ul_per_h(steps: int) -> tuple[float, float]:
    """Before and after a bridge's volume or noon: within a trial's numbers of steps all of them differ."""
    first = 440.0 + steps
    return first, first / 2.0


def _is_at(step_ticks: int, rate_ul_per_h: float, step_volume_ul: float) -> bool:
    return abs(step_ticks - _TICKS_UL_PER_H_PER_UL * step_volume_ul / rate_ul_per_h) <= 1.0
