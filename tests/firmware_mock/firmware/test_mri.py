"""A strong field holds the rotor while the timer goes on: found late, over by itself, and all of it on record."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firmware_mock.world import to_ns
from protocol import Alarm, BulkObject, BulkReader, EventCode, Mode, ProposeContinuous
from protocol.profile import load_model

CHECK_S = load_model("implantable-20ml").stall_check_s
PER_EXAMPLE = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@PER_EXAMPLE
@given(st.floats(10.0, 7200.0), st.floats(0.0, 7200.0), st.sampled_from([0.0, 900.0, 7200.0]))
def test_an_examination_is_found_and_over_within_the_looks_and_counts_no_step(host, after_s, for_s, restart_after_s):
    pump = host()
    pump.do(ProposeContinuous(1, 100.0, 0))
    begins_ns = pump.world.now_ns + to_ns(after_s)
    ends_ns = begins_ns + to_ns(for_s + restart_after_s)
    pump.world.at(begins_ns, lambda: pump.head.stall(held=True))
    pump.world.at(ends_ns, pump.head.free)
    pump.world.run_until(ends_ns + to_ns(3 * CHECK_S))
    assert (pump.status().mode, pump.status().alarms & Alarm.MOTOR_STALL) == (Mode.CONTINUOUS, 0)
    log = pump.pull(BulkReader(BulkObject.EVENT_LOG))
    at_s = {record.code: record.device_time_us / 1e6 for record in log}
    stood_s = for_s + restart_after_s
    if stood_s > 2 * CHECK_S:
        assert EventCode.MOTOR_STALL in at_s
    if EventCode.MOTOR_STALL in at_s:
        assert CHECK_S - 1.0 < at_s[EventCode.MOTOR_STALL] - begins_ns / 1e9 <= 2 * CHECK_S
        assert 0.0 <= at_s[EventCode.MOTOR_RESTARTED] - ends_ns / 1e9 <= CHECK_S + 1.0
    result = pump.result(1)
    turned_s = pump.world.monotonic() - (begins_ns / 1e9 - after_s) - stood_s
    assert result.delivered_high_ul == pytest.approx(turned_s / 36.0, abs=0.05)
