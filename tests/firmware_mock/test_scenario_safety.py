"""What a scenario breaks of the safety properties, beside what it says it breaks."""

import pytest

from firmware_mock import Scenario, World
from firmware_mock.implant import Implant
from firmware_mock.implant_events import schedule_implant_events
from firmware_mock.scenario import Breach, ScenarioError
from firmware_mock.scenario_safety import N_PROPERTIES, SafetyWatch

pytestmark = pytest.mark.usefixtures("unwatched")

CONTINUOUS = {"at_h": 0, "do": "continuous", "rate_ml_per_day": 0.2}
LEAK = {"at_h": 24, "do": "leak", "share_pct": 40}


def watched(*events, breaks=(), days=5.0):
    implant = Implant(World(scenario=Scenario("test", {"implant": {"days": days}}, events, breaks=breaks)))
    watch = SafetyWatch(implant)
    schedule_implant_events(implant)
    implant.run()
    return watch.finish()


def test_a_pump_that_does_as_it_is_told_breaks_nothing():
    assert watched(CONTINUOUS) == ()
    assert N_PROPERTIES == 42


def test_a_leak_in_the_catheter_breaks_under_delivery_with_the_time_and_the_volumes():
    [broken] = watched(CONTINUOUS, LEAK, breaks=(Breach("SP-04", "the pump has no sensor of flow"),))
    assert (broken.identifier, broken.why) == ("SP-04", "the pump has no sensor of flow")
    assert "or an alarm is on" in broken.sentence
    stroke_ul, ul_per_h, row_h = 200.0 / 3.0 * 0.01, 200.0 / 24.0, 5.0 * 24.0 / 400.0
    short_by_a_stroke_h = 24.0 + stroke_ul / (ul_per_h * (0.4 - 0.145))
    assert short_by_a_stroke_h <= broken.first_s / 3600.0 <= short_by_a_stroke_h + row_h
    assert "arrived" in broken.how


def test_what_nobody_said_has_no_reason_and_what_held_no_time():
    [broken] = watched(CONTINUOUS, LEAK)
    assert (broken.identifier, broken.why) == ("SP-04", "")
    [held] = watched(CONTINUOUS, breaks=(Breach("SP-03", "it should run away"),))
    assert (held.identifier, held.first_s, held.how) == ("SP-03", None, "")


def test_watching_changes_nothing_of_what_happens():
    hashes = []
    for watch in (True, False):
        world = World(scenario=Scenario("test", {"implant": {"days": 3.0}}, (CONTINUOUS, LEAK)))
        implant = Implant(world)
        if watch:
            SafetyWatch(implant)
        schedule_implant_events(implant)
        implant.run()
        hashes.append(world.trace_hash())
    assert hashes[0] == hashes[1]


@pytest.mark.parametrize(
    ("breaks", "said"),
    [
        ((Breach("SP-99", "x"),), "scenario test: breaks names property = 'SP-99', which is none of SP-01 to SP-42"),
        ((Breach("SP-04", "x"), Breach("SP-04", "y")), "breaks names SP-04 twice; give both reasons in one"),
    ],
)
def test_a_property_that_there_is_not_is_refused(breaks, said):
    with pytest.raises(ScenarioError, match=said):
        watched(CONTINUOUS, breaks=breaks)
