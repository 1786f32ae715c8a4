"""Too few and too many steps: found within two windows where the encoder can know, and never where it cannot."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firmware_mock.world import to_ns
from protocol import Alarm, BulkObject, BulkReader, EventCode, ProposeContinuous, ProposeMinimumRate, Severity
from protocol.profile import load_model

PROFILE = load_model("implantable-20ml")
WINDOW_S = PROFILE.infusion_check_s
LIMIT_PPM = round(1e4 * PROFILE.accuracy_limit_pct)
UNDER, OVER = Alarm.UNDER_INFUSION, Alarm.OVER_INFUSION
PER_EXAMPLE = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def codes(pump):
    return [record.code for record in pump.pull(BulkReader(BulkObject.EVENT_LOG))]


@pytest.mark.parametrize(("made_ppm", "alarm"), [(800_000, UNDER), (1_200_000, OVER)])
def test_a_rotor_that_loses_or_gains_steps_is_an_alarm_within_two_windows_and_a_good_window_ends_it(
    host, made_ppm, alarm
):
    pump = host()
    pump.do(ProposeContinuous(1, 20.0, 0))
    pump.world.sleep(0.4 * WINDOW_S)
    pump.head.slip(made_ppm)
    pump.world.sleep(2 * WINDOW_S)
    assert pump.status().alarms == alarm
    assert pump.alarms()[alarm].severity == Severity.CRITICAL
    steps = pump.status().steps
    pump.world.sleep(WINDOW_S)
    assert pump.status().steps - steps == pytest.approx(20.0 * 100 * made_ppm / 1e6, abs=2)
    pump.head.slip(1_000_000)
    pump.world.sleep(2 * WINDOW_S)
    assert pump.status().alarms == 0
    assert codes(pump).count(EventCode[alarm.name]) == 1


@PER_EXAMPLE
@given(
    st.floats(2.0, 1000.0),
    st.integers(500_000, 1_500_000).filter(lambda ppm: abs(abs(ppm - 1_000_000) - LIMIT_PPM) > 20_000),
    st.floats(0.0, 3.0),
)
def test_it_comes_beyond_the_limit_and_never_within(host, rate, made_ppm, begins):
    pump = host()
    pump.do(ProposeContinuous(1, rate, 0))
    pump.world.sleep(begins * WINDOW_S)
    pump.head.slip(made_ppm)
    seen = Alarm(0)
    for _ in range(4):
        pump.world.sleep(0.5 * WINDOW_S)
        seen |= pump.status().alarms
    off = made_ppm - 1_000_000
    assert seen == (Alarm(0) if abs(off) < LIMIT_PPM else UNDER if off < 0 else OVER)


def test_a_rotor_that_never_turns_right_is_found_at_the_minimum_rate_too(host):
    pump = host()
    pump.head.slip(700_000)
    pump.do(ProposeMinimumRate(1, 0.0, 0))
    pump.world.sleep(2 * WINDOW_S)
    assert pump.status().alarms == UNDER


def test_changes_of_rate_in_a_window_hide_nothing_and_feign_nothing(host):
    pump = host()
    good = host()
    pump.head.slip(750_000)
    for each in (pump, good):
        for command_id in range(1, 40):
            each.do(ProposeContinuous(command_id, 10.0 + command_id, 0))
            each.world.sleep(WINDOW_S / 10.0)
    assert pump.status().alarms == UNDER
    assert (good.status().alarms, codes(good).count(EventCode.UNDER_INFUSION)) == (0, 0)


def test_a_change_at_the_very_end_of_a_window_does_not_hide_it(host):
    pump = host()
    ends_ns = to_ns(WINDOW_S)
    pump.world.at(ends_ns, lambda: pump.pump.inside.therapy.resume())
    pump.head.slip(700_000)
    pump.do(ProposeContinuous(1, 20.0, 0))
    pump.world.run_until(ends_ns)
    assert pump.status().alarms == UNDER


def test_what_is_counted_is_what_the_encoder_saw(host):
    pump = host()
    pump.do(ProposeContinuous(1, 36.0, 0))
    pump.head.slip(1_300_000)
    pump.world.sleep(1000.0)
    result, steps = pump.result(1), pump.head.counted_steps(pump.world.now_ns)
    assert steps == pytest.approx(1300, abs=2)
    assert result.delivered_high_ul == pytest.approx(0.01 * steps)


def test_a_stall_says_more_than_too_few_steps(host):
    pump = host()
    pump.do(ProposeContinuous(1, 20.0, 0))
    pump.head.stall(held=True)
    pump.world.sleep(3 * WINDOW_S)
    assert pump.status().alarms == Alarm.MOTOR_STALL


def test_what_the_encoder_cannot_see_is_no_alarm(host):
    """A step that moves too much or too little liquid looks as any other (domain.md: sometimes silent)."""
    pump = host(unit_error_pct=40.0)
    pump.do(ProposeContinuous(1, 20.0, 0))
    pump.world.sleep(5 * WINDOW_S)
    assert pump.status().alarms == 0


def test_a_rotor_that_follows_costs_no_event(host):
    pump = host()
    pump.do(ProposeContinuous(1, 20.0, 0))
    pump.hear(1.0)
    assert pump.world.next_event_ns() > to_ns(7 * 86_400.0)
