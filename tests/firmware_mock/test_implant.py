"""A pump in a body through the whole chain: the worked examples of the domain, from bytes to the drug at the tip."""

import numpy as np
import pytest

from firmware_mock import Scenario, World
from firmware_mock.implant import Implant
from firmware_mock.implant_events import schedule_implant_events
from firmware_mock.scenario import ScenarioError
from protocol import Alarm

DAY_H = 24.0


def implant_with(*events, days=10.0, model="implantable-20ml", ug_per_ml=500.0, **tables):
    tables = {"implant": {"days": days, "model": model}, "reservoir": {"concentration_ug_per_ml": ug_per_ml}, **tables}
    implant = Implant(World(scenario=Scenario("test", tables, events)))
    schedule_implant_events(implant)
    return implant


def played(*events, **how):
    implant = implant_with(*events, **how)
    implant.run()
    return implant


def at(do, hour=0.0, **keys):
    return {"at_h": hour, "do": do, **keys}


def texts(implant, who):
    return [note.text for note in implant.record.notes if note.who == who]


def hours(implant, text):
    return [note.time_s / 3600.0 for note in implant.record.notes if note.text.startswith(text)]


HUNDRED_UG = {"dose_ug_per_day": 100, "concentration_ug_per_ml": 500}
NEW_DRUG = {"volume_ml": 20, "concentration_ug_per_ml": 2000}


def tip_ug(implant, hour):
    columns = implant.record.columns
    return float(np.interp(3600.0 * hour, columns["time_s"], columns["true_tip_ug"]))


def test_a_bridge_of_45_hours_entered_as_750_ug_keeps_the_dose_at_the_tip():
    bridge = at("bridge", 48.0, old_ug_per_ml=500, new_ug_per_ml=2000, old_ug_per_day=100, new_ug_per_day=100)
    implant = played(at("continuous", **HUNDRED_UG), at("refill", 48.0, **NEW_DRUG), bridge)
    assert "bridge 0.375 mL in 45 h at 0.2 mL/day, entered as 750 ug, then 0.05 mL/day: running" in texts(
        implant, "clinic"
    )
    [done_h] = hours(implant, "BRIDGE_DONE")
    [arrival_h] = hours(implant, "2000 ug/mL arrives")
    assert done_h == pytest.approx(93.0, abs=1e-3)
    assert arrival_h == pytest.approx(93.0, abs=1e-3)
    rates = {implant.record.at("pump_rate_ul_per_h", 3600.0 * hour) / 1000.0 * DAY_H for hour in (60.0, 100.0)}
    assert sorted(rates) == pytest.approx([0.05, 0.2], rel=1e-6)
    doses = [tip_ug(implant, hour + DAY_H) - tip_ug(implant, hour) for hour in (24.0, 48.0, 72.0, 96.0, 120.0, 192.0)]
    assert doses == pytest.approx([100.0] * 6, abs=0.02)


def test_without_a_bridge_it_is_a_quarter_of_the_dose_for_seven_and_a_half_days():
    new_rate = at("continuous", 48.0, dose_ug_per_day=100, concentration_ug_per_ml=2000)
    implant = played(at("continuous", **HUNDRED_UG), at("refill", 48.0, **NEW_DRUG), new_rate, days=12.0)
    [arrival_h] = hours(implant, "2000 ug/mL arrives")
    assert (arrival_h - 48.0) / DAY_H == pytest.approx(7.5, abs=1e-3)
    assert (tip_ug(implant, 227.0) - tip_ug(implant, 60.0)) / (227.0 - 60.0) * DAY_H == pytest.approx(25.0, abs=0.02)
    assert (tip_ug(implant, 280.0) - tip_ug(implant, 232.0)) / 2.0 == pytest.approx(100.0, abs=0.05)


@pytest.mark.parametrize(("ml_per_day", "days"), [(0.45, 40.0), (0.9, 20.0)])
def test_20_ml_last_so_many_days_to_the_alarm(ml_per_day, days):
    implant = played(at("continuous", rate_ml_per_day=ml_per_day), days=days + 1.0)
    [alarm_s] = implant.record.rising(Alarm.LOW_RESERVOIR)
    assert alarm_s / 86_400.0 == pytest.approx(days, abs=1e-4)
    assert implant.record.at("true_reservoir_ul", alarm_s) == pytest.approx(2000.0, abs=0.02)


@pytest.mark.parametrize(("length_cm", "volume_ml"), [(80.0, 0.375), (38.1, 0.28282)])
def test_priming_is_of_tubing_and_catheter_and_brings_the_new_drug_to_the_tip(length_cm, volume_ml):
    implant = played(
        at("refill", 1.0, **NEW_DRUG), at("prime", 1.0), days=0.2, ug_per_ml=0.0, catheter={"length_cm": length_cm}
    )
    assert texts(implant, "clinic")[-1] == f"priming {volume_ml:g} mL: running"
    assert implant.record.at("pump_delivered_ul", 1e9) == pytest.approx(1000.0 * volume_ml, abs=0.0051)
    assert implant.record.at("true_tip_ul", 1e9) == pytest.approx(1000.0 * volume_ml, abs=0.0051)


def test_a_reset_of_the_pump_resets_no_account_of_its_deliveries():
    implant = played(at("continuous", rate_ml_per_day=1.0), at("reboot", 12.0), days=1.0)
    assert implant.record.at("pump_delivered_ul", 1e9) == pytest.approx(1000.0, abs=0.02)
    assert implant.record.at("true_tip_ul", 1e9) == pytest.approx(1000.0, abs=0.02)


def test_a_refill_that_nobody_tells_the_pump_of_leaves_its_account_alone():
    implant = played(
        at("continuous", rate_ml_per_day=1.0), at("refill", 24.0, **NEW_DRUG, untold=1, leaving_ml=1), days=2.0
    )
    assert implant.record.at("pump_reservoir_ul", 1e9) == pytest.approx(18_000.0, abs=0.05)
    assert implant.record.at("true_reservoir_ul", 1e9) == pytest.approx(20_000.0, abs=0.05)
    assert texts(implant, "body") == ["18 mL withdrawn, 20 mL of 2000 ug/mL injected"]


def test_the_pump_with_another_model_is_another_pump():
    implant = Implant(World(scenario=Scenario("test", {"implant": {}})), model="implantable-40ml", days=2.0)
    assert (implant.profile.name, implant.days, implant.scenario_days) == ("implantable-40ml", 2.0, 30.0)


def test_an_alarm_is_noted_with_how_it_sounds():
    implant = played(at("stop", 1.0), days=3.0)
    assert "sounds: STOPPED_TOO_LONG, dual tone every 10 min" in texts(implant, "pump")
    assert implant.record.at("tone", 60 * 3600.0) == 2


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (at("continuous", -1.0, rate_ml_per_day=1), r"event 1: at_h = -1.0 must be a number of at least 0"),
        (at("explode"), "do = 'explode' is unknown; known: acknowledge, bolus, break_part, bridge, .*unplug"),
        (at("continuous"), "event 1 \\(continuous\\): rate_ml_per_day is missing; it must be a number of at least 0"),
        (at("continuous", rate_ml_per_day="fast"), "rate_ml_per_day = 'fast' must be a number"),
        (at("continuous", rate_ml_per_hour=1), r"\(continuous\) has no key 'rate_ml_per_hour'; known: at_h, conc"),
        (at("leak", share_pct=101), "share_pct = 101 must be a number of 0 to 100"),
        (at("leak", share_pct=10, at_cm=81), "at_cm = 81 must be a number of 0 to 80"),
        (at("kink", factor=0.5), "factor = 0.5 must be a number of at least 1"),
        (at("kink", factor=10, for_h=0), "for_h = 0 must be a number of at least 1e-06"),
        (at("refill", volume_ml=20), "concentration_ug_per_ml is missing; it must be a number"),
        (at("refill", **NEW_DRUG, pocketed_pct=120), "pocketed_pct = 120 must be a number of 0 to 100"),
        (at("film", locked_pct=200), "locked_pct = 200 must be a number of 0 to 100"),
        (at("break_part", part="antenna"), "part = 'antenna' is no part; known: battery, clock, firmware_image, "),
        (at("patient_button", times=2), "every_h is missing; it must be a number of at least 0.001"),
        (at("patient_button", every_h=1), r"\(patient_button\): every_h is given without times; say how often"),
        (
            at("stop", 1000.0),
            r"\(stop\): at_h = 1000 is after the scenario's 10 days; give an earlier one, or more \[implant\]",
        ),
        (at("stop", 1e300), "at_h = 1e\\+300 is beyond all measure; at most 1e\\+12 is taken"),
        (
            at("continuous", rate_ml_per_day=1, dose_ug_per_day=100, concentration_ug_per_ml=500),
            "rate_ml_per_day and dose_ug_per_day say the same twice; give rate_ml_per_day, or dose_ug_per_day and conc",
        ),
        (
            at("bolus", volume_ml=1, concentration_ug_per_ml=500),
            "volume_ml and concentration_ug_per_ml say the same tw",
        ),
        (at("refill", volume_ml=41, concentration_ug_per_ml=1), "volume_ml = 41 must be a number of 0 to 40"),
        (at("refill", **NEW_DRUG, leaving_ml=21), "leaving_ml = 21 must be a number of 0 to 20"),
        (at("patient_button", every_h=1, times=1.5), "times = 1.5 must be a whole number"),
        (at("flex"), r"\(flex\): steps = None must be a list of tables, not empty"),
        (at("flex", steps=[{"at": "25:00", "rate_ml_per_day": 1}]), "at = '25:00'; give a time of day"),
        (at("flex", steps=[{"at": "06:00", "rate_ml_per_day": -1}]), "rate_ml_per_day = -1; it must be a number"),
        (at("flex", steps=[{"at": "06:00", "rate_ml_per_day": 1, "days": "noday"}]), "days = 'noday'; known: every"),
        (at("flex", steps=[{"hour": 6}]), "a step has no key 'hour'; known: at, days, rate_ml_per_day"),
        (at("set_clock", utc_offset_h=20), "utc_offset_h = 20 must be a number of -12 to 14"),
    ],
)
def test_a_senseless_event_is_refused_by_number_key_and_cure(event, said):
    with pytest.raises(ScenarioError, match=said):
        implant_with(event)


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({}, r"scenario test: has no \[implant\], so there is no pump in a body"),
        ({"implant": {}, "vessel": {}}, r"no component reads \[vessel\]; known: catheter, implant, pump, reservoir"),
        ({"implant": {"days": 0}}, r"\[implant\] days = 0.0 must be above 0"),
        ({"implant": {"date": "today"}}, r"\[implant\] date = 'today' must be a day, such as 2026-11-21"),
        ({"implant": {"model": "constant-flow-20ml"}}, r"\[implant\] model = .* cannot be simulated: its metering is"),
        ({"implant": {}, "catheter": {"length_cm": 0}}, r"\[catheter\] length_cm = 0.0 must be above 0"),
        (
            {"implant": {}, "reservoir": {"slack_pct": 100}},
            r"\[reservoir\] slack_pct = 100.0 must be above 0 and below",
        ),
        (
            {"implant": {}, "reservoir": {"stop_hpa_per_ml": 1}},
            r"\[reservoir\] stop_hpa_per_ml = 1.0 must be above spring_hpa_per_ml",
        ),
    ],
)
def test_an_impossible_figure_is_refused_by_table_key_and_cure(tables, said):
    with pytest.raises(ScenarioError, match=said):
        Implant(World(scenario=Scenario("test", tables)))


@pytest.mark.parametrize("days", [0.0, -1.0, float("nan"), 36_526.0])
def test_days_that_are_asked_for_are_days(days):
    with pytest.raises(ScenarioError, match=r"days = .* must be above 0 and at most 36525, a hundred years"):
        Implant(World(scenario=Scenario("test", {"implant": {}})), days=days)


def test_a_model_that_is_asked_for_and_cannot_be_simulated_is_not_laid_to_the_scenario():
    with pytest.raises(
        ScenarioError, match=r'^model = "valve-gated-latch" cannot be simulated: .* take one of bench-st'
    ):
        Implant(World(scenario=Scenario("test", {"implant": {}})), model="valve-gated-latch")


def test_a_fault_in_a_file_is_named_with_the_file(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('[implant]\n[[events]]\nat_h = 1\ndo = "explode"\n')
    implant = Implant(World(scenario=Scenario.load(file)))
    with pytest.raises(ScenarioError, match=r"mine\.toml: scenario mine: event 1: do = 'explode' is unknown"):
        schedule_implant_events(implant)
