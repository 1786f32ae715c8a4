"""A slice of benchmarks/world.py: the same code on fewer days, and proof that each of its figures can be missed."""

import importlib
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from firmware_mock import world
from firmware_mock.firmware import rows

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SEED = 1
RECORDS_KEPT = 64
DAYS_TO_FULL_LOGS = 25
MOST_HELD_BYTES = 24 * 1024


@pytest.fixture(scope="module")
def years():
    """The modules under benchmarks/years by name, loaded from there: benchmarks/ is no package."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        yield lambda name: importlib.import_module(f"years.{name}")
    for name in [name for name in sys.modules if name.split(".")[0] == "years"]:
        del sys.modules[name]


@pytest.fixture
def minutes_around_a_bolus(years):
    """First minute and number of minutes: from just before the patient's second press of a life to after the bolus."""
    living = years("living")
    presses_ns = living.presses_ns(SEED)
    next(presses_ns)
    return next(presses_ns) // living.MINUTE_NS - 1, 8


def test_a_life_costs_as_many_events_each_day_and_gives_every_bolus(years):
    living = years("living")
    life = living.Life(seed=SEED)
    life.programme()
    costs = [life.live(days * living.DAY_NS) for days in (0, 10, 20, 30)]
    days_events = [after.events - before.events for before, after in pairwise(costs)]
    assert costs[-1].boluses == 30 * len(living.PRESSES_MIN)
    assert max(days_events) - min(days_events) <= 10
    assert max(days_events) <= 10 * 80


def test_an_idle_year_has_few_events_a_day_and_all_of_its_steps(years):
    living = years("living")
    life = living.Life(seed=SEED)
    life.idle()
    cost = life.pass_time(365 * living.DAY_NS)
    assert cost.events <= 365 * 4
    assert cost.steps == pytest.approx(365 * 24 * living.IDLE_UL_PER_H / 0.01, rel=1e-6)


@pytest.fixture
def short_logs(unwatched, monkeypatch):
    """Logs that are full after two weeks, where those of a pump take most of a year; and so with the world's heap."""
    monkeypatch.setattr(rows, "RECORDS_KEPT", RECORDS_KEPT)
    monkeypatch.setattr(world, "_FEW_EVENTS", RECORDS_KEPT)


@pytest.mark.usefixtures("short_logs")
def test_memory_stays_as_it_was_when_the_logs_were_full(years):
    held = years("measured").held_bytes(3, SEED, days=DAYS_TO_FULL_LOGS)
    assert held[0] > 0
    assert max(held[1:]) - held[0] <= MOST_HELD_BYTES


@pytest.mark.usefixtures("short_logs")
def test_a_world_that_kept_its_trace_would_be_seen(years, monkeypatch):
    kept = []
    monkeypatch.setattr(world.World, "trace", lambda self, *traced: kept.append((self.now_ns, *traced)))
    held = years("measured").held_bytes(2, SEED, days=DAYS_TO_FULL_LOGS)
    assert held[1] - held[0] > MOST_HELD_BYTES


def test_ticks_of_a_millisecond_come_to_the_same_steps(years, minutes_around_a_bolus):
    first_minute, minutes = minutes_around_a_bolus
    beside = years("measured").beside_ticks(minutes, SEED, first_minute=first_minute, sample_min=1)
    assert len(beside.events_steps) == minutes
    assert beside.events_steps[-1] > 500
    assert beside.largest_gap <= 1
    assert beside.ticks_s > 50 * beside.events_s


def test_ticks_that_miss_the_bolus_are_seen(years, minutes_around_a_bolus, monkeypatch):
    first_minute, minutes = minutes_around_a_bolus
    monkeypatch.setattr(years("ticked"), "presses_ns", lambda seed: iter(()))
    beside = years("measured").beside_ticks(minutes, SEED, first_minute=first_minute, sample_min=1)
    assert beside.largest_gap > 400


def test_a_day_of_an_uneven_head_is_what_quadrature_says(years):
    integrated = years("measured").beside_quadrature(1, SEED)
    assert integrated.turns > 10
    assert integrated.worst_turn <= 1e-9
    assert integrated.head <= 1e-9
    assert integrated.tip <= 1e-9


def test_quadrature_of_another_catheter_differs(years, monkeypatch):
    quadrature = years("quadrature")
    monkeypatch.setattr(quadrature, "_TIME_CONSTANT_S", 1.001 * quadrature._TIME_CONSTANT_S)
    assert years("measured").beside_quadrature(1, SEED).tip > 1e-9


def test_a_head_that_moves_a_little_more_is_seen(years, monkeypatch):
    quadrature = years("quadrature")
    stated = quadrature._Law.ul_per_s
    monkeypatch.setattr(quadrature._Law, "ul_per_s", lambda law, *at: stated(law, *at) * (1.0 + 2e-9))
    integrated = years("measured").beside_quadrature(1, SEED)
    assert integrated.worst_turn > 1e-9
    assert integrated.head > 1e-9


def test_wear_and_the_days_temperature_stay_within_their_bound(years):
    integrated = years("measured").beside_quadrature(1, SEED, drifts=True)
    assert 1e-9 < integrated.worst_turn <= 1e-5
    assert integrated.head <= 1e-5


@pytest.mark.usefixtures("unwatched")
def test_a_watched_life_breaks_no_safety_property_and_leaves_the_same_trace(years, monkeypatch):
    measured = years("measured")
    monkeypatch.setattr(measured, "YEAR_DAYS", 65)
    watched, alone = measured.lived(1, SEED, watched=True), measured.lived(1, SEED)
    assert watched.broken == ()
    assert watched.trace_hash == alone.trace_hash
    assert watched.lost <= 1e-9
