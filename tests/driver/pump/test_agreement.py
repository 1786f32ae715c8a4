"""A proposal is agreed only if the pump would do what was asked for; every other value is named."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from driver import ProposalMismatch
from driver.agreement import agreed, described, values_of
from protocol import (
    Day,
    FlexStep,
    OnLeaseLoss,
    Proposal,
    ProposeBolus,
    ProposeBridge,
    ProposeCalibration,
    ProposeContinuous,
    ProposeFlex,
    ProposeMinimumRate,
    ProposePatientBolus,
    ProposePatientBolusLimits,
    ProposePrime,
    ProposeRefill,
    ProposeTherapyClock,
    ProposeTrial,
    encode_payload,
    proposal_digest,
)

STEPS = (FlexStep(Day.MONDAY, 0, 10.0), FlexStep(Day(127), 600, 0.0), FlexStep(Day.SUNDAY, 1439, 20.0))
ASKED = [
    ProposeContinuous(7, 20.0, OnLeaseLoss.STOP),
    ProposeMinimumRate(7, 0.0, 0),
    ProposeFlex(7, 0, STEPS),
    ProposeBolus(7, 10.0, 500.0),
    ProposePatientBolus(7, 0.0, 0.0),
    ProposePrime(7, 300.0, 500.0),
    ProposeBridge(7, 375.0, 8.33, 2.08, 0),
    ProposeTrial(7, 20.0, 3600, 0),
    ProposePatientBolusLimits(7, 1, 5.0, 300.0, 7200, 4, 86_400, 500.0),
    ProposeCalibration(7, 10.5),
    ProposeRefill(7, 20_000.0),
    ProposeTherapyClock(7, 1_789_000_000, -3600),
]
OWN = [
    (ProposeBolus(7, 10.0, 0.0), {"rate_ul_per_h"}),
    (ProposePrime(7, 10.0, 0.0), {"rate_ul_per_h"}),
    (ProposeMinimumRate(7, 0.0, 0), {"rate_ul_per_h"}),
    (ProposePatientBolus(7, 0.0, 0.0), {"volume_ul", "rate_ul_per_h"}),
]
IDS = [type(message).__name__ for message in ASKED]
TOLERANCES = {"rate_ul_per_h": 1e-3, "bridge_rate_ul_per_h": 1e-3, "step_volume_nl": 1e-6}


def proposal(canonical):
    return Proposal(7, 1, proposal_digest(canonical), 1000, encode_payload(canonical))


def own_of(asked):
    return dict.fromkeys(next((names for kind, names in OWN if type(kind) is type(asked)), ()), 3.5)


def filled(asked):
    """What a pump makes of a message in which values are left to it."""
    return msgspec.structs.replace(
        asked, **{name: value for name, value in own_of(asked).items() if not getattr(asked, name)}
    )


@pytest.mark.parametrize("asked", ASKED, ids=IDS)
def test_the_values_asked_for_are_agreed(asked):
    assert agreed("p", asked, proposal(filled(asked))) == filled(asked)


@pytest.mark.parametrize("asked", ASKED, ids=IDS)
def test_each_single_value_must_fit_and_is_named_where_it_does_not(asked):
    canonical = filled(asked)
    for name in values_of(asked):
        if name == "steps" or (name in own_of(asked) and not getattr(asked, name)):
            continue
        wanted = getattr(canonical, name)
        tolerance = TOLERANCES.get(name, 5e-3 if isinstance(wanted, float) else 0)
        if isinstance(wanted, float):
            near, far = wanted * (1.0 + 0.9 * tolerance), wanted * (1.0 + 1.1 * tolerance)
            assert agreed("p", asked, proposal(msgspec.structs.replace(canonical, **{name: near})))
        else:
            far = 0 if wanted else 1
        with pytest.raises(ProposalMismatch, match=rf"^p: {name} .* was asked for .* nothing was dosed"):
            agreed("p", asked, proposal(msgspec.structs.replace(canonical, **{name: far})))


@pytest.mark.parametrize("asked", [message for message, _ in OWN], ids=lambda message: type(message).__name__)
@pytest.mark.parametrize("offered", [0.0, -1.0, float("nan"), float("inf")])
def test_a_value_left_to_the_pump_must_be_a_positive_number(asked, offered):
    for name in next(names for message, names in OWN if message is asked):
        bad = msgspec.structs.replace(filled(asked), **{name: offered})
        with pytest.raises(ProposalMismatch, match=f"{name} 0 was asked for"):
            agreed("p", asked, proposal(bad))


@pytest.mark.parametrize("asked", [ProposeContinuous(7, 0.0, 0), ProposeRefill(7, 0.0)])
def test_zero_asks_for_the_pumps_own_value_only_where_the_message_says_so(asked):
    name = next(iter(values_of(asked)))
    with pytest.raises(ProposalMismatch):
        agreed("p", asked, proposal(msgspec.structs.replace(asked, **{name: 1.0})))


@pytest.mark.parametrize(
    ("steps", "sentence"),
    [
        (STEPS[:2], "3 steps were asked for and the pump would use 2"),
        ((STEPS[1], STEPS[0], STEPS[2]), "step 1: days 1 was asked for and the pump would use 127"),
        ((STEPS[0], FlexStep(Day(127), 601, 0.0), STEPS[2]), "step 2: start_min 600 was asked for .* 601"),
        ((STEPS[0], FlexStep(Day(127), 600, 0.1), STEPS[2]), "step 2: rate_ul_per_h 0 was asked for .* 0.1"),
        ((*STEPS[:2], FlexStep(Day.SUNDAY, 1439, 20.1)), "step 3: rate_ul_per_h 20 was asked for .* 20.1"),
    ],
)
def test_flex_steps_are_compared_one_by_one(steps, sentence):
    with pytest.raises(ProposalMismatch, match=sentence):
        agreed("p", ProposeFlex(7, 0, STEPS), proposal(ProposeFlex(7, 0, steps)))


def test_a_proposal_that_cannot_be_read_is_no_agreement():
    with pytest.raises(ProposalMismatch, match="the pump's proposal cannot be read"):
        agreed("p", ASKED[0], Proposal(7, 1, bytes(8), 1000, b"\x07"))


@given(wanted=st.floats(1e-3, 1e6), factor=st.floats(0.5, 2.0))
def test_a_rate_is_agreed_exactly_within_its_tolerance(wanted, factor):
    offered = wanted * factor
    relative = abs(offered - wanted) / max(offered, wanted)
    assume(abs(relative - 1e-3) > 1e-9)
    canonical = ProposeTrial(7, offered, 60, 0)
    try:
        agreed("p", ProposeTrial(7, wanted, 60, 0), proposal(canonical))
        was_agreed = True
    except ProposalMismatch:
        was_agreed = False
    assert was_agreed == (relative <= 1e-3)


def test_values_are_told_in_one_line():
    assert described(values_of(ASKED[2])) == "on_lease_loss 0, 3 steps"
    assert described(values_of(ASKED[-1])) == "utc_s 1789000000, utc_offset_s -3600"


def test_values_that_differ_by_little_are_told_apart():
    asked, offered = ProposeCalibration(7, 10.50001), ProposeCalibration(7, 10.50004)
    with pytest.raises(
        ProposalMismatch, match=r"step_volume_nl 10\.50001 was asked for .* would use 10\.50004, further"
    ):
        agreed("p", asked, proposal(offered))
