"""Service life: the replacement indicator, and the end 90 days later, at the cap, or when the battery is spent."""

import pytest

from firmware_mock.world import to_ns
from protocol import (
    Alarm,
    BulkObject,
    BulkReader,
    CommandState,
    EventCode,
    Mode,
    NakReason,
    ProposeContinuous,
)
from protocol.profile import load_model

PROFILE = load_model("implantable-20ml")
LIFE = PROFILE.service_life
DAY_S = 86_400.0
YEAR_S = 365.25 * DAY_S
LOAD_UW = 1e4
AFTER_S = LIFE.end_of_service_after_eri_days * DAY_S
RATE = ProposeContinuous(1, 20.0, 0)
ERI, END = Alarm.ELECTIVE_REPLACEMENT, Alarm.END_OF_SERVICE


def first(pump, code):
    """The second of the world at which an event was logged, in a pump that was never reset."""
    return next(r.device_time_us / 1e6 for r in pump.pull(BulkReader(BulkObject.EVENT_LOG)) if r.code == code)


def test_the_indicator_comes_with_the_low_battery_and_service_ends_90_days_later(host):
    pump = host(battery_used_pct=94.9)
    pump.do(ProposeContinuous(1, 2.0, 0))
    power_w = (PROFILE.battery_base_power_uw + PROFILE.battery_step_energy_uj * 2.0 / 36.0) * 1e-6
    low_s = 0.001 * PROFILE.battery_energy_j / power_w
    pump.world.sleep(low_s - 60.0)
    assert pump.status().alarms == 0
    pump.world.sleep(120.0)
    assert pump.status().alarms == ERI | Alarm.LOW_BATTERY
    assert first(pump, EventCode.ELECTIVE_REPLACEMENT) == pytest.approx(low_s, abs=1.0)
    pump.world.sleep(AFTER_S - 180.0)
    assert (pump.status().mode, pump.status().alarms & END) == (Mode.CONTINUOUS, 0)
    pump.world.sleep(120.0)
    status = pump.status()
    assert (status.mode, status.rate_ul_per_h, status.alarms & END) == (Mode.STOPPED, 0.0, END)
    ended_s = first(pump, EventCode.END_OF_SERVICE)
    assert ended_s - first(pump, EventCode.ELECTIVE_REPLACEMENT) == pytest.approx(AFTER_S, abs=1e-3)
    assert pump.result(1).state == CommandState.STOPPED


@pytest.mark.parametrize(("ml_per_day", "years"), [(0.048, (7.0, 7.0)), (0.5, (5.0, 7.0)), (1.2, (3.0, 5.0))])
def test_a_pump_serves_by_its_rate_as_the_patient_texts_say(host, ml_per_day, years):
    """Five to seven years by flow, forced stop at seven; by the second text three to five: min(cap, E/(P0 + k·Q))."""
    pump = host(filled_ul=1e9)
    canonical, _ = pump.do(ProposeContinuous(1, ml_per_day * 1000.0 / 24.0, 0))
    steps_per_s = canonical.rate_ul_per_h / 3600.0 / (PROFILE.step_volume_nl * 1e-3)
    power_w = (PROFILE.battery_base_power_uw + PROFILE.battery_step_energy_uj * steps_per_s) * 1e-6
    full_s = PROFILE.battery_energy_j / power_w
    low_s, spent_s = ((1.0 - pct / 100.0) * full_s for pct in (LIFE.eri_remaining_pct, PROFILE.cells.battery_spent_pct))
    cap_s = LIFE.life_cap_years * YEAR_S
    indicator_s = min(low_s, cap_s - AFTER_S)
    end_s = min(indicator_s + AFTER_S, spent_s, cap_s)
    assert years[0] <= min(cap_s, full_s) / YEAR_S <= years[1]
    pump.world.sleep(indicator_s - 3600.0)
    assert pump.status().alarms & (ERI | END) == 0
    pump.world.sleep(7200.0)
    assert pump.status().alarms & (ERI | END) == ERI
    pump.world.sleep(end_s - indicator_s - 7200.0)
    assert pump.status().mode == Mode.CONTINUOUS
    pump.world.sleep(7200.0)
    assert (pump.status().mode, pump.status().alarms & END) == (Mode.STOPPED, END)


def test_a_film_that_locks_half_of_the_cell_away_brings_the_indicator_years_early(host):
    pump = host(filled_ul=1e9)
    pump.do(ProposeContinuous(1, 500.0 / 24.0, 0))
    pump.world.sleep(YEAR_S)
    pump.pump.inside.battery.grow_film(pump.world.now_ns, locked_pct=50.0, sag_mv=100.0)
    pump.world.sleep(YEAR_S)
    assert pump.status().alarms & ERI == 0
    pump.world.sleep(YEAR_S)
    assert pump.status().alarms & ERI == ERI


def test_a_spent_battery_ends_service_sooner_and_leaves_some_for_the_alarm(host):
    pump = host(battery_used_pct=94.9, filled_ul=1e6)
    pump.do(RATE)
    pump.pump.inside.battery.load(pump.world.now_ns, LOAD_UW)
    pump.world.sleep(0.0405 * PROFILE.battery_energy_j / (LOAD_UW * 1e-6))
    assert (pump.status().mode, pump.status().alarms & END) == (Mode.CONTINUOUS, 0)
    pump.world.sleep(0.0005 * PROFILE.battery_energy_j / (LOAD_UW * 1e-6))
    status = pump.status()
    assert (status.mode, status.alarms & (END | Alarm.LOW_BATTERY)) == (Mode.STOPPED, END | Alarm.LOW_BATTERY)
    log = [record.code for record in pump.pull(BulkReader(BulkObject.EVENT_LOG))]
    assert log.index(EventCode.LOW_BATTERY) < log.index(EventCode.END_OF_SERVICE)
    heard = pump.pump.upkeep.tones(pump.world.now_ns, pump.world.now_ns + to_ns(700.0))
    assert END in {tone.alarm for tone in heard}


def test_the_cap_ends_service_with_a_battery_that_has_plenty(host):
    pump = host(served_s=LIFE.life_cap_years * YEAR_S - AFTER_S - 3600.0, filled_ul=1e6)
    pump.do(ProposeContinuous(1, 2.0, 0))
    pump.world.sleep(3599.0)
    assert pump.status().alarms == 0
    pump.world.sleep(2.0)
    assert pump.status().alarms == ERI
    pump.world.sleep(AFTER_S - 60.0)
    assert pump.status().mode == Mode.CONTINUOUS
    pump.world.sleep(60.0)
    assert (pump.status().mode, pump.status().alarms & END) == (Mode.STOPPED, END)


@pytest.mark.parametrize("reset", ["none", "reboot", "power"])
def test_after_its_end_nothing_is_infused_ever_again(host, reset):
    pump = host(served_s=8 * YEAR_S)
    pump.world.sleep(1.0)
    if reset == "reboot":
        pump.pump.reboot()
    elif reset == "power":
        pump.pump.cut_power(5.0)
        pump.world.sleep(6.0)
    pump.forget()
    nak = pump.propose(RATE)
    assert (nak.reason, nak.detail) == (NakReason.WRONG_STATE, "service is over; the pump must be replaced")
    assert pump.status().alarms == ERI | END
    assert pump.head.counted_steps(pump.world.now_ns) == 0


def test_a_proposal_that_waits_when_service_ends_is_not_carried_out(host):
    pump = host(served_s=LIFE.life_cap_years * YEAR_S - 10.0)
    proposal = pump.propose(RATE)
    pump.world.sleep(15.0)
    assert pump.commit(proposal).reason == NakReason.BAD_TOKEN
    assert pump.status().mode == Mode.STOPPED


def test_a_film_brings_the_indicator_early_and_it_stays(host):
    pump = host()
    pump.do(RATE)
    battery = pump.pump.inside.battery
    battery.grow_film(pump.world.now_ns, locked_pct=0.0, sag_mv=400.0)
    pump.world.sleep(1.0)
    assert pump.status().alarms == ERI | Alarm.LOW_BATTERY
    battery.grow_film(pump.world.now_ns, locked_pct=0.0, sag_mv=0.0)
    pump.world.sleep(1.0)
    assert pump.status().alarms == ERI


def test_a_load_beside_the_pump_brings_all_of_it_forward(host):
    pump = host(battery_used_pct=94.0)
    pump.pump.inside.battery.load(pump.world.now_ns, LOAD_UW)
    pump.world.sleep(0.011 * PROFILE.battery_energy_j / (LOAD_UW * 1e-6))
    assert pump.status().alarms & ERI
    pump.world.sleep(0.05 * PROFILE.battery_energy_j / (LOAD_UW * 1e-6))
    assert pump.world.ledger._evidence["pump.battery_exhausted"] == 1


def test_a_year_of_watching_costs_no_event(host):
    pump = host()
    pump.do(RATE)
    pump.hear(1.0)
    assert pump.world.next_event_ns() > to_ns(30 * DAY_S)
