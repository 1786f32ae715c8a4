"""The shipped scenario on its weighing side: right in size, and every effect leaves evidence that it acted."""

from statistics import fmean

import pytest

from firmware_mock.scenario import Scenario
from firmware_mock.world import to_ns

MINIMUM_RATE_MG_PER_S = 0.048 * 998.2 / 86_400


@pytest.fixture
def laboratory(weighing, rig_facts):
    """A station in the shipped scenario, with a flow."""

    def build(*, seed=0, inflow_mg_per_s=MINIMUM_RATE_MG_PER_S):
        return weighing(Scenario.load("good-laboratory"), rig=rig_facts, seed=seed, inflow_mg_per_s=inflow_mg_per_s)

    return build


def test_every_effect_at_rest_in_a_good_laboratory_leaves_evidence(laboratory):
    station = laboratory(inflow_mg_per_s=0.02)
    for _ in range(3000):
        station.port.host.write(b"SI\r\n")
        station.world.sleep(20.0)
        station.port.host.read(0.0)
    station.world.close()
    evidence = station.world.ledger.open().evidence
    assert set(evidence) == {
        "air.daily_course",
        "air.weather",
        "balance.answer_jitter",
        "balance.door",
        "balance.filter_lag",
        "balance.flicker",
        "balance.footfall",
        "balance.random_walk",
        "balance.rounding",
        "balance.sensitivity_drift",
        "balance.vibration",
        "balance.warm_up",
        "balance.white_noise",
        "vessel.buoyancy",
        "vessel.evaporation",
        "vessel.immersion",
        "vessel.meniscus_slip",
        "vessel.oil_film",
    }


def test_without_a_scenario_nothing_acts_but_rounding_and_the_needle(weighing):
    station = weighing(inflow_mg_per_s=0.02)
    for second in range(100):
        station.weigh_mg(float(second))
    station.world.close()
    assert set(station.world.ledger.open().evidence) == {"balance.rounding", "vessel.immersion"}


def test_evaporation_under_the_oil_film_is_near_the_stations_planning_figure(laboratory):
    rates = []
    for seed in range(20):
        station = laboratory(seed=seed)
        for hour in range(48):
            station.vessel.pan_force_mg(to_ns(3600.0 * hour))
        rates.append(station.vessel.evaporated_mg / 47.0)
    assert fmean(rates) == pytest.approx(0.15, abs=0.02)
    assert 0.1 < min(rates) <= max(rates) < 0.2


def test_two_worlds_of_one_seed_say_the_same_bytes(laboratory):
    hashes = []
    for seed in (5, 5, 6):
        station = laboratory(seed=seed)
        for _ in range(50):
            station.ask("SI", for_s=30.0)
        hashes.append(station.world.trace_hash())
    assert hashes[0] == hashes[1] != hashes[2]
