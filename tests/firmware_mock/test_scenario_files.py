"""Every shipped scenario of a pump in a body: what must be seen is seen, and nothing is lost or broken in silence."""

import re
from pathlib import Path

import pytest

from firmware_mock import Scenario, World
from firmware_mock.expectations import expectations, outcomes
from firmware_mock.implant import Implant
from firmware_mock.implant_events import KINDS, schedule_implant_events
from firmware_mock.scenario_safety import SafetyWatch
from protocol.shipped import shipped_names

LONG = {"seven-years": 40.0}
STATIONS = {"good-laboratory", "tuned"}
pytestmark = pytest.mark.usefixtures("unwatched")

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
    "sudden cessation": {"sudden-cessation", "battery-fails-at-once"},
    "flow range and modes": {"flow-range", "patient-bolus", "bridge", "change-without-bridge"},
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
PAGE = (Path(__file__).parents[2] / "docs" / "simulate.md").read_text(encoding="utf-8")
BODIES = sorted(set(shipped_names("scenarios")) - STATIONS)


class Played:
    """A scenario played to its end; `worst` is the largest error of the accounts at any event."""

    def __init__(self, name, *, days=None, seed=0):
        self.scenario = Scenario.load(name)
        world = World(seed=seed, scenario=self.scenario)
        self.implant = Implant(world, days=days)
        safety = SafetyWatch(self.implant)
        schedule_implant_events(self.implant)
        self.worst = 0.0
        cut = self.implant.infusion.on_cut
        self.implant.infusion.on_cut = lambda: self._after(cut)
        self.implant.run()
        self.broken = [it for it in safety.finish() if it.first_s is not None]

    def _after(self, cut):
        self.worst = max(self.worst, self.implant.infusion.balance().error)
        cut()


@pytest.mark.parametrize("name", BODIES)
def test_a_shipped_scenario_shows_what_must_be_seen_and_breaks_what_it_says(name):
    played = Played(name, days=LONG.get(name))
    assert played.worst <= 1e-9
    assert {it.identifier for it in played.broken} == {it.property for it in played.scenario.breaks}, played.broken
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
    keys = {key for known in KINDS.values() for key in known}
    missing = [name for name in (*BODIES, *KINDS, *keys) if f"`{name}" not in PAGE]
    assert not missing


def table_after(heading):
    """The rows of the first table under a heading of the page, as cells."""
    _, text = PAGE.split(f"# {heading}\n", 1)
    lines = text[text.index("\n|---") :].split("\n\n", 1)[0].split("\n")[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def names(cell):
    return re.findall("`([a-z0-9-]+)`", cell)


def test_the_table_of_failures_and_figures_on_the_page_holds_every_scenario():
    rows = table_after("The failures of the field, and the figures of the texts")
    assert {name for row in rows for name in names(row[1])} == set(BODIES)
    assert all(len(row) == 3 and all(row) for row in rows)


def test_the_list_of_scenarios_on_the_page_has_their_days_and_first_lines():
    rows = {names(row[0])[0]: row[1:] for row in table_after("What is shipped")}
    for name in BODIES:
        first = (Path(__file__).parents[2] / "hw_configs" / "scenarios" / f"{name}.toml").read_text(encoding="utf-8")
        days = Scenario.load(name).tables["implant"]["days"]
        assert rows.pop(name) == [f"{days:g}", first.split("\n", 1)[0].removeprefix("# ")]
    assert not rows


def test_the_table_of_broken_properties_on_the_page_is_that_of_the_files():
    listed = {
        name: set(re.findall(r"SP-\d\d", row[1])) for row in table_after("Safety properties") for name in names(row[0])
    }
    in_files = {name: {it.property for it in Scenario.load(name).breaks} for name in BODIES}
    assert listed == {name: broken for name, broken in in_files.items() if broken}


def test_scenarios_of_a_rig_are_no_pump_in_a_body():
    assert set(shipped_names("scenarios")) >= STATIONS
    assert not any("implant" in Scenario.load(name).tables for name in STATIONS)


def test_a_seed_gives_the_same_trace_and_another_one_another():
    first, again, other = (Played("feed-through-short", seed=seed) for seed in (3, 3, 4))
    hashes = [played.implant.world.trace_hash() for played in (first, again, other)]
    assert hashes[0] == hashes[1] != hashes[2]
    assert first.implant.record.notes == again.implant.record.notes
