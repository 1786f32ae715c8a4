"""What must be so between two doses is held against motor and memory, whatever the driver says."""

from types import SimpleNamespace

import pytest

from bench.campaign.between import Between
from bench.campaign.claims import Claim
from bench.campaign.scoring import FindingKind

STEP_UL = 0.01
DONE = Claim("done", 1.0, 1.0)
BASAL = SimpleNamespace(step_ticks=1_800_000)
OF_100 = SimpleNamespace(step_ticks=round(36_000_000 / 540))
OF_101 = SimpleNamespace(step_ticks=round(36_000_000 / 541))


def between(turning, *, therapy_runs=False, filling_ul=12_100.0):
    found = []
    setting = SimpleNamespace(filling=(filling_ul, 5))
    pump = SimpleNamespace(step_volume_ul=STEP_UL, turning=turning, settings=[setting])
    held = Between(pump, lambda kind, sentence: found.append(kind))
    held.therapy_runs = therapy_runs
    return held, found


@pytest.mark.parametrize(
    ("therapy_runs", "turning", "kinds"),
    [
        (True, BASAL, []),
        (True, None, [FindingKind.BASAL_LOST]),
        (True, OF_100, [FindingKind.BASAL_LOST]),
        (False, None, []),
        (False, BASAL, [FindingKind.UNASKED]),
        (None, BASAL, []),
        (None, None, []),
    ],
)
def test_between_two_doses_the_motor_turns_for_the_basal_therapy_or_stands(therapy_runs, turning, kinds):
    held, found = between(turning, therapy_runs=therapy_runs)
    held.check_motor(Claim("uncertain"))
    assert found == []
    held.check_motor(DONE)
    assert found == kinds


@pytest.mark.parametrize(("turning", "is_right"), [(OF_100, True), (OF_101, False), (BASAL, False), (None, False)])
def test_a_therapy_that_is_said_to_run_has_the_motor(turning, is_right):
    held, found = between(turning)
    held.check_running(100)
    assert found == ([] if is_right else [FindingKind.BASAL_LOST])


@pytest.mark.parametrize(
    ("state", "filling_ul", "kinds"),
    [
        ("done", 12_100.0, []),
        ("done", 20_000.0, [FindingKind.FALSE_DELIVERED]),
        ("not_started", 20_000.0, []),
    ],
)
def test_a_refill_that_is_done_stays_in_the_memory(state, filling_ul, kinds):
    held, found = between(None, filling_ul=filling_ul)
    held.check_filling(100, Claim(state))
    assert found == kinds


def test_a_confirmed_stop_leaves_nothing_running_and_another_leaves_it_open():
    held, found = between(BASAL, therapy_runs=True)
    held.note_stop(is_confirmed=False)
    assert (held.therapy_runs, found) == (None, [])
    held.note_stop(is_confirmed=True)
    assert (held.therapy_runs, found) == (False, [FindingKind.AFTER_STOP])
