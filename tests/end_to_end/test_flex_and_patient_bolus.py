"""A flex therapy and patient boluses, from the driver to the simulated rotor and back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from driver import Continuous, DoseState, Journal, NakError, Pump
from driver.settings import BolusLimits
from driver.therapy import Flex, FlexStep
from firmware_mock.station import Station, read_rig, world_for
from protocol import CommandState, Day, EventCode, Mode, ProposeFlex

WEEKDAYS = Day(31)
WEEKEND = Day(96)
FRIDAY = datetime(2026, 11, 20, 22, 0, tzinfo=UTC)
WEEK = Flex(
    (
        FlexStep(6 * 60, 40.0, WEEKDAYS),
        FlexStep(22 * 60 + 30, 10.0, WEEKDAYS),
        FlexStep(8 * 60, 20.0, WEEKEND),
        FlexStep(23 * 60, 0.0, Day.SUNDAY),
    )
)
LIMITS = BolusLimits(5.0, 500.0, lockout_s=1800, most_per_day=3, window_s=14_400, window_limit_ul=150.0)


@pytest.fixture
def bedside(tmp_path: Path) -> Iterator[tuple[Station, Pump]]:
    """A simulated station and its pump, opened by the driver."""
    facts = read_rig("sim")
    station = Station.from_rig_file(facts, world_for(facts, seed=3))
    journal = Journal.in_directory(tmp_path)
    with Pump.open(station.ports["pump"].host, clock=station.world, journal=journal, host_nonce=1) as pump:
        yield station, pump


def test_a_week_of_flex_follows_the_clock_through_a_shift_of_daylight_saving(bedside: tuple[Station, Pump]) -> None:
    station, pump = bedside
    pump.set_therapy_clock(FRIDAY)
    dose = pump.start(WEEK)
    assert dose.state is DoseState.PENDING
    therapy = pump.therapy()
    assert isinstance(therapy, ProposeFlex)
    assert [(step.days, step.start_min) for step in therapy.steps] == [(s.days, s.start_min) for s in WEEK.steps]
    rates = []
    for hours in (8, 8, 8, 8, 8, 8, 4, 0):
        rates.append(round(pump.status().rate_ul_per_h, 3))
        station.world.sleep(hours * 3600.0)
    assert rates == [40.0, 10.0, 20.0, 20.0, 20.0, 20.0, 20.0, 0.0]
    assert pump.status().mode == Mode.FLEX
    pump.set_therapy_clock(datetime.fromtimestamp(pump.therapy_clock().utc_s, tz=timezone(timedelta(hours=-1))))
    station.world.sleep(4.5 * 3600.0)
    assert pump.status().rate_ul_per_h == 0.0
    station.world.sleep(1800.0)
    assert pump.status().rate_ul_per_h == pytest.approx(40.0, rel=1e-3)


def test_a_bolus_between_two_steps_is_reported_and_hands_back(bedside: tuple[Station, Pump]) -> None:
    station, pump = bedside
    pump.set_therapy_clock(FRIDAY)
    pump.start(WEEK)
    station.world.sleep(29 * 60.0)
    dose = pump.bolus(20.0, rate_ul_per_h=100.0)
    assert dose.state is DoseState.DELIVERED
    assert dose.delivered_low_ul == pytest.approx(20.0)
    assert pump.status().rate_ul_per_h == pytest.approx(10.0, rel=1e-3)


def test_the_patient_and_the_clinic_take_turns_and_every_dose_is_told(bedside: tuple[Station, Pump]) -> None:
    station, pump = bedside
    pump.start(Continuous(20.0))
    pump.write_patient_bolus_limits(LIMITS)
    given = pump.patient_bolus()
    assert given.state is DoseState.DELIVERED
    assert given.delivered_high_ul == pytest.approx(5.0)
    station.firmware.press_button()
    with pytest.raises(NakError, match="locked out for"):
        pump.patient_bolus()
    station.world.sleep(1800.0)
    station.firmware.press_button()
    station.world.sleep(60.0)
    assert pump.bolus(2.0).state is DoseState.DELIVERED
    limits = pump.patient_bolus_limits()
    assert (limits.given_today, limits.volume_ul) == (2, 5.0)
    assert limits.lockout_left_s > 1700
    doses = pump.dose_history().records
    assert [(dose.state, round(dose.delivered_low_ul, 6)) for dose in doses] == [
        (CommandState.DONE, 5.0),
        (CommandState.DONE, 5.0),
        (CommandState.DONE, 2.0),
    ]
    refused = [record for record in pump.event_log().records if record.code == EventCode.PATIENT_BOLUS_REFUSED]
    assert len(refused) == 1
    assert pump.status().mode == Mode.CONTINUOUS
