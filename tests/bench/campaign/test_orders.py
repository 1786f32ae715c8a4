"""What the motor did is told apart by steps and rates alone, and each command of a trial really moves something."""

from collections import Counter

import pytest

from bench.campaign.campaign import Selection
from bench.campaign.claims import Moves, Turned
from bench.campaign.orders import moves, tell_apart
from bench.campaign.plan import FEWEST_STEPS, MOST_STEPS, Command
from bench.campaign.trial import run_drawn

STEP_UL = 0.01
TICKS_AT_1_UL_PER_H = 36_000_000
BASAL = Turned(1, None, TICKS_AT_1_UL_PER_H // 20, 7)


def of_therapy(steps, *, made, planned=None, is_second=False):
    first_ul_per_h = 440 + steps
    rate_ul_per_h = first_ul_per_h / 2 if is_second else first_ul_per_h
    return Turned(5, planned, round(TICKS_AT_1_UL_PER_H / rate_ul_per_h), made)


def test_a_stretch_belongs_to_the_dose_of_its_number_or_of_its_rate():
    bolus, other = Turned(2, 100, 36_000, 100), Turned(3, 100, 36_000, 4)
    commands = {100: Command.BOLUS, 200: Command.BRIDGE}
    bridge = [of_therapy(200, planned=200, made=150), of_therapy(200, planned=50, made=50)]
    goes_on = of_therapy(200, made=9, is_second=True)
    told = tell_apart([BASAL, bolus, *bridge, goes_on, other], commands, STEP_UL)
    assert told.doses == {100: (100, 4)}
    assert told.therapies == {200: [*bridge, goes_on]}
    assert [start.steps for start in told.starts] == [None, 100, 200, 200, 200, 100]
    assert not told.unasked


def test_a_rate_that_nobody_asked_for_is_unasked():
    stray = of_therapy(201, made=3)
    assert tell_apart([BASAL, stray], {200: Command.FLEX}, STEP_UL).unasked == [stray]


@pytest.mark.parametrize(
    ("command", "step_ticks", "is_right"),
    [
        (Command.BOLUS, 36_000, True),
        (Command.PATIENT_BOLUS, 36_000, True),
        (Command.PRIME, 40_000, True),
        (Command.PRIME, 36_000, False),
        (Command.BOLUS, 40_000, False),
    ],
)
def test_a_bolus_of_any_kind_at_another_rate_is_unasked(command, step_ticks, is_right):
    bolus = Turned(2, 100, step_ticks, 100)
    told = tell_apart([bolus], {100: command}, STEP_UL)
    assert told.doses == {100: (100,)}
    assert told.unasked == ([] if is_right else [bolus])


def test_no_two_therapies_of_a_trial_and_no_therapy_and_the_basal_rate_are_alike():
    numbers = set(range(FEWEST_STEPS, MOST_STEPS))
    for steps in numbers:
        for is_second in (False, True):
            stretch = of_therapy(steps, made=1, is_second=is_second)
            told = tell_apart([stretch, BASAL], dict.fromkeys(numbers, Command.FLEX), STEP_UL)
            assert [number for number, stretches in told.therapies.items() if stretches] == [steps]


def test_every_command_comes_and_moves_what_it_should_while_a_frame_is_damaged():
    moved = Counter()
    selection = Selection(2, ("flip",))
    for trial in range(12):
        outcome = run_drawn(selection.seed_of(trial), ("flip",))
        assert outcome.findings == ()
        for dose, story in zip(outcome.plan.doses, outcome.stories, strict=True):
            assert story.moves is moves(dose.command)
            has_moved = story.claims[-1].state in ("done", "stopped")
            moved[dose.command] += has_moved and (story.moves is Moves.NOTHING or story.claims[-1].high_ul > 0.0)
    assert min(moved[command] for command in Command) >= 2
