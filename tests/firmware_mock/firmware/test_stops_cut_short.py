"""Power fails while the pump stops itself: whatever was written by then, nothing is infused that must not be."""

import pytest

from firmware_mock.firmware.flash import PROGRAM_NS
from firmware_mock.world import to_ns
from protocol import CommandState, Mode, ProposeContinuous, SelfTestItem
from protocol.profile import load_model

PROFILE = load_model("implantable-20ml")
CAP_S = PROFILE.service_life.life_cap_years * 365.25 * 86_400.0
BASAL = ProposeContinuous(1, 500.0, 0)


def ends_service(host):
    pump = host(served_s=CAP_S - 3600.0)
    pump.do(BASAL)
    return pump, to_ns(3600.0)


def fails_the_self_test(host):
    pump = host()
    pump.do(BASAL)
    pump.pump.upkeep.break_part(SelfTestItem.CLOCK)
    return pump, to_ns(3600.0 * PROFILE.self_test_interval_h)


def runs_empty(host):
    pump = host(filled_ul=100.0)
    pump.do(BASAL)
    return pump, pump.head.counts_ns(10_000)


@pytest.mark.parametrize("stops", [ends_service, fails_the_self_test, runs_empty])
@pytest.mark.parametrize("into_ms", range(0, 240, 15))
def test_a_pump_that_was_stopping_itself_stands_after_the_cut(host, stops, into_ms):
    pump, due_ns = stops(host)
    pump.pump.cut_power_at(due_ns + 1_000_000 * into_ms + PROGRAM_NS // 2, 5.0)
    pump.world.run_until(due_ns + to_ns(10.0))
    pump.forget()
    steps = pump.status().steps
    pump.world.sleep(100.0)
    status = pump.status()
    assert (status.mode, status.rate_ul_per_h, status.steps - steps) == (Mode.STOPPED, 0.0, 0)
    assert pump.result(1).state == CommandState.STOPPED
