"""What counts as wrong: each finding from the smallest trial that deserves it, and none from one that is right."""

import pytest

from bench.campaign.claims import Claim, DoseStory, Truth
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
