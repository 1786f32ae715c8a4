"""What a scenario expects: seen when it is there, not seen when it is not, and refused where it expects nothing."""

import pytest

from firmware_mock import Scenario
from firmware_mock.expectations import expectations, outcomes
from firmware_mock.implant_record import COLUMNS, Record, Row
from firmware_mock.scenario import ScenarioError
from protocol import Alarm


def row(hour, *, alarms=0, tip_ul=0.0):
    values = dict.fromkeys(COLUMNS, 0.0) | {"mode": 0, "tone": 0, "pump_on": 1, "battery_mv": 0}
    return Row(**values | {"time_s": 3600.0 * hour, "alarms": int(alarms), "true_tip_ul": tip_ul})


@pytest.fixture
def record():
    """A low reservoir from 5 to 7 h and again from 9 h on; 10 µL/h at the tip; a bolus at 3 h."""
    kept = Record()
    for hour in range(12):
        low = hour in (5, 6) or hour >= 9
        kept.add(row(hour, alarms=Alarm.LOW_RESERVOIR if low else 0, tip_ul=10.0 * hour))
    kept.note(3 * 3600.0, "pump", "BOLUS_DONE 4")
    return kept


@pytest.mark.parametrize(
    ("expected", "seen"),
    [
        ({"alarm": "LOW_RESERVOIR", "from_h": 4.5, "until_h": 5.5}, True),
        ({"alarm": "LOW_RESERVOIR", "from_h": 8.5, "until_h": 9.5}, True),
        ({"alarm": "LOW_RESERVOIR", "from_h": 5.5, "until_h": 8.5}, False),
        ({"alarm": "MOTOR_STALL", "from_h": 0, "until_h": 12}, False),
        ({"alarm": "MOTOR_STALL", "never": True}, True),
        ({"alarm": "LOW_RESERVOIR", "never": True}, False),
        ({"any_alarm": False}, False),
        ({"event": "BOLUS_DONE", "from_h": 2.9, "until_h": 3.1}, True),
        ({"event": "BOLUS_DONE", "from_h": 3.1, "until_h": 4}, False),
        ({"column": "true_tip_ul", "at_h": 6, "low": 60, "high": 60}, True),
        ({"column": "true_tip_ul", "at_h": 6.9, "low": 60, "high": 60}, True),
        ({"column": "true_tip_ul", "at_h": 7, "low": 0, "high": 60}, False),
    ],
)
def test_what_is_expected_is_seen_or_not(record, expected, seen):
    [outcome] = outcomes(Scenario("test", expected=(expected,)), record)
    assert outcome.seen is seen
    assert outcome.expected


def test_no_alarm_at_all_is_seen_in_a_quiet_record():
    quiet = Record()
    quiet.add(row(1))
    [outcome] = outcomes(Scenario("test", expected=({"any_alarm": False},)), quiet)
    assert outcome.seen


def test_a_second_row_of_an_instant_replaces_the_first():
    kept = Record()
    for tip_ul in (1.0, 2.0):
        kept.add(row(1, tip_ul=tip_ul))
    assert list(kept.columns["true_tip_ul"]) == [2.0]


def test_before_the_first_row_there_is_nothing_to_look_at(record):
    with pytest.raises(ValueError, match="no row up to -1 s"):
        record.at("true_tip_ul", -1)


@pytest.mark.parametrize(
    ("expected", "said"),
    [
        ({}, "scenario test: expected 1: expects nothing; give alarm, any_alarm, event or column"),
        ({"alarm": "NOISE", "never": True}, "alarm = 'NOISE' is unknown; known: .*LOW_RESERVOIR"),
        ({"alarm": "LOW_RESERVOIR"}, "expected 1: from_h is missing; it must be a number"),
        ({"alarm": "LOW_RESERVOIR", "from_h": 3, "until_h": 2}, "from_h = 3 must be at least 0 and before until_h = 2"),
        ({"alarm": "LOW_RESERVOIR", "never": True, "from_h": 1}, "has no key 'from_h' beside 'alarm'; known: alarm"),
        ({"alarm": "LOW_RESERVOIR", "from_h": 721, "until_h": 800}, "from_h = 721 is after the scenario's 30 days"),
        ({"column": "mode", "at_h": 721, "low": 0, "high": 1}, "at_h = 721 is after the scenario's 30 days"),
        ({"event": "", "from_h": 1, "until_h": 2}, "event = '' must be the beginning of a note, such as MOTOR_STALL"),
        ({"any_alarm": True}, "any_alarm can be false alone"),
        ({"column": "weight", "at_h": 1, "low": 0, "high": 1}, "column = 'weight' is unknown; known: time_s, mode"),
        ({"column": "mode", "at_h": 1, "low": 2, "high": 1}, "low = 2 must be at most high = 1"),
    ],
)
def test_a_senseless_expectation_is_refused_by_number_key_and_cure(expected, said):
    with pytest.raises(ScenarioError, match=said):
        expectations(Scenario("test", expected=(expected,)))
