"""What the balance makes of the force on its pan."""

from itertools import pairwise
from math import exp
from statistics import fmean, stdev

import pytest

from firmware_mock.instruments.balance import Outcome
from firmware_mock.scenario import ScenarioError
from firmware_mock.world import to_ns

SLOW_MG_PER_S = 0.55e-3


def with_balance(facts, **balance):
    return facts | {"balance": facts["balance"] | balance}


def test_a_balance_without_errors_shows_the_load_as_weights_of_8000_kg_per_m3(weighing):
    station = weighing()
    air_kg_per_m3 = station.air.density_kg_per_m3(0)
    expected_mg = station.vessel.pan_force_mg(0) / (1.0 - air_kg_per_m3 / 8000.0)
    assert station.weigh_mg(0.0) == pytest.approx(expected_mg, abs=0.005)


def test_the_display_is_a_whole_number_of_digits_rounded_after_the_filter(weighing):
    station = weighing({"balance": {"filter_s": 1.0}}, inflow_mg_per_s=0.0123)
    readings = [station.balance.display(to_ns(0.5 * k)) for k in range(100)]
    assert [reading.weight_mg for reading in readings] == [reading.digits * 0.01 for reading in readings]
    steps = [b.digits - a.digits for a, b in pairwise(readings)]
    assert set(steps[10:]) == {0, 1}


def test_the_display_stands_still_between_updates(weighing):
    station = weighing(inflow_mg_per_s=1.0)
    first = station.balance.display(0)
    assert station.balance.display(to_ns(0.09)) is first
    assert station.balance.display(to_ns(0.1)).digits == first.digits + 10


def test_the_filter_answers_a_ramp_exactly(weighing, exact_rig_facts):
    rig = with_balance(exact_rig_facts, readability_mg=1e-6)

    def ramp_mg(t_ns):
        return max(0.0, t_ns * 1e-9 - 10.0)

    station = weighing({"balance": {"filter_s": 2.0}}, rig=rig, inflow_mg=ramp_mg)
    empty_mg = station.weigh_mg(10.0)
    per_mg = (weighing(rig=rig, inflow_mg=ramp_mg).weigh_mg(110.0) - empty_mg) / 100.0
    for after_s in (0.5, 0.9, 3.0, 9.0):
        shown_mg = station.weigh_mg(10.0 + after_s) - empty_mg
        assert shown_mg == pytest.approx(per_mg * (after_s - 2.0 * (1.0 - exp(-after_s / 2.0))), abs=2e-6)


def test_a_rare_reading_lags_a_bent_ramp_as_a_frequent_one_does(weighing, exact_rig_facts):
    rig = with_balance(exact_rig_facts, readability_mg=1e-6)

    def bent_mg(t_ns):
        return max(0.0, t_ns * 1e-9 - 500.0)

    often, seldom = (weighing({"balance": {"filter_s": 1.0}}, rig=rig, inflow_mg=bent_mg) for _ in range(2))
    for tenth in range(10_001):
        frequent_mg = often.weigh_mg(0.1 * tenth)
    seldom.weigh_mg(0.0)
    assert seldom.weigh_mg(1000.0) == pytest.approx(frequent_mg, abs=1e-4)


def test_tare_and_zero_bring_the_display_to_naught(weighing, exact_rig_facts):
    station = weighing()
    assert station.balance.tare(0) is Outcome.DONE
    assert station.balance.display(0).digits == 0
    assert station.balance.tare_digits == pytest.approx(36_950_00, abs=2000)
    assert station.balance.zero(1) is Outcome.OVERLOAD
    light = exact_rig_facts | {"vessel": exact_rig_facts["vessel"] | {"glass_mass_g": 1.0, "contents_ml": 1.0}}
    station = weighing(rig=light)
    assert station.balance.zero(0) is Outcome.DONE
    assert station.balance.display(0).digits == 0


def test_zero_tracking_swallows_a_slow_flow_whole(weighing):
    station = weighing({"balance": {"autozero": True, "filter_s": 1.0}}, inflow_mg_per_s=SLOW_MG_PER_S)
    station.balance.tare(0)
    assert [station.weigh_mg(60.0 * minute) for minute in range(1, 61)] == [0.0] * 60
    station.world.close()
    assert station.world.ledger.open().evidence["balance.autozero"] == pytest.approx(3600 * SLOW_MG_PER_S / 0.01, abs=2)


def test_zero_tracking_swallows_the_same_when_read_ten_times_a_second(weighing):
    station = weighing({"balance": {"autozero": True, "filter_s": 1.0}}, inflow_mg_per_s=SLOW_MG_PER_S)
    station.balance.tare(0)
    assert {station.weigh_mg(0.1 * tenth) for tenth in range(1, 1201)} == {0.0}


def test_a_preloaded_pan_is_immune_to_zero_tracking(weighing):
    station = weighing({"balance": {"autozero": True, "filter_s": 1.0}}, inflow_mg_per_s=SLOW_MG_PER_S)
    station.balance.tare(0)
    station.vessel.extra_mass_mg = 1.2
    station.weigh_mg(10.0)
    before_mg = station.weigh_mg(30.0)
    assert station.weigh_mg(3630.0) - before_mg == pytest.approx(3600.0 * SLOW_MG_PER_S, abs=0.02)


@pytest.mark.parametrize(("autozero", "mg_per_s"), [(True, 0.278), (False, SLOW_MG_PER_S)])
def test_a_fast_flow_and_a_switched_off_tracking_are_shown_as_they_are(weighing, autozero, mg_per_s):
    station = weighing({"balance": {"autozero": autozero, "filter_s": 1.0}}, inflow_mg_per_s=mg_per_s)
    station.weigh_mg(30.0)
    station.balance.tare(to_ns(30.0))
    assert station.weigh_mg(630.0) == pytest.approx(600.0 * mg_per_s, rel=0.005, abs=0.01)


def test_the_sensitivity_drifts_with_the_cells_temperature_on_the_whole_load(weighing):
    table = {"balance": {"sensitivity_ppm_per_k": 10.0}, "air": {"temperature_daily_k": 0.5}}
    drifting = weighing(table)
    steady = weighing({"air": table["air"]})
    hours = range(24)
    changes = [drifting.weigh_mg(3600.0 * h) - steady.weigh_mg(3600.0 * h) for h in hours]
    temperatures = [drifting.air.temperature_c(to_ns(3600.0 * h)) for h in hours]
    for change_mg, temperature_c in zip(changes, temperatures, strict=True):
        assert change_mg == pytest.approx(10e-6 * (temperature_c - temperatures[0]) * 36_950.0, abs=0.011)
    assert max(changes) - min(changes) == pytest.approx(10e-6 * 36_950.0, abs=0.03)


def test_warm_up_fades_with_its_time_constant_from_power_on(weighing):
    station = weighing({"balance": {"warm_up_mg": 0.3, "on_before_min": 60.0}})
    cold_mg = weighing().weigh_mg(0.0)
    assert station.weigh_mg(0.0) - cold_mg == pytest.approx(0.3 * exp(-1.0), abs=0.011)
    assert station.weigh_mg(3600.0) - cold_mg == pytest.approx(0.3 * exp(-2.0), abs=0.011)


def test_self_adjustment_steps_zero_and_sensitivity_and_takes_the_balance_away_for_its_time(weighing):
    table = {"balance": {"auto_adjustment": True, "adjustment_zero_mg": 0.5, "adjustment_ppm": 5.0}}
    station = weighing(table)
    before_mg = station.weigh_mg(14_399.0)
    assert station.balance.display(to_ns(14_401.0)).outcome is Outcome.BUSY
    assert station.balance.display(to_ns(14_491.0)).outcome is Outcome.DONE
    assert station.weigh_mg(14_500.0) != pytest.approx(before_mg, abs=0.02)
    station.world.close()
    assert station.world.ledger.open().evidence["balance.adjustment"] == 1


def test_switched_off_self_adjustment_does_nothing(weighing):
    station = weighing({"balance": {"auto_adjustment": True, "adjustment_zero_mg": 0.5}})
    station.balance.set_auto_adjustment(0, False)
    assert station.weigh_mg(0.0) == station.weigh_mg(50_000.0)


def test_the_certificate_errors_of_sensitivity_and_linearity_act_on_the_load(weighing, rig_facts, exact_rig_facts):
    certificate = {"sensitivity_standard_uncertainty_ppm": 100.0, "linearity_standard_uncertainty_mg": 0.0}
    rig = with_balance(exact_rig_facts, certificate=certificate)
    exact_mg = weighing().weigh_mg(0.0)
    station = weighing(rig=rig)
    error_mg = station.weigh_mg(0.0) - exact_mg
    station.world.close()
    ppm = station.world.ledger.open().facts["balance.sensitivity_error_ppm"]
    assert error_mg == pytest.approx(1e-6 * ppm * exact_mg, abs=0.011)


def test_linearity_deviates_by_what_the_certificate_states_and_not_at_zero(weighing, exact_rig_facts):
    certificate = {"sensitivity_standard_uncertainty_ppm": 0.0, "linearity_standard_uncertainty_mg": 1.0}
    rig = with_balance(exact_rig_facts, certificate=certificate)
    exact_mg = weighing().weigh_mg(0.0)
    errors = [weighing(rig=rig, seed=seed).weigh_mg(0.0) - exact_mg for seed in range(300)]
    assert (fmean(error**2 for error in errors)) ** 0.5 == pytest.approx(1.0, rel=0.2)
    weightless = rig | {"vessel": rig["vessel"] | {"glass_mass_g": 0.0, "glass_volume_ml": 0.0, "contents_ml": 1e-6}}
    assert weighing(rig=weightless, seed=1).weigh_mg(0.0) == pytest.approx(0.0, abs=0.02)


@pytest.mark.parametrize("every_s", [1.0, 30.0])
def test_the_noise_at_the_display_is_the_stated_one_however_often_it_is_read(weighing, exact_rig_facts, every_s):
    rig = with_balance(exact_rig_facts, readability_mg=1e-4)
    table = {"balance": {"white_mg": 0.008, "filter_s": 1.0, "vibration_mg": 0.01}}
    station = weighing(table, rig=rig)
    shown = [station.weigh_mg(every_s * k) for k in range(3000)]
    assert stdev(shown) == pytest.approx(0.008, rel=0.1)


def test_a_longer_filter_setting_lags_longer(weighing, exact_rig_facts):
    def lag_mg(setting):
        table = {"balance": {"filter_s": 1.0, "filter_setting": setting}}
        station = weighing(table, inflow_mg_per_s=1.0)
        return weighing(inflow_mg_per_s=1.0).weigh_mg(100.0) - station.weigh_mg(100.0)

    assert [lag_mg(setting) for setting in (0, 2, 4)] == pytest.approx([0.4, 1.0, 4.0], abs=0.02)


def test_doors_and_footfalls_disturb_for_their_time_and_make_the_display_unstable(weighing):
    table = {"balance": {"door_per_h": 60.0, "door_mg": 5.0, "footfall_per_h": 60.0, "footfall_mg": 5.0}}
    station = weighing(table)
    readings = [station.balance.display(to_ns(float(second))) for second in range(3600)]
    quiet = weighing().weigh_mg(0.0)
    disturbed = [reading for reading in readings if abs(reading.weight_mg - quiet) > 0.02]
    assert disturbed
    assert not any(reading.stable for reading in disturbed)
    assert any(reading.stable for reading in readings)
    station.world.close()
    evidence = station.world.ledger.open().evidence
    assert evidence["balance.door"] > 20
    assert evidence["balance.footfall"] > 20


def test_a_flow_of_a_third_of_a_milligram_a_second_is_unstable_and_a_slow_one_stable(weighing):
    fast, slow = (weighing({"balance": {"filter_s": 1.0}}, inflow_mg_per_s=rate) for rate in (0.278, SLOW_MG_PER_S))
    for second in range(60):
        fast_reading = fast.balance.display(to_ns(float(second)))
        slow_reading = slow.balance.display(to_ns(float(second)))
    assert not fast_reading.stable
    assert slow_reading.stable


def test_loads_beyond_the_range_have_no_weight(weighing):
    station = weighing()
    station.vessel.extra_mass_mg = 100_000.0
    assert station.balance.display(0).outcome is Outcome.OVERLOAD
    assert station.balance.tare(1) is Outcome.OVERLOAD
    station.vessel.extra_mass_mg = -60_000.0
    assert station.balance.display(to_ns(1.0)).outcome is Outcome.UNDERLOAD
    station.world.close()
    evidence = station.world.ledger.open().evidence
    assert evidence["balance.overload"] > 0
    assert evidence["balance.underload"] > 0


@pytest.mark.parametrize(("key", "value"), [("filter_setting", 9), ("warm_up_min", 0.0), ("white_mg", -1.0)])
def test_an_impossible_effect_is_refused_with_its_key(weighing, key, value):
    with pytest.raises(ScenarioError, match=key):
        weighing({"balance": {key: value}})


def test_a_vibration_is_seen_only_where_it_changes_the_display(weighing):
    def seen(vibration_mg):
        setup = weighing({"balance": {"vibration_mg": vibration_mg, "vibration_hz": 8.3, "filter_s": 1.0}})
        for second in range(200):
            setup.balance.display(second * 1_000_000_000)
        setup.world.close()
        return setup.world.ledger.open().evidence["balance.vibration"]

    assert seen(0.0) == 0
    assert seen(100.0) > 100
