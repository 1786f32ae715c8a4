"""What counts as wrong: each finding from the smallest trial that deserves it, and none from one that is right."""

import pytest

from bench.campaign.claims import Claim, DoseStory, Moves, Truth, Turned
from bench.campaign.scoring import FindingKind, score

DONE = Claim("done", 1.0, 1.0)


def found(starts, *claims, recovery_s=0.1, evidence_lost=False):
    story = DoseStory(100, ("flip",), (True,), claims, recovery_s, evidence_lost)
    return {finding.kind for finding in score([story], Truth(starts, 0.01), {100})}


@pytest.mark.parametrize(
    ("starts", "claims"),
    [
        ({100: (100,)}, [DONE]),
        ({100: (40,)}, [Claim("uncertain"), Claim("interrupted", 0.3, 0.5)]),
        ({100: (40,)}, [Claim("running"), Claim("stopped", 0.4, 0.4)]),
        ({}, [Claim("not_started")]),
        ({}, [Claim("uncertain"), Claim("not_started")]),
    ],
)
def test_what_is_told_as_it_was_is_no_finding(starts, claims):
    assert found(starts, *claims) == set()


@pytest.mark.parametrize(
    ("kind", "starts", "claims"),
    [
        (FindingKind.DOUBLE, {100: (100, 100)}, [DONE]),
        (FindingKind.DOUBLE, {100: (0, 100)}, [DONE]),
        (FindingKind.DOUBLE, {100: (101,)}, [DONE]),
        (FindingKind.FALSE_DELIVERED, {100: (99,)}, [DONE]),
        (FindingKind.FALSE_DELIVERED, {}, [DONE]),
        (FindingKind.FALSE_DELIVERED, {100: (50,)}, [Claim("done", 0.5, 0.5)]),
        (FindingKind.FALSE_NOT_DELIVERED, {100: (1,)}, [Claim("not_started")]),
        (FindingKind.FALSE_NOT_DELIVERED, {100: (100,)}, [Claim("not_started"), DONE]),
        (FindingKind.OUTSIDE, {100: (60,)}, [Claim("interrupted", 0.3, 0.5)]),
        (FindingKind.OUTSIDE, {100: (20,)}, [Claim("stopped", 0.3, 0.5)]),
        (FindingKind.UNRESOLVED, {100: (100,)}, [Claim("uncertain")]),
        (FindingKind.UNRESOLVED, {100: (100,)}, [Claim("running")]),
        (FindingKind.UNASKED, {100: (100,), 7: (7,)}, [DONE]),
    ],
)
def test_each_lie_is_found(kind, starts, claims):
    assert kind in found(starts, *claims)


@pytest.mark.parametrize(("recovery_s", "is_slow"), [(2.0, False), (2.001, True), (float("inf"), True)])
def test_a_link_has_two_seconds_to_come_back(recovery_s, is_slow):
    assert (FindingKind.SLOW in found({100: (100,)}, DONE, recovery_s=recovery_s)) == is_slow


def test_where_the_evidence_is_lost_only_uncertain_may_stay():
    assert found({100: (40,)}, Claim("uncertain"), evidence_lost=True) == set()
    assert found({100: (40,)}, Claim("not_started"), evidence_lost=True) == {FindingKind.FALSE_NOT_DELIVERED}
    assert found({100: (40,)}, DONE, evidence_lost=True) == {FindingKind.FALSE_DELIVERED, FindingKind.OUTSIDE}
    assert found({100: (40,)}, Claim("running"), evidence_lost=True) == {FindingKind.UNRESOLVED}


FIRST, REST, THEN = Turned(0, 100, 500, 60), Turned(1, 40, 500, 40), Turned(2, None, 1000, 20)
WHOLE = Turned(0, 100, 500, 100)


def found_of_therapy(turned, *claims, restarts=0):
    story = DoseStory(100, (), (), claims, 0.1, moves=Moves.ON, restarts=restarts)
    return {finding.kind for finding in score([story], Truth({}, 0.01, {100: turned}), {100})}


@pytest.mark.parametrize(
    ("turned", "claims"),
    [
        ([WHOLE, THEN], [Claim("running", 0.2, 0.4), Claim("stopped", 1.2, 1.2)]),
        ([FIRST], [Claim("uncertain"), Claim("stopped", 0.5, 0.7)]),
        ([], [Claim("not_started")]),
    ],
)
def test_a_therapy_that_is_told_as_it_was_is_no_finding(turned, claims):
    assert found_of_therapy(turned, *claims) == set()


@pytest.mark.parametrize(
    ("kind", "turned", "claims"),
    [
        (FindingKind.DOUBLE, [FIRST, FIRST], [Claim("stopped", 1.2, 1.2)]),
        (FindingKind.DOUBLE, [THEN, THEN], [Claim("stopped", 0.4, 0.4)]),
        (FindingKind.DOUBLE, [FIRST, REST, THEN], [Claim("stopped", 1.2, 1.2)]),
        (FindingKind.FALSE_DELIVERED, [], [Claim("running"), Claim("not_started")]),
        (FindingKind.FALSE_NOT_DELIVERED, [FIRST], [Claim("not_started")]),
        (FindingKind.OUTSIDE, [FIRST], [Claim("stopped", 0.0, 0.5)]),
        (FindingKind.OUTSIDE, [FIRST], [Claim("stopped", 0.7, 0.8)]),
        (FindingKind.UNRESOLVED, [FIRST], [Claim("running", 0.0, 0.6)]),
    ],
)
def test_each_lie_about_a_therapy_is_found(kind, turned, claims):
    assert kind in found_of_therapy(turned, *claims)


def test_a_reset_may_take_a_therapy_up_again_and_give_no_planned_step_twice():
    stopped = Claim("stopped", 0.4, 0.4)
    assert found_of_therapy([THEN, THEN], stopped, restarts=1) == set()
    assert found_of_therapy([FIRST, REST, THEN], Claim("stopped", 1.2, 1.2), restarts=1) == set()
    assert found_of_therapy([FIRST, FIRST], Claim("stopped", 1.2, 1.2), restarts=1) == {FindingKind.DOUBLE}


def test_a_bridge_that_was_to_give_its_volume_again_is_found_though_it_was_stopped_before_it_had():
    again = Turned(1, 100, 500, 5)
    assert found_of_therapy([FIRST, again], Claim("stopped", 0.6, 0.7), restarts=1) == {FindingKind.DOUBLE}


@pytest.mark.parametrize(("restarts", "kinds"), [(2, set()), (1, {FindingKind.DOUBLE})])
def test_a_therapy_is_taken_up_again_as_often_as_the_pump_was_restarted(restarts, kinds):
    stopped = Claim("stopped", 0.6, 0.6)
    assert found_of_therapy([THEN, THEN, THEN], stopped, restarts=restarts) == kinds


@pytest.mark.parametrize(
    ("times_set", "state", "kinds"),
    [
        (1, "done", set()),
        (0, "not_started", set()),
        (2, "done", {FindingKind.DOUBLE}),
        (0, "done", {FindingKind.FALSE_DELIVERED}),
        (1, "not_started", {FindingKind.FALSE_NOT_DELIVERED}),
        (1, "uncertain", {FindingKind.UNRESOLVED}),
        (0, "stopped", set()),
        (1, "stopped", {FindingKind.FALSE_NOT_DELIVERED}),
        (1, "interrupted", {FindingKind.FALSE_NOT_DELIVERED}),
    ],
)
def test_a_setting_is_held_against_how_often_it_came_into_the_memory(times_set, state, kinds):
    story = DoseStory(100, (), (), (Claim(state),), 0.1, moves=Moves.NOTHING)
    findings = score([story], Truth({}, 0.01, times_set={100: times_set}), {100})
    assert {finding.kind for finding in findings} == kinds


def test_a_setting_moves_nothing():
    story = DoseStory(100, (), (), (Claim("done", 0.5, 0.5),), 0.1, moves=Moves.NOTHING)
    findings = score([story], Truth({}, 0.01, times_set={100: 1}), {100})
    assert [finding.kind for finding in findings] == [FindingKind.OUTSIDE]


def test_a_stretch_without_an_end_that_belongs_to_nothing_is_found():
    findings = score([], Truth({}, 0.01, unasked=(THEN,)), set())
    assert [finding.kind for finding in findings] == [FindingKind.UNASKED]
