"""Every shipped scenario of a pump in a body: what must be seen is seen, and nothing is lost or broken in silence."""

from pathlib import Path

import pytest

from firmware_mock import Scenario, World
from firmware_mock.expectations import expectations, outcomes
from firmware_mock.implant import Implant
from firmware_mock.implant_events import KINDS, schedule_implant_events
from firmware_mock.monitors import Monitors
from protocol.shipped import shipped_names

LONG = {"seven-years": 40.0}
STATIONS = {"good-laboratory", "tuned"}
FIELD_FAILURES = {
    "motor stall": {"motor-stall", "sudden-cessation"},
    "MRI": {"mri-exam", "mri-slow-recovery"},
    "over-infusion": {"over-infusion", "over-infusion-by-extra-steps", "over-infusion-by-leak"},
    "tubing wear and creep": {"tubing-wear"},
    "priming with old drug": {"priming-mixes-old-drug"},
    "battery film": {"battery-film"},
    "feed-through short": {"feed-through-short"},
    "interrupted programming": {"interrupted-programming-stop", "interrupted-programming-power"},
    "clock and daylight saving": {"clock-drift", "daylight-saving-spring", "daylight-saving-autumn"},
    "catheter": {
        "catheter-kink",
        "catheter-occlusion",
        "catheter-leak",
        "catheter-disconnect",
        "catheter-tip-shift",
    },
    "filling": {"pocket-fill", "over-fill", "under-fill"},
    "telemetry mode": {"telemetry-not-resumed"},
    "memory error and reset": {"memory-error", "reset"},
    "empty reservoir": {"empty-reservoir"},
    "patient texts": {
        "refill-every-month",
        "refill-every-6-months",
        "battery-5-years",
        "battery-7-years",
        "battery-3-to-5-years",
        "trial",
        "continuous-without-peaks",
        "injection-with-peaks",
    },
}
BODIES = sorted(set(shipped_names("scenarios")) - STATIONS)


class Played:
    """A scenario played to its end, with the monitors that watch every pump of a test.

    `worst` is the largest error of the accounts at any event.
    """

    def __init__(self, name, *, days=None, seed=0):
        self.scenario = Scenario.load(name)
        world = World(seed=seed, scenario=self.scenario)
        self.implant = Implant(world, days=days)
        schedule_implant_events(self.implant)
        [monitors] = [it for look in world.observers if isinstance(it := getattr(look, "__self__", None), Monitors)]
        monitors.compare(self.implant.infusion.tip_ul)
        self.worst = 0.0
        cut = self.implant.infusion.on_cut
        self.implant.infusion.on_cut = lambda: self._after(cut)
        self.implant.run()
        self.violations = monitors.finish()

    def _after(self, cut):
        self.worst = max(self.worst, self.implant.infusion.balance().error)
        cut()


@pytest.mark.parametrize("name", BODIES)
def test_a_shipped_scenario_shows_what_must_be_seen_and_breaks_what_it_says(name):
    played = Played(name, days=LONG.get(name))
    assert played.worst <= 1e-9
    assert {violation.identifier for violation in played.violations} == {
        breach.property for breach in played.scenario.breaks
    }, [str(violation) for violation in played.violations]
    if name not in LONG:
        unseen = [o for o in outcomes(played.scenario, played.implant.record) if not o.seen]
        assert not unseen


@pytest.mark.parametrize("name", BODIES)
def test_a_shipped_scenario_says_what_it_is_about_where_it_is_from_and_what_must_be_seen(name):
    scenario = Scenario.load(name)
    assert scenario.name == name
    assert scenario.about
    assert scenario.sources
    assert expectations(scenario)


def test_every_failure_of_the_field_and_every_figure_of_the_patient_texts_has_a_scenario():
    for names in FIELD_FAILURES.values():
        assert names <= set(BODIES)


def test_the_page_on_simulation_names_every_scenario_event_and_key():
    page = (Path(__file__).parents[2] / "docs" / "simulate.md").read_text(encoding="utf-8")
    keys = {key for known in KINDS.values() for key in known}
    missing = [name for name in (*BODIES, *KINDS, *keys) if f"`{name}" not in page]
    assert not missing


def test_scenarios_of_a_rig_are_no_pump_in_a_body():
    assert set(shipped_names("scenarios")) >= STATIONS
    assert not any("implant" in Scenario.load(name).tables for name in STATIONS)


def test_a_seed_gives_the_same_trace_and_another_one_another():
    first, again, other = (Played("feed-through-short", seed=seed) for seed in (3, 3, 4))
    hashes = [played.implant.world.trace_hash() for played in (first, again, other)]
    assert hashes[0] == hashes[1] != hashes[2]
    assert first.implant.record.notes == again.implant.record.notes
