"""Stories of what the pump watches over itself, of the patient's button, and of time of day."""

from __future__ import annotations

from functools import partial

from mutating.scene import STARTS_UTC_S, Scene
from mutating.stories import HOUR_S, story
from protocol import (
    AcknowledgeAlarms,
    Alarm,
    AlarmsRequest,
    Commit,
    Day,
    FlexStep,
    ProposeBolus,
    ProposeContinuous,
    ProposeFlex,
    ProposePatientBolus,
    ProposePatientBolusLimits,
    ProposeRefill,
    ProposeTherapyClock,
    SelfTestItem,
    StatusRequest,
    Stop,
)

_WORKDAYS = Day.MONDAY | Day.TUESDAY | Day.WEDNESDAY | Day.THURSDAY | Day.FRIDAY
_WEEKEND = Day.SATURDAY | Day.SUNDAY
_NS_PER_MS = 1_000_000


@story
def pressed() -> Scene:
    """The patient's button, again and again, over days, through a reset and a loss of power."""
    it = Scene()
    it.do(ProposeContinuous, 20.0, 0)
    it.do(ProposePatientBolusLimits, 1, 5.0, 500.0, 600, 4, 4 * 3600, 95.0)
    for press in range(60):
        it.happen(it.firmware.press_button)
        it.sleep(240.0 if press % 3 else 1500.0)
        if press in (7, 21):
            it.happen(it.firmware.reboot)
        if press == 35:
            it.happen(it.firmware.press_button)
            it.sleep(3.0)
            it.happen(partial(it.firmware.cut_power, 1.0))
    it.hello()
    it.do(ProposePatientBolusLimits, 1, 5.0, 500.0, 300, 50, 3600, 30.0)
    for press in range(40):
        it.happen(it.firmware.press_button)
        it.sleep(310.0)
        if press % 4 == 0:
            it.do(ProposePatientBolus, 0.0, 0.0)
    it.do(ProposePatientBolusLimits, 0, 5.0, 500.0, 300, 50, 3600, 30.0)
    it.happen(it.firmware.press_button)
    it.sleep(600.0)
    it.ask(StatusRequest())
    return it


@story
def by_the_clock() -> Scene:
    """Two weeks of flex with a change to and from summer time, a bolus on top and a reset."""
    it = Scene(clock_error_ppm=30.0)
    steps = (
        FlexStep(_WORKDAYS, 7 * 60, 40.0),
        FlexStep(_WORKDAYS, 12 * 60, 80.0),
        FlexStep(_WORKDAYS, 22 * 60 + 30, 10.0),
        FlexStep(_WEEKEND, 9 * 60, 0.0),
        FlexStep(_WEEKEND, 10 * 60, 30.0),
    )
    it.do(ProposeTherapyClock, STARTS_UTC_S, 0)
    it.do(ProposeFlex, 0, steps)
    for day in range(14):
        it.sleep(11.3 * HOUR_S)
        it.ask(StatusRequest())
        if day in (3, 6):
            now_s = STARTS_UTC_S + it.world.now_ns // 1_000_000_000
            it.do(ProposeTherapyClock, now_s, 3600 if day == 3 else 0)
        if day == 5:
            it.do(ProposeBolus, 5.0, 500.0)
        if day == 8:
            it.happen(it.firmware.reboot)
            it.hello()
        it.sleep(12.7 * HOUR_S)
        it.do(ProposeRefill, 20_000.0)
    return it


@story
def in_telemetry() -> Scene:
    """The telemetry switch closed and opened, under basal and under a bolus, and one that sticks."""
    it = Scene()
    it.do(ProposeContinuous, 100.0, 0)
    for kind in ("basal", "bolus"):
        it.sleep(600.0)
        if kind == "bolus":
            it.do(ProposeBolus, 5.0, 500.0)
            it.sleep(10.0)
        it.happen(it.firmware.upkeep.close_switch)
        it.sleep(300.0)
        it.ask(StatusRequest())
        it.happen(it.firmware.upkeep.open_switch)
        it.sleep(300.0)
    it.happen(partial(it.firmware.upkeep.let_switch_stick, True))
    it.happen(it.firmware.upkeep.close_switch)
    it.sleep(60.0)
    it.happen(it.firmware.upkeep.open_switch)
    it.sleep(2 * HOUR_S)
    it.ask(AlarmsRequest())
    it.happen(it.firmware.reboot)
    it.hello()
    it.sleep(600.0)
    it.ask(StatusRequest())
    return it


@story
def broken_parts() -> Scene:
    """Parts that the self-test looks at break under basal, and are mended."""
    it = Scene()
    for item in (SelfTestItem.THERMOMETER, SelfTestItem.CLOCK, SelfTestItem.FIRMWARE_IMAGE):
        it.do(ProposeContinuous, 100.0, 0)
        it.sleep(HOUR_S)
        it.happen(partial(it.firmware.upkeep.break_part, item))
        it.sleep(25 * HOUR_S)
        it.ask(StatusRequest())
        it.do(ProposeContinuous, 100.0, 0)
        it.sleep(HOUR_S)
        it.happen(partial(it.firmware.upkeep.mend_part, item))
        it.sleep(25 * HOUR_S)
    it.do(ProposeContinuous, 100.0, 0)
    it.happen(partial(it.firmware.upkeep.break_part, SelfTestItem.CLOCK))
    it.happen(it.firmware.reboot)
    it.sleep(HOUR_S)
    return it


@story
def slipping() -> Scene:
    """A rotor that loses a share of its steps, and one that makes too many."""
    it = Scene()
    it.do(ProposeContinuous, 100.0, 0)
    for made_ppm in (700_000, 1_000_000, 1_300_000):
        it.sleep(HOUR_S)
        it.happen(partial(it.head.slip, made_ppm))
        it.sleep(4 * HOUR_S)
        it.ask(StatusRequest())
    it.ask(Stop())
    return it


@story
def exposed() -> Scene:
    """A magnet's field stops the rotor, for longer than the firmware looks, and it turns again by itself."""
    it = Scene()
    it.do(ProposeContinuous, 100.0, 0)
    for _ in range(2):
        it.sleep(2 * HOUR_S)
        it.happen(partial(it.head.stall, held=True))
        it.sleep(2 * HOUR_S)
        it.ask(AlarmsRequest())
        it.happen(it.head.free)
        it.sleep(2 * HOUR_S)
        it.ask(AlarmsRequest())
    return it


@story
def unattended() -> Scene:
    """Low reservoir that nobody attends to, silenced, and raised again and again."""
    it = Scene(filled_ul=2_010.0)
    it.do(ProposeContinuous, 20.0, 0)
    it.sleep(2 * HOUR_S)
    it.ask(AlarmsRequest())
    it.sleep(26 * HOUR_S)
    it.ask(AlarmsRequest())
    it.ask(AcknowledgeAlarms(Alarm.LOW_RESERVOIR, 1800))
    it.ask(AlarmsRequest())
    it.sleep(2 * HOUR_S)
    it.ask(AlarmsRequest())
    it.sleep(30 * HOUR_S)
    for _ in range(4):
        it.do(ProposeRefill, 2_005.0)
        it.sleep(HOUR_S)
        it.ask(AcknowledgeAlarms(Alarm.LOW_RESERVOIR, 600))
        it.sleep(HOUR_S)
        it.ask(AlarmsRequest())
    it.ask(Stop())
    return it


@story
def cut_in_programming() -> Scene:
    """Power goes at many instants in the writing of a therapy in place of another."""
    it = Scene()
    for number in range(24):
        it.do(ProposeContinuous, 100.0, 0)
        it.sleep(30.0)
        proposal = it.propose(ProposeContinuous, 700.0, 0)
        it.firmware.cut_power_at(it.world.now_ns + number * 5 * _NS_PER_MS, 1.0)
        it.ask(Commit(proposal.command_id, proposal.token, proposal.digest))
        it.sleep(60.0)
        it.hello()
        it.ask(StatusRequest())
        it.last_id += 1
    return it


@story
def worn_out() -> Scene:
    """Seven years, to the replacement indicator and the end of service."""
    it = Scene(battery_used_pct=90.0)
    for _ in range(10):
        it.do(ProposeContinuous, 20.0, 0)
        it.do(ProposeRefill, 20_000.0)
        it.sleep(40 * 24 * HOUR_S)
        it.ask(AlarmsRequest())
        it.ask(AcknowledgeAlarms(Alarm.ELECTIVE_REPLACEMENT | Alarm.LOW_BATTERY, 3600))
    return it
