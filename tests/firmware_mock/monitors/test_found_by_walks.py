"""Walks that once broke a property, as short as they still did: firmware or monitor was wrong, and is not any more."""

import pytest

from firmware_mock.physics.service_life import S_PER_DAY, S_PER_YEAR
from protocol import (
    AcknowledgeAlarms,
    AlarmsRequest,
    FlexStep,
    ProposeBolus,
    ProposeBridge,
    ProposeContinuous,
    ProposeFlex,
    ProposeMinimumRate,
    ProposePatientBolusLimits,
    ProposePrime,
    ProposeRefill,
    ProposeTherapyClock,
    ProposeTrial,
    StatusRequest,
)

STARTS_UTC_S = 1_795_219_200
DUE_FOR_REPLACEMENT_S = 7.0 * S_PER_YEAR - 90.0 * S_PER_DAY + 1.0
FOUND = {
    "a bolus that waits for telemetry to end is ended by a reset": (
        {},
        ("do", ProposeBolus, 20.0, 0.0),
        ("close_switch",),
        ("reboot",),
    ),
    "a bolus is asked for after programming was interrupted": (
        {},
        ("do", ProposeBridge, 20.0, 17.3, 17.3, 0),
        ("cut_in_commit", 48_000_000, 0.3, ProposeMinimumRate, 0.0, 0),
        ("cut_in_commit", 9_000_000, 0.3, ProposeMinimumRate, 0.0, 0),
        ("do", ProposeBolus, 0.5, 0.0),
        ("wait", 2.0),
    ),
    "an alarm comes up just before power is lost": (
        {},
        ("wait", 31.0),
        ("cut_in_commit", 65_600_394, 0.3, ProposeRefill, 0.0),
        ("hang",),
    ),
    "an alarm comes up at the instant of a reset": (
        {"served_s": DUE_FOR_REPLACEMENT_S},
        ("reboot",),
        ("rot", 0, 0, 1.2),
    ),
    "much is due by the therapy as a patient bolus leaves the window": (
        {},
        ("do", ProposeTherapyClock, STARTS_UTC_S, 0),
        ("do", ProposePatientBolusLimits, 1, 1.0, 1000.0, 300, 1, 3600, 12.0),
        ("do", ProposeFlex, 0, (FlexStep(127, 0, 5.0), FlexStep(127, 360, 30.0), FlexStep(127, 420, 0.0))),
        ("wait", 17_997.0),
        ("press", 1, 9000.0),
    ),
    "a clinician's bolus has left the window as a patient bolus begins": (
        {},
        ("do", ProposePatientBolusLimits, 1, 1.0, 1000.0, 300, 1, 3600, 41.0),
        ("do", ProposeContinuous, 10.0, 0),
        ("do", ProposeBolus, 2.0, 0.0),
        ("wait", 8.0),
        ("do", ProposeContinuous, 40.0, 0),
        ("wait", 3600.0),
        ("press", 1, 60.0),
    ),
    "power goes as the last therapy after a patient bolus is written": (
        {},
        ("allow_patient", 2.0, 20.0, 0.0, 900, 3, 14_400, 35.0),
        ("wait", 9000.0),
        ("press", 1, 80.0),
        ("cut_in_commit", 40_000_000, 1.3, ProposeContinuous, 1000.0, 0),
        ("wait", 9000.0),
    ),
    "the main loop hangs as the programmed volume is used up": (
        {"filled_ul": 24.5},
        ("do", ProposeContinuous, 17.3, 0),
        ("do", ProposeBolus, 24.9, 1000.0),
        ("wait", 88.0),
        ("hang",),
    ),
    "a rotor stands for a while between two parts of a step": (
        {},
        ("do", ProposeContinuous, 100.0, 0),
        ("wait", 0.3),
        ("ask", StatusRequest()),
        ("wait", 300.0),
        ("stall", 30.0, False),
        ("wait", 0.3),
        ("do", ProposeTrial, 100.0, 600, 0),
    ),
    "many resets come between two of the times that an alarm comes up": (
        {"filled_ul": 2_001.0, "served_s": DUE_FOR_REPLACEMENT_S},
        ("do", ProposeContinuous, 1000.0, 0),
        ("wait", 10.0),
        ("do", ProposeRefill, 2_001.0),
        ("wait", 10.0),
        ("do", ProposeRefill, 20_000.0),
        *[("reboot",)] * 18,
        ("do", ProposeRefill, 2_001.0),
        ("wait", 10.0),
    ),
    "a rotor makes too many steps of a priming bolus": (
        {},
        ("slip", 1_400_000),
        ("do", ProposePrime, 5.0, 100.0),
        ("wait", 9000.0),
    ),
    "a rotor makes too many steps and then none": (
        {},
        ("slip", 1_400_000),
        ("do", ProposeMinimumRate, 0.0, 0),
        ("wait", 3600.0),
        ("stall", 3600.0, True),
    ),
    "a rotor makes too many steps of a patient bolus": (
        {},
        ("allow_patient", 100.0, 20.0, 0.0, 300, 10, 600, 25.0),
        ("do", ProposeMinimumRate, 0.0, 0),
        ("slip", 1_400_000),
        ("press", 6, 40.0),
    ),
    "a magnet comes at the instant of a warning": (
        {"filled_ul": 2_050.0},
        ("do", ProposeContinuous, 2.0, 0),
        ("wait", 90_000.0),
        ("magnet", 4000.0),
    ),
    "a bolus is given at the instant of a warning": (
        {"filled_ul": 2_050.0},
        ("do", ProposeContinuous, 2.0, 0),
        ("wait", 90_000.0),
        ("do", ProposeBolus, 300.0, 0.0),
        ("commit_again", 0.1),
    ),
    "a silenced alarm is acknowledged without silence": (
        {},
        ("do", ProposeRefill, 0.0),
        ("ask", AcknowledgeAlarms(11931, 600)),
        ("ask", AcknowledgeAlarms(8519, 0)),
        ("ask", AlarmsRequest()),
    ),
    "a COMMIT comes again when its priming bolus was handed back": (
        {},
        ("do", ProposePrime, 300.0, 2.0),
        ("wait", 900.0),
        ("magnet", 5.0),
        ("commit_again", 0.9),
    ),
}


@pytest.fixture
def scene(mutating):
    """A pump on a cable that takes no time."""
    return mutating("scene").Scene


@pytest.mark.parametrize("name", FOUND)
def test_nothing_breaks_where(mutating, unwatched, name):
    walks, body = mutating("walk"), mutating("body")
    given, *steps = FOUND[name]
    plain = {
        "filled_ul": 20_000.0,
        "key": None,
        "physics": body.Physics(),
        "battery_used_pct": 0.0,
        "served_s": 0.0,
        "clock_is_set": False,
    }
    assert walks.walked(walks.Setting(**(plain | given)), steps).findings() == ()


def test_nothing_breaks_where_memory_that_was_lost_is_whole_again(scene, unwatched):
    pump = scene()
    pump.do(ProposeContinuous, 100.0, 0)
    slots = pump.firmware.inside.nvram.slots
    for _ in range(2):
        pump.happen(lambda: pump.firmware.cut_power(1.0))
        for slot in slots:
            slot[20] ^= 1
        pump.sleep(10.0)
    assert pump.firmware.inside.motor.period_ps
    assert pump.monitors.finish() == []


def test_a_bolus_by_the_button_is_seen_as_it_begins_also_between_two_events(scene, unwatched):
    """What it made before the next event is its own: a reset tells it, and it was made."""
    pump = scene()
    pump.do(ProposeContinuous, 10.0, 0)
    pump.do(ProposePatientBolusLimits, 1, 5.0, 1000.0, 300, 6, 3600, 100.0)
    pump.sleep(600.0)
    pump.firmware.press_button()
    pump.sleep(0.05)
    pump.happen(lambda: None)
    pump.firmware.reboot()
    bolus = pump.firmware.inside.nvram.memory.results[-1]
    assert bolus.delivered_low_ul > 0.0
    assert pump.monitors.finish() == []
