"""Tones: which alarm sounds how and when, what silences it, and what makes it critical."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firmware_mock.world import to_ns
from protocol import (
    AcknowledgeAlarms,
    Alarm,
    BulkObject,
    BulkReader,
    EventCode,
    ProposeBolus,
    ProposeContinuous,
    ProposeRefill,
    Severity,
    Tone,
)
from protocol.profile import load_model

SOUNDER = load_model("implantable-20ml").sounder
MIN_S, HOUR_S = 60.0, 3600.0
CRITICAL_S = SOUNDER.critical_tone_interval_min * MIN_S
NON_CRITICAL_S = SOUNDER.noncritical_tone_interval_min * MIN_S
ESCALATION_S = SOUNDER.noncritical_escalation_h * HOUR_S
LOW, EMPTY = Alarm.LOW_RESERVOIR, Alarm.EMPTY_RESERVOIR
PER_EXAMPLE = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def heard(pump, from_s, until_s):
    """Alarm, tone and second of each."""
    tones = pump.pump.upkeep.tones(to_ns(from_s), to_ns(until_s))
    return [(tone.alarm, tone.tone, round(tone.at_ns / 1e9, 3)) for tone in tones]


def codes(pump):
    return [(record.code, record.argument) for record in pump.pull(BulkReader(BulkObject.EVENT_LOG))]


def test_a_critical_alarm_has_two_tones_every_ten_minutes_and_a_non_critical_one_every_hour(host):
    pump = host(filled_ul=0.0)
    entries = pump.alarms()
    assert (entries[EMPTY].tone, entries[LOW].tone) == (Tone.DUAL, Tone.SINGLE)
    assert heard(pump, 0.0, 3601.0) == [
        (LOW, Tone.SINGLE, 0.0),
        *((EMPTY, Tone.DUAL, number * CRITICAL_S) for number in range(6)),
        (LOW, Tone.SINGLE, NON_CRITICAL_S),
        (EMPTY, Tone.DUAL, 6 * CRITICAL_S),
    ]


def test_what_was_heard_stays_heard_when_the_alarm_is_over(host):
    pump = host(filled_ul=1_000.0)
    pump.world.sleep(90 * MIN_S)
    pump.do(ProposeRefill(1, 20_000.0))
    assert heard(pump, 0.0, 10 * HOUR_S) == [(LOW, Tone.SINGLE, 0.0), (LOW, Tone.SINGLE, NON_CRITICAL_S)]
    assert pump.alarms()[LOW].tone == Tone.SILENT


def test_silence_is_kept_for_its_time_and_then_the_tone_returns(host):
    pump = host(filled_ul=0.0)
    pump.world.sleep(25 * MIN_S)
    pump.ask(AcknowledgeAlarms(EMPTY, 1800))
    at_s = pump.alarms()[EMPTY]
    assert (at_s.tone, at_s.acknowledged, at_s.active) == (Tone.SILENT, 1, 1)
    tones = [second for alarm, _, second in heard(pump, 0.0, 70 * MIN_S) if alarm == EMPTY]
    assert tones[:3] == [0.0, CRITICAL_S, 2 * CRITICAL_S]
    assert tones[3] == pytest.approx(55 * MIN_S, abs=0.1)
    assert tones[4] - tones[3] == CRITICAL_S
    pump.world.sleep(31 * MIN_S)
    assert pump.alarms()[EMPTY].tone == Tone.DUAL


def test_an_acknowledgement_without_silence_leaves_the_tone_on(host):
    pump = host(filled_ul=0.0)
    pump.ask(AcknowledgeAlarms(EMPTY, 0))
    assert pump.alarms()[EMPTY].tone == Tone.DUAL


def test_an_acknowledgement_without_silence_leaves_a_silence_as_it_is_and_says_so(host):
    pump = host(filled_ul=0.0)
    pump.ask(AcknowledgeAlarms(EMPTY, 600))
    pump.ask(AcknowledgeAlarms(EMPTY, 0))
    empty = pump.alarms()[EMPTY]
    assert (empty.tone, empty.silent_for_s) == (Tone.SILENT, 600)
    pump.world.sleep(601.0)
    assert (pump.alarms()[EMPTY].tone, pump.alarms()[EMPTY].silent_for_s) == (Tone.DUAL, 0)


def test_an_alarm_that_nobody_sees_becomes_critical_on_time_and_sounds_so(host):
    pump = host(filled_ul=1_000.0)
    pump.world.sleep(ESCALATION_S - 1.0)
    assert (pump.alarms()[LOW].severity, pump.alarms()[LOW].tone) == (Severity.NON_CRITICAL, Tone.SINGLE)
    pump.world.sleep(2.0)
    assert (pump.alarms()[LOW].severity, pump.alarms()[LOW].tone) == (Severity.CRITICAL, Tone.DUAL)
    assert (EventCode.ALARM_ESCALATED, LOW) in codes(pump)
    after = [second for _, tone, second in heard(pump, ESCALATION_S, ESCALATION_S + 1500.0) if tone == Tone.DUAL]
    assert after == [ESCALATION_S, ESCALATION_S + CRITICAL_S, ESCALATION_S + 2 * CRITICAL_S]


def test_one_that_was_seen_in_time_does_not(host):
    pump = host(filled_ul=1_000.0)
    pump.world.sleep(ESCALATION_S - 1.0)
    pump.ask(AcknowledgeAlarms(LOW, 0))
    pump.world.sleep(ESCALATION_S)
    assert pump.alarms()[LOW].severity == Severity.NON_CRITICAL


@pytest.mark.parametrize("reset", ["reboot", "power"])
def test_resets_do_not_put_the_time_off_for_which_nobody_has_seen_it(host, reset):
    pump = host(filled_ul=1_000.0)
    pump.world.sleep(0.7 * ESCALATION_S)
    if reset == "reboot":
        pump.pump.reboot()
    else:
        pump.pump.cut_power(5.0)
        pump.world.sleep(6.0)
        pump.forget()
    assert pump.alarms()[LOW].severity == Severity.NON_CRITICAL
    pump.world.sleep(0.3 * ESCALATION_S)
    assert pump.alarms()[LOW].severity == Severity.CRITICAL


def test_alert_stop_start_does_not_keep_an_alarm_from_becoming_critical(host):
    pump = host(filled_ul=2_001.0)
    for number in range(1, SOUNDER.repeated_alarms + 1):
        assert not pump.status().alarms & LOW
        pump.do(ProposeBolus(2 * number, 2.0, 0.0))
        pump.world.sleep(HOUR_S)
        critical = number == SOUNDER.repeated_alarms
        assert pump.alarms()[LOW].severity == (Severity.CRITICAL if critical else Severity.NON_CRITICAL)
        pump.ask(AcknowledgeAlarms(LOW, 0))
        pump.do(ProposeRefill(2 * number + 1, 2_001.0))


def test_restarts_count_as_the_same_alarm_again(host):
    pump = host(filled_ul=1_000.0)
    for _ in range(SOUNDER.repeated_alarms - 1):
        assert pump.alarms()[LOW].severity == Severity.NON_CRITICAL
        pump.ask(AcknowledgeAlarms(LOW, 0))
        pump.pump.cut_power(1.0)
        pump.world.sleep(2.0)
        pump.forget()
    assert pump.alarms()[LOW].severity == Severity.CRITICAL


def test_the_same_alarm_on_other_days_is_another_one(host):
    pump = host(filled_ul=2_001.0)
    for number in range(1, SOUNDER.repeated_alarms + 3):
        pump.do(ProposeBolus(2 * number, 2.0, 0.0))
        pump.world.sleep(HOUR_S)
        assert pump.alarms()[LOW].severity == Severity.NON_CRITICAL
        pump.ask(AcknowledgeAlarms(LOW, 0))
        pump.do(ProposeRefill(2 * number + 1, 2_001.0))
        pump.world.sleep(0.6 * SOUNDER.repeated_alarms_h * HOUR_S)


@PER_EXAMPLE
@given(st.lists(st.tuples(st.floats(1.0, 40_000.0), st.integers(0, 20_000)), max_size=8))
def test_tones_are_those_of_a_sounder_that_ticks(host, acknowledgements):
    """Against one that looks every second whether it is time."""
    pump = host(filled_ul=0.0)
    for wait_s, silence_s in acknowledgements:
        pump.world.sleep(wait_s)
        pump.ask(AcknowledgeAlarms(EMPTY, silence_s))
    pump.world.sleep(1000.0)
    quiet = []
    at_s = 0.0
    log = pump.pull(BulkReader(BulkObject.EVENT_LOG))
    seen_s = [record.device_time_us / 1e6 for record in log if record.code == EventCode.ALARM_ACKNOWLEDGED]
    for instant_s, (_, silence_s) in zip(seen_s, acknowledgements, strict=True):
        if silence_s:
            quiet.append((instant_s, instant_s + silence_s))
    first_s, expected = 0.0, []
    quiet.append((pump.world.monotonic(), None))
    for begins_s, ends_s in quiet:
        at_s = first_s
        while at_s < begins_s:
            expected.append(round(at_s, 2))
            at_s += CRITICAL_S
        first_s = ends_s
    tones = heard(pump, 0.0, pump.world.monotonic())
    assert [round(second, 2) for alarm, _, second in tones if alarm == EMPTY] == pytest.approx(expected, abs=0.02)


def test_a_tone_is_no_event(host):
    pump = host(filled_ul=0.0)
    pump.hear(1.0)
    pump.ask(AcknowledgeAlarms(LOW, 0))
    assert pump.world.next_event_ns() > to_ns(40 * HOUR_S)


def test_a_pump_without_power_makes_no_sound(host):
    pump = host(filled_ul=0.0)
    pump.do(ProposeRefill(1, 1_000.0))
    pump.world.sleep(HOUR_S)
    pump.pump.cut_power(5 * HOUR_S)
    pump.world.sleep(4 * HOUR_S)
    assert heard(pump, 1.1 * HOUR_S, 5 * HOUR_S) == []


def test_over_infusion_brings_no_low_reservoir_alarm_forward(host):
    """The reservoir is counted by steps, whatever really flows, and whatever was really filled in (domain.md)."""
    pump = host(filled_ul=2_100.0, unit_error_pct=40.0)
    pump.do(ProposeContinuous(1, 100.0, 0))
    pump.world.sleep(0.9 * HOUR_S)
    assert pump.status().alarms == 0
    pump.world.sleep(0.2 * HOUR_S)
    assert pump.status().alarms == LOW
