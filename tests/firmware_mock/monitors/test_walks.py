"""2,000 walks of 50 steps: whatever a pump in a body is asked and befalls it, each property holds, nothing is lost."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from firmware_mock.firmware.accounts import Accounts
from firmware_mock.physics.reservoir import Reservoir
from protocol import EventCode, ProposeBolus, ProposeContinuous

WALKS = 2_000
STEPS = 50
PARTS = 4
SPARE = 10
LEAST = {
    30: (
        *(f"committed Propose{kind}" for kind in ("Continuous", "Bolus", "Prime", "Bridge", "Trial", "MinimumRate")),
        *(f"committed Propose{kind}" for kind in ("Flex", "PatientBolusLimits", "TherapyClock", "Refill")),
        "committed ProposeCalibration",
        "patient bolus by button",
        "keyed",
        "open",
        "boot SOFTWARE",
        "boot WATCHDOG",
        "boot BROWN_OUT",
        "boot POWER_ON",
        "power lost in a write",
        "refused OUT_OF_RANGE",
        "refused BUSY",
        "refused WRONG_STATE",
        "refused UNAUTHENTICATED",
        "refused NO_LEASE",
        "ended DONE",
        "ended STOPPED",
        "ended INTERRUPTED",
        "ended FAILED",
        "ended UNKNOWN",
        "pocketed",
        "refilled whole",
        "ran dry",
    ),
    3: (
        "catheter kink",
        "catheter leak",
        "catheter shut",
        "catheter off",
        *(f"event {code.name}" for code in EventCode),
        "committed ProposePatientBolus",
        "flex step",
        "refused BAD_TOKEN",
        "refused EXPIRED",
        "refused STALE_COMMAND_ID",
        "refused LEASE_HELD",
        "refused NOT_PAIRING",
    ),
}


@pytest.fixture
def walk(mutating):
    """The walk's modules: what a walk is, and what numbers make of it."""
    return mutating("walk"), mutating("drawing")


@pytest.fixture
def plain(mutating, walk):
    """A new pump with a full reservoir."""
    return walk[0].Setting(20_000.0, None, mutating("body").Physics(), 0.0, 0.0, False)


@pytest.mark.parametrize("part", range(PARTS))
def test_no_drawn_walk_breaks_a_property_or_loses_anything_and_all_come_upon_much(walk, unwatched, part):
    walks, drawing = walk
    seen = Counter()
    for number in range(part * WALKS // PARTS, (part + 1) * WALKS // PARTS):
        setting, steps = drawing.walk_of(number, STEPS)
        taken = walks.walked(setting, steps)
        assert not taken.findings(), (number, setting, *walks.shortest(setting, steps))
        seen.update(taken.seen)
    rare = {name: seen[name] for least, names in LEAST.items() for name in names if seen[name] < least}
    assert not rare


@pytest.mark.parametrize("part", range(PARTS))
def test_no_walk_that_hypothesis_makes_breaks_a_property_or_loses_anything(walk, unwatched, part):
    """It makes sequences alike on purpose, with steps that come again, and makes short what breaks something."""
    walks, drawing = walk
    full = Counter()

    class Walks(RuleBasedStateMachine):
        @initialize(setting=st.integers(0, 2**32 - 1).map(drawing.setting_of))
        def begins(self, setting):
            self.walk = walks.Walk(setting)
            self.steps = 0

        @rule(step=st.integers(0, 2**32 - 1).map(drawing.step_of))
        def takes(self, step):
            self.walk.take(step)
            self.steps += 1

        @invariant()
        def holds(self):
            assert not list(map(str, self.walk.scene.monitors.violations))

        def teardown(self):
            assert self.walk.findings() == ()
            full["walks"] += self.steps >= STEPS

    run_state_machine_as_test(
        seed(part)(Walks),
        settings=settings(
            max_examples=WALKS // PARTS + SPARE,
            stateful_step_count=STEPS + 1,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert full["walks"] >= WALKS // PARTS


def test_a_walk_tells_when_liquid_vanishes_on_its_way(walk, plain, unwatched, monkeypatch):
    walks, _ = walk
    steps = [("do", ProposeContinuous, 100.0, 0), ("wait", 3600.0)]
    assert walks.walked(plain, steps).findings() == ()
    draw = Reservoir.draw
    monkeypatch.setattr(Reservoir, "draw", lambda reservoir, ul: draw(reservoir, ul * (1.0 + 1e-5)))
    assert "conservation at" in walks.walked(plain, steps).findings()[-1]


def test_a_walk_tells_when_a_refill_loses_what_went_beside(walk, plain, unwatched, monkeypatch):
    walks, _ = walk
    inject = Reservoir.inject

    def spilt(reservoir, volume_ul, concentration_ug_per_ml, *, pocketed_share):
        filling = inject(reservoir, volume_ul, concentration_ug_per_ml, pocketed_share=pocketed_share)
        return replace(filling, pocketed_ul=0.0)

    monkeypatch.setattr(Reservoir, "inject", spilt)
    found = walks.walked(plain, [("refill", 2_000.0, 0.0, 0.2)]).findings()
    assert "injected" in found[-1]


def test_a_walk_tells_when_a_result_claims_more_than_was_made(walk, plain, unwatched, monkeypatch):
    walks, _ = walk
    given = Accounts.delivered_by_ul
    monkeypatch.setattr(
        Accounts, "delivered_by_ul", lambda accounts, run: tuple(1.01 * ul for ul in given(accounts, run))
    )
    steps = [("do", ProposeBolus, 5.0, 0.0), ("wait", 300.0)]
    assert "told at least" in walks.walked(plain, steps).findings()[-1]
