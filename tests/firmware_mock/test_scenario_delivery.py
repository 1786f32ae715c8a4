"""True delivery over every interval: what a patient got too much or too little of, and what an alarm pardons."""

import pytest

from firmware_mock.implant_record import COLUMNS, Record, Row
from firmware_mock.scenario_delivery import OVER, UNDER, delivery_breaches
from protocol import Alarm, Mode
from protocol.profile import load_model

PROFILE = load_model("implantable-20ml")
STROKE_UL = 200 / 3 * 0.01
RATE_UL_PER_H = 10.0


def record(arrived_ul, *, alarms=(), off=(), modes=(), rate_ul_per_h=RATE_UL_PER_H):
    """A row an hour of a therapy of 10 µL/h: what came to the tip in each, and the hours that are unlike the others."""
    kept, tip_ul = Record(), 0.0
    for hour, ul in enumerate((0.0, *arrived_ul)):
        tip_ul += ul
        values = dict.fromkeys(COLUMNS, 0.0) | {"tone": 0, "battery_mv": 0, "mode": int(dict(modes).get(hour, 1))}
        values |= {"pump_on": int(hour not in off), "alarms": int(dict(alarms).get(hour, 0)), "true_tip_ul": tip_ul}
        values |= {"time_s": 3600.0 * hour, "pump_rate_ul_per_h": 0.0 if hour in off else rate_ul_per_h}
        kept.add(Row(**values))
    return kept


def broken(arrived_ul, **how):
    return delivery_breaches(record(arrived_ul, **how), PROFILE)


@pytest.mark.parametrize("share", [0.86, 1.0, 1.14])
def test_delivery_within_the_limit_of_the_model_breaks_nothing(share):
    assert broken([share * RATE_UL_PER_H] * 500) == {}


@pytest.mark.parametrize(("share", "identifier"), [(0.85, UNDER), (1.15, OVER)])
def test_delivery_just_beyond_the_limit_is_broken_when_that_comes_to_a_stroke(share, identifier):
    hours_to_a_stroke = STROKE_UL / (0.005 * RATE_UL_PER_H)
    [(found, breach)] = broken([share * RATE_UL_PER_H] * 100).items()
    assert found == identifier
    assert hours_to_a_stroke <= breach.at_s / 3600.0 <= hours_to_a_stroke + 1.0


def test_months_of_right_delivery_excuse_no_day_without():
    [(identifier, breach)] = broken([10.0] * 2000 + [0.0] * 24).items()
    assert (identifier, breach.at_s) == (UNDER, 2001 * 3600.0)
    assert breach.how == "0 uL arrived in 1 h, 10 uL were programmed"


def test_what_came_late_is_too_little_and_then_too_much():
    breaches = broken([10.0] * 5 + [0.0] * 5 + [60.0] + [10.0] * 9)
    assert {name: breach.at_s / 3600.0 for name, breach in breaches.items()} == {UNDER: 6.0, OVER: 11.0}


def test_an_alarm_in_time_pardons_and_what_comes_after_it_is_judged_anew():
    stalled = [10.0] * 5 + [0.0] * 10
    assert set(broken(stalled)) == {UNDER}
    assert broken(stalled, alarms=dict.fromkeys(range(7, 16), Alarm.MOTOR_STALL)) == {}
    assert set(broken(stalled, alarms=dict.fromkeys(range(7, 10), Alarm.MOTOR_STALL))) == {UNDER}
    assert set(broken(stalled, alarms=dict.fromkeys(range(9, 16), Alarm.MOTOR_STALL))) == {UNDER}


def test_an_alarm_that_tells_of_something_else_pardons_nothing():
    assert set(broken([0.0] * 10, alarms=dict.fromkeys(range(16), Alarm.LOW_RESERVOIR))) == {UNDER}


def test_without_power_the_therapy_still_stands_and_a_bolus_on_top_of_it_does_not():
    dead = range(5, 20)
    assert set(broken([10.0] * 4 + [0.0] * 12, off=dead)) == {UNDER}
    assert broken([10.0] * 5 + [0.0] * 11, off=dead, modes=dict.fromkeys(range(5), Mode.BOLUS)) == {}


def test_a_pump_that_stands_as_it_was_told_breaks_nothing():
    assert broken([0.0] * 50, rate_ul_per_h=0.0) == {}
