"""The force on the pan, against calculations by hand."""

from itertools import pairwise
from math import pi

import pytest

from firmware_mock.physics.air import stefan_flow_mg_per_mm_s
from firmware_mock.physics.certificates import RigFactMissing
from firmware_mock.physics.water import water_density_mg_per_ul
from firmware_mock.scenario import ScenarioError
from firmware_mock.world import to_ns

HOUR_NS = to_ns(3600.0)
AIR_MG_PER_UL = 1.19886e-3
WATER_MG_PER_UL = water_density_mg_per_ul(20.0)


def with_outlet(facts, **outlet):
    return facts | {"outlet": facts["outlet"] | outlet}


def with_vessel(facts, **vessel):
    return facts | {"vessel": facts["vessel"] | vessel}


def test_a_vessel_weighs_what_it_holds_less_the_air_it_displaces(weighing, exact_rig_facts):
    station = weighing(rig=with_outlet(exact_rig_facts, kind="wick"))
    contents_mg = 15_000.0 * WATER_MG_PER_UL
    air_mg_per_ul = 1e-3 * station.air.density_kg_per_m3(0)
    expected = 22_000.0 + contents_mg - air_mg_per_ul * (9_000.0 + 15_000.0)
    assert station.vessel.pan_force_mg(0) == pytest.approx(expected, abs=1e-6)


def test_thirty_millilitres_and_ten_hectopascal_make_a_third_of_a_milligram(weighing, exact_rig_facts):
    rig = with_vessel(with_outlet(exact_rig_facts, kind="wick"), glass_volume_ml=15.0)
    heavy, light = (weighing({"air": {"pressure_hpa": p}}, rig=rig) for p in (1003.25, 1013.25))
    assert heavy.vessel.pan_force_mg(0) - light.vessel.pan_force_mg(0) == pytest.approx(0.35, abs=0.01)


@pytest.mark.parametrize("needle_mm", [0.3, 0.8, 3.0])
def test_the_immersed_needle_adds_the_false_mass_of_the_rising_level_exactly(weighing, exact_rig_facts, needle_mm):
    delivered_mg = 1000.0
    rig = with_outlet(exact_rig_facts, needle_diameter_mm=needle_mm)
    station = weighing(rig=rig, inflow_mg=lambda t_ns: delivered_mg if t_ns else 0.0)
    dry = 1.0 - 1e-3 * station.air.density_kg_per_m3(0) / WATER_MG_PER_UL
    gain_mg = -station.vessel.pan_force_mg(0) + station.vessel.pan_force_mg(1)
    false_part = needle_mm**2 / (30.0**2 - needle_mm**2)
    assert gain_mg / dry == pytest.approx(delivered_mg * (1.0 + false_part), abs=1e-6)


def test_the_level_rises_by_the_volume_over_the_free_area(weighing, exact_rig_facts):
    station = weighing(rig=with_outlet(exact_rig_facts, needle_diameter_mm=3.0), inflow_mg=lambda t_ns: 1e-6 * t_ns)
    station.vessel.pan_force_mg(0)
    before_mm = station.vessel.level_mm
    station.vessel.pan_force_mg(to_ns(1.0))
    free_mm2 = 0.25 * pi * (30.0**2 - 3.0**2)
    assert station.vessel.level_mm - before_mm == pytest.approx(1000.0 / WATER_MG_PER_UL / free_mm2, rel=1e-9)


def test_a_needle_above_the_liquid_adds_nothing(weighing, exact_rig_facts):
    table = {"vessel": {"tip_depth_mm": -30.0, "contact_angle_deg": 0.0, "meniscus_jump_mg": 1.0}}
    dry, none = weighing(table), weighing(rig=with_outlet(exact_rig_facts, kind="wick"))
    assert dry.vessel.pan_force_mg(0) == none.vessel.pan_force_mg(0)


def test_the_meniscus_of_a_wetted_needle_of_0_8_mm_carries_18_6_milligrams(weighing, exact_rig_facts):
    rig = with_outlet(exact_rig_facts, needle_diameter_mm=0.8)
    wetted, neutral = (weighing({"vessel": {"contact_angle_deg": a}}, rig=rig) for a in (0.0, 90.0))
    assert neutral.vessel.pan_force_mg(0) - wetted.vessel.pan_force_mg(0) == pytest.approx(18.6, abs=0.1)


def test_an_open_vessel_loses_seven_and_a_half_milligrams_an_hour_per_square_centimetre(weighing, exact_rig_facts):
    station = weighing({"vessel": {"evaporation": True}}, rig=with_vessel(exact_rig_facts, cover="none"))
    before_mg = station.vessel.pan_force_mg(0)
    loss_mg = before_mg - station.vessel.pan_force_mg(HOUR_NS)
    assert station.vessel.evaporated_mg / (0.25 * pi * 9.0) == pytest.approx(7.5, rel=0.03)
    assert loss_mg == pytest.approx(station.vessel.evaporated_mg * (1.0 - AIR_MG_PER_UL), rel=1e-3)


def test_evaporation_does_not_depend_on_how_often_the_vessel_is_weighed(weighing, exact_rig_facts):
    air = {"temperature_daily_k": 0.5, "humidity_daily_pct": 10.0, "humidity_weather_pct": 5.0}
    rig = with_vessel(exact_rig_facts, cover="none", air_column_mm=30.0)
    table = {"vessel": {"evaporation": True, "liquid_time_constant_min": 40.0}, "air": air}
    often, seldom = weighing(table, rig=rig), weighing(table, rig=rig)
    for minute in range(24 * 60):
        often.vessel.pan_force_mg(minute * HOUR_NS // 60)
    for t_ns in (7 * HOUR_NS, 24 * HOUR_NS):
        seldom.vessel.pan_force_mg(t_ns)
    often.vessel.pan_force_mg(24 * HOUR_NS)
    assert seldom.vessel.evaporated_mg == pytest.approx(often.vessel.evaporated_mg, rel=1e-9)


def test_evaporation_follows_the_vapour_deficit_of_the_day(weighing):
    station = weighing({"vessel": {"evaporation": True}, "air": {"humidity_daily_pct": 10.0}})
    hourly = []
    for hour in range(25):
        station.vessel.pan_force_mg(hour * HOUR_NS)
        hourly.append(station.vessel.evaporated_mg)
    rates = [after - before for before, after in pairwise(hourly)]
    assert max(rates) / min(rates) == pytest.approx(60.0 / 40.0, rel=0.05)


def test_evaporation_over_a_day_is_that_of_a_fine_integration(weighing):
    station = weighing({"vessel": {"evaporation": True}, "air": {"humidity_daily_pct": 20.0}})
    station.vessel.pan_force_mg(0)
    station.vessel.pan_force_mg(11 * HOUR_NS)
    steps = range(30, 11 * 3600, 60)
    flow = sum(
        60.0 * stefan_flow_mg_per_mm_s(20.0, 20.0, 1013.25, station.air.humidity_pct(to_ns(float(second))))
        for second in steps
    )
    assert station.vessel.evaporated_mg == pytest.approx(flow * 0.25 * pi * 900.0 / 10.0, rel=1e-4)


def test_the_oil_film_lets_a_part_pass_and_weighs_what_it_weighs(weighing):
    table = {"evaporation": True, "cover_factor": 0.01}
    bare, covered = weighing({"vessel": table}), weighing({"vessel": table | {"oil_film_mg": 200.0}})
    gain_mg = covered.vessel.pan_force_mg(0) - bare.vessel.pan_force_mg(0)
    assert gain_mg == pytest.approx(200.0 * (1.0 - AIR_MG_PER_UL / 0.93), rel=1e-4)
    covered.vessel.pan_force_mg(HOUR_NS)
    assert covered.vessel.evaporated_mg == pytest.approx(0.01 * 7.069 * 7.5, rel=0.03)


def test_near_the_brim_the_air_column_is_short_and_the_vessel_loses_more(weighing, exact_rig_facts):
    def lost_mg(contents_ml):
        rig = with_vessel(exact_rig_facts, cover="none", contents_ml=contents_ml)
        station = weighing({"vessel": {"evaporation": True}}, rig=rig)
        station.vessel.pan_force_mg(HOUR_NS)
        return station.vessel.evaporated_mg

    assert lost_mg(36.465) == pytest.approx(2.0 * lost_mg(15.0), rel=0.01)


def test_a_full_vessel_overflows_off_the_pan(weighing, exact_rig_facts):
    station = weighing(rig=with_vessel(exact_rig_facts, contents_ml=39.9), inflow_mg_per_s=1.0)
    weights = [station.vessel.pan_force_mg(to_ns(float(second))) for second in (0, 50, 200, 1000)]
    assert weights[0] < weights[1] < weights[2] == weights[3]
    assert station.vessel.overflowed_mg == pytest.approx(1000.0 - 100.0 * WATER_MG_PER_UL, abs=1e-6)
    station.world.close()
    assert station.world.ledger.open().evidence["vessel.overflow"] == 1


def test_a_hanging_drop_is_not_weighed_until_it_falls(weighing, exact_rig_facts):
    rig = with_outlet(exact_rig_facts, kind="drop")
    station = weighing({"vessel": {"drop_mg": 4.0}}, rig=rig, inflow_mg_per_s=1.0)
    start_mg = station.vessel.pan_force_mg(0)
    gains = {round(station.vessel.pan_force_mg(to_ns(0.1 * tenth)) - start_mg, 6) for tenth in range(201)}
    dry = 1.0 - 1e-3 * station.air.density_kg_per_m3(0) / WATER_MG_PER_UL
    assert gains == {round(4.0 * dry * fallen, 6) for fallen in range(6)}


def test_the_sum_of_drops_does_not_depend_on_how_often_one_looks(weighing, exact_rig_facts):
    rig = with_outlet(exact_rig_facts, kind="drop")
    table = {"vessel": {"drop_scatter": 0.05, "drop_loss_probability": 0.2}}
    often, seldom = (weighing(table, rig=rig, inflow_mg_per_s=0.5) for _ in range(2))
    for second in range(500):
        often.vessel.pan_force_mg(to_ns(float(second)))
    assert often.vessel.pan_force_mg(to_ns(500.0)) == seldom.vessel.pan_force_mg(to_ns(500.0))
    often.world.close()
    evidence = often.world.ledger.open().evidence
    assert evidence["vessel.drop"] > evidence["vessel.drop_lost"] > 0


def test_drops_of_the_needle_follow_from_tates_law(weighing, exact_rig_facts):
    station = weighing(rig=with_outlet(exact_rig_facts, kind="drop", needle_diameter_mm=0.8), inflow_mg_per_s=1.0)
    station.vessel.pan_force_mg(to_ns(1119.0))
    station.world.close()
    assert station.world.ledger.open().evidence["vessel.drop"] == pytest.approx(1119.0 / (0.6 * 18.65), abs=1.0)


def test_a_wick_soaks_first_and_evaporates_uncovered(weighing, exact_rig_facts):
    table = {"vessel": {"evaporation": True, "cover_factor": 0.0, "wick_area_mm2": 100.0, "wick_holdup_mg": 5.0}}
    station = weighing(table, rig=with_outlet(exact_rig_facts, kind="wick"), inflow_mg_per_s=0.01)
    start_mg = station.vessel.liquid_mg
    station.vessel.pan_force_mg(HOUR_NS)
    assert station.vessel.liquid_mg - start_mg == pytest.approx(36.0 - 5.0 - 7.5, abs=0.3)


def test_steel_put_on_the_pan_presses_with_its_weight_less_its_buoyancy(weighing):
    station = weighing()
    before_mg = station.vessel.pan_force_mg(0)
    station.vessel.extra_mass_mg = 1000.0
    gain_mg = station.vessel.pan_force_mg(1) - before_mg
    assert gain_mg == pytest.approx(1000.0 * (1.0 - AIR_MG_PER_UL / 8.0), abs=1e-3)


def test_true_diameters_and_density_are_drawn_per_seed_from_the_stated_uncertainties(weighing, rig_facts):
    facts = []
    for seed in range(400):
        station = weighing(rig=rig_facts, seed=seed)
        station.world.close()
        facts.append(station.world.ledger.open().facts)
    for name, stated in (
        ("vessel.inner_diameter_error_mm", 0.05),
        ("outlet.needle_diameter_error_mm", 0.01),
        ("liquid.relative_density_error", 2e-5),
        ("balance.sensitivity_error_ppm", 15.0),
    ):
        spread = (sum(fact[name] ** 2 for fact in facts) / len(facts)) ** 0.5
        assert spread == pytest.approx(stated, rel=0.15), name


def test_a_missing_rig_fact_is_named(weighing, exact_rig_facts):
    del exact_rig_facts["vessel"]["glass_volume_ml"]
    with pytest.raises(RigFactMissing, match=r"\[vessel\] glass_volume_ml"):
        weighing()


def test_an_unknown_outlet_and_an_impossible_probability_are_refused(weighing, exact_rig_facts):
    with pytest.raises(ValueError, match="immersed, wick and drop"):
        weighing(rig=with_outlet(exact_rig_facts, kind="sponge"))
    with pytest.raises(ScenarioError, match="drop_loss_probability"):
        weighing({"vessel": {"drop_loss_probability": 1.5}})
