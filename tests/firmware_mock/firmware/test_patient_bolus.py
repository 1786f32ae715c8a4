"""Patient-activated boluses: limits that are proposed, the button, and why it gives nothing."""

import math

import pytest

import protocol
from protocol import (
    Alarm,
    BulkObject,
    BulkReader,
    CommandState,
    EventCode,
    FlexStep,
    Mode,
    NakReason,
    PatientBolusLimits,
    PatientBolusLimitsRequest,
    Proposal,
    ProposeBolus,
    ProposeBridge,
    ProposeCalibration,
    ProposeContinuous,
    ProposeFlex,
    ProposePatientBolus,
    ProposePatientBolusLimits,
    ProposeTherapyClock,
    ProposeTrial,
)

HOUR_S = 3600.0
LIMITS = ProposePatientBolusLimits(1, 1, 5.0, 1000.0, 1800, 4, 14_400, 100.0)


def next_id(pump):
    return pump.status().last_command_id + 1


def limited(host, *, basal_ul_per_h=10.0, effects=None, **changes):
    """A pump with limits and a basal rate."""
    pump = host(**(effects or {}))
    values = {field: getattr(LIMITS, field) for field in LIMITS.__struct_fields__} | changes
    assert pump.do(ProposePatientBolusLimits(**values))[1].state == CommandState.DONE
    if basal_ul_per_h:
        pump.do(ProposeContinuous(2, basal_ul_per_h, 0))
    pump.hear(0.1)
    return pump


def press(pump):
    """Whether the button gave a bolus."""
    before = pump.pump._nvram.memory.last_command_id
    pump.pump.press_button()
    return pump.pump._nvram.memory.last_command_id > before


def refusals(pump):
    return [note.argument for note in pump.hear(0.1) if getattr(note, "code", 0) == EventCode.PATIENT_BOLUS_REFUSED]


def detail(pump):
    """Why a host is refused one."""
    nak = pump.ask(ProposePatientBolus(next_id(pump), 0.0, 0.0))
    assert nak.reason == NakReason.WRONG_STATE
    return nak.detail


def test_the_button_gives_a_bolus_under_the_next_id_and_hands_back(host):
    pump = limited(host)
    before = pump.head.counted_steps(pump.world.now_ns)
    assert press(pump)
    status = pump.status()
    assert (status.mode, status.active_command_id, status.rate_ul_per_h) == (Mode.PATIENT_BOLUS, 3, 1000.0)
    pump.world.sleep(18.5)
    assert pump.head.counted_steps(pump.world.now_ns) - before == pytest.approx(500, abs=2)
    assert (pump.status().mode, pump.result(3).state) == (Mode.CONTINUOUS, CommandState.DONE)
    codes = [(note.code, note.argument) for note in pump.hear(0.1)]
    assert codes == [(EventCode.STARTED, 3), (EventCode.BOLUS_DONE, 3)]
    [dose] = pump.pull(BulkReader(BulkObject.DOSE_HISTORY))
    assert (dose.command_id, dose.propose_type, dose.delivered_low_ul) == (3, ProposePatientBolus.TYPE, 5.0)


def test_a_host_may_ask_for_one_as_the_button_does(host):
    pump = limited(host)
    canonical, result = pump.do(ProposePatientBolus(3, 0.0, 0.0))
    assert canonical == ProposePatientBolus(3, 5.0, 1000.0)
    assert (result.state, pump.status().mode) == (CommandState.RUNNING, Mode.PATIENT_BOLUS)
    pump.world.sleep(100.0)
    assert "locked out for " in detail(pump)


def test_what_is_in_force_and_used_up_can_be_read(host):
    pump = host()
    assert pump.ask(PatientBolusLimitsRequest()) == PatientBolusLimits(0, 0.0, 0.0, 0, 0, 0, 0.0, 0, 0)
    pump = limited(host)
    assert pump.ask(PatientBolusLimitsRequest()) == PatientBolusLimits(1, 5.0, 1000.0, 1800, 4, 14_400, 100.0, 0, 0)
    press(pump)
    pump.world.sleep(599.5)
    limits = pump.ask(PatientBolusLimitsRequest())
    assert (limits.lockout_left_s, limits.given_today) == (1201, 1)
    pump.world.sleep(1200.6)
    limits = pump.ask(PatientBolusLimitsRequest())
    assert (limits.lockout_left_s, limits.given_today) == (0, 1)
    pump.world.sleep(23.6 * HOUR_S)
    assert pump.ask(PatientBolusLimitsRequest()).given_today == 0


def test_limits_are_written_with_the_values_of_the_timer_and_survive(host):
    pump = host()
    canonical, result = pump.do(ProposePatientBolusLimits(1, 1, 5.004, 0.0, 1800, 4, 14_400, 100.0))
    assert canonical == ProposePatientBolusLimits(1, 1, 5.0, 1000.0, 1800, 4, 14_400, 100.0)
    assert result.state == CommandState.DONE
    assert pump.pull(BulkReader(BulkObject.DOSE_HISTORY)) == ()
    assert EventCode.LIMITS_WRITTEN in [note.code for note in pump.hear(0.1)]
    pump.pump.cut_power(60.0)
    pump.world.sleep(61.0)
    pump.forget()
    assert pump.ask(PatientBolusLimitsRequest()) == PatientBolusLimits(1, 5.0, 1000.0, 1800, 4, 14_400, 100.0, 0, 0)


def test_without_limits_or_with_limits_that_are_off_nothing_is_given(host):
    for pump in (host(), limited(host, enabled=0)):
        assert not press(pump)
        assert refusals(pump) == [NakReason.WRONG_STATE]
        assert detail(pump) == "patient boluses are off"


def test_on_a_stopped_pump_the_button_starts_nothing(host):
    pump = limited(host, basal_ul_per_h=None)
    assert not press(pump)
    assert detail(pump) == "no therapy runs that it could be on top of"
    pump.do(ProposeContinuous(2, 10.0, 0))
    pump.stop()
    assert not press(pump)
    assert pump.status().mode == Mode.STOPPED


def test_the_lockout_counts_from_start_to_start_and_holds_through_resets_and_power_cuts(host):
    pump = limited(host)
    assert press(pump)
    pump.world.sleep(5.0)
    pump.pump.cut_power(10.0)
    pump.world.sleep(11.0)
    pump.forget()
    assert pump.result(3).state == CommandState.INTERRUPTED
    assert not press(pump)
    pump.pump.reboot()
    pump.forget()
    pump.world.sleep(1700.0)
    assert not press(pump)
    assert detail(pump).startswith("locked out for ")
    pump.world.sleep(1800.0 - 1716.0)
    assert press(pump)


def test_a_bolus_whose_beginning_is_lost_with_the_power_locks_out_only_if_it_was_written(host):
    pump = limited(host)
    pump.pump.cut_power_at(pump.world.now_ns + 10_000_000, 1.0)
    pump.pump.press_button()
    pump.world.sleep(2.0)
    pump.forget()
    limits = pump.ask(PatientBolusLimitsRequest())
    assert (limits.lockout_left_s, limits.given_today) == (0, 0)
    assert pump.result(3).state == CommandState.UNKNOWN
    assert press(pump)


def test_no_more_than_so_many_begin_in_any_24_hours(host):
    pump = limited(host, window_limit_ul=10_000.0)
    began_s = []
    for _ in range(200):
        if press(pump):
            began_s.append(pump.world.monotonic())
        pump.world.sleep(1000.0)
    pairs = list(zip(began_s, began_s[4:], strict=False))
    assert len(began_s) >= 8
    assert pairs
    assert all(later - earlier >= 24 * HOUR_S for earlier, later in pairs)


def test_the_day_being_full_is_said_with_the_time_until_the_next(host):
    pump = limited(host, most_per_day=1, window_limit_ul=10_000.0)
    assert press(pump)
    pump.world.sleep(2 * HOUR_S)
    assert detail(pump).startswith("1 in 24 h; next in 792")
    pump = limited(host, most_per_day=0)
    assert detail(pump) == "0 a day are allowed"


def test_basal_and_every_bolus_count_into_the_window(host):
    """Four hours hold 39.85 of basal, which waits while 10 and 5 of boluses are given, and two steps are in hand."""
    for limit_ul, room in ((54.86, False), (54.88, True)):
        pump = limited(host, window_limit_ul=limit_ul)
        pump.world.sleep(3 * HOUR_S)
        pump.do(ProposeBolus(3, 10.0, 0.0))
        pump.world.sleep(60.0)
        assert press(pump) == room
        if not room:
            assert "in 14400 s; limit 54.86" in detail(pump)


def test_steps_that_the_rotor_made_beyond_those_it_was_driven_to_count(host):
    """The encoder saw 60 uL in four hours in which 40 were due; a bolus of 5 more would be above 64."""
    pump = limited(host, window_limit_ul=64.0)
    pump.head.slip(1_500_000)
    pump.world.sleep(4 * HOUR_S)
    assert pump.result(2).delivered_low_ul == pytest.approx(60.0, abs=0.02)
    assert not press(pump)
    assert refusals(pump) == [NakReason.WRONG_STATE]
    pump.head.slip(1_000_000)
    pump.do(ProposeContinuous(3, 10.0, 0))
    pump.world.sleep(4.1 * HOUR_S)
    assert press(pump)


def test_what_was_given_before_the_limits_were_set_counts(host):
    pump = host()
    pump.do(ProposeBolus(1, 97.0, 0.0))
    pump.world.sleep(600.0)
    pump.do(ProposeContinuous(2, 2.0, 0))
    pump.do(ProposePatientBolusLimits(3, 1, 5.0, 1000.0, 1800, 4, 14_400, 100.0))
    assert not press(pump)
    pump.world.sleep(3.9 * HOUR_S)
    assert press(pump)


def test_a_step_of_flex_that_is_still_to_come_counts(host):
    pump = limited(host, basal_ul_per_h=None, window_s=3600, window_limit_ul=50.0)
    pump.do(ProposeTherapyClock(2, 0, 0))
    pump.do(ProposeFlex(3, 0, (FlexStep(127, 0, 2.0), FlexStep(127, 30, 48.0), FlexStep(127, 89, 2.0))))
    assert press(pump)
    pump.world.sleep(31 * 60.0)
    assert not press(pump)
    pump.world.sleep(1.5 * HOUR_S)
    assert press(pump)


def test_a_trial_that_ends_soon_leaves_room(host):
    for duration_s, room in ((1800, True), (10 * 3600, False)):
        pump = limited(host, basal_ul_per_h=None, window_limit_ul=60.0)
        pump.do(ProposeTrial(2, 20.0, duration_s, 0))
        assert press(pump) == room


@pytest.mark.parametrize(("handed_back_min", "is_given"), [(10, True), (29, False)])
def test_a_bolus_that_waited_is_handed_back_only_if_it_still_fits(host, handed_back_min, is_given):
    """The hour from 0:29 on has 47.2 uL of basal; of the bolus that was begun at 0:00 more than 3.5 uL are left."""
    pump = limited(host, basal_ul_per_h=None, window_s=3600, window_limit_ul=50.0)
    pump.do(ProposeTherapyClock(2, 0, 0))
    pump.do(ProposeFlex(3, 0, (FlexStep(127, 0, 2.0), FlexStep(127, 30, 48.0), FlexStep(127, 89, 2.0))))
    assert press(pump)
    pump.world.sleep(5.0)
    pump.pump.upkeep.close_switch()
    pump.world.sleep(60.0 * handed_back_min - 5.0)
    pump.hear(0.1)
    pump.pump.upkeep.open_switch()
    assert refusals(pump) == ([] if is_given else [NakReason.WRONG_STATE])
    assert pump.status().mode == (Mode.PATIENT_BOLUS if is_given else Mode.FLEX)
    pump.world.sleep(30.0)
    result = pump.result(4)
    assert result.state == (CommandState.DONE if is_given else CommandState.INTERRUPTED)
    assert result.delivered_high_ul == pytest.approx(5.0 if is_given else 1.4, abs=0.02)
    assert pump.status().rate_ul_per_h == pytest.approx(2.0, rel=1e-6)
    pump.world.sleep((30 - handed_back_min) * 60.0)
    assert (pump.status().mode, pump.status().rate_ul_per_h) == (Mode.FLEX, pytest.approx(48.0, rel=1e-6))


def test_a_bolus_that_waited_is_not_handed_back_once_they_are_switched_off(host):
    pump = limited(host)
    assert press(pump)
    pump.world.sleep(5.0)
    pump.pump.upkeep.close_switch()
    pump.do(ProposePatientBolusLimits(4, 0, 5.0, 1000.0, 1800, 4, 14_400, 100.0))
    pump.pump.upkeep.open_switch()
    assert (pump.status().mode, pump.result(3).state) == (Mode.CONTINUOUS, CommandState.INTERRUPTED)


def test_a_trial_that_waited_with_a_bolus_gives_all_of_its_own(host):
    pump = limited(host, basal_ul_per_h=None)
    pump.do(ProposeTrial(2, 20.0, 1800, 0))
    assert press(pump)
    pump.world.sleep(5.0)
    pump.pump.upkeep.close_switch()
    pump.do(ProposePatientBolusLimits(4, 0, 5.0, 1000.0, 1800, 4, 14_400, 100.0))
    pump.pump.upkeep.open_switch()
    pump.world.sleep(1900.0)
    result = pump.result(2)
    assert (pump.status().mode, result.state) == (Mode.STOPPED, CommandState.DONE)
    assert result.delivered_low_ul == result.delivered_high_ul == pytest.approx(10.0)


def test_a_clinicians_bolus_is_not_limited(host):
    pump = limited(host, window_limit_ul=5.0, basal_ul_per_h=2.0)
    assert not press(pump)
    assert pump.do(ProposeBolus(3, 500.0, 0.0))[1].state == CommandState.RUNNING


def test_nothing_is_given_on_top_of_a_bolus_or_while_the_old_drug_goes_out(host):
    pump = limited(host)
    pump.do(ProposeBolus(3, 5.0, 0.0))
    nak = pump.ask(ProposePatientBolus(4, 0.0, 0.0))
    assert (nak.reason, nak.detail) == (NakReason.BUSY, "bolus 3 is under way")
    assert not press(pump)
    pump.world.sleep(30.0)
    pump.do(ProposeBridge(4, 5.0, 10.0, 10.0, 0))
    assert not press(pump)
    assert refusals(pump) == [NakReason.BUSY, NakReason.BUSY]


def test_the_button_kills_a_waiting_token_and_takes_its_id(host):
    pump = limited(host)
    proposal = pump.propose(ProposeBolus(3, 50.0, 0.0))
    assert press(pump)
    result = pump.commit(proposal)
    assert (result.state, result.delivered_high_ul < 1.0) == (CommandState.RUNNING, True)
    assert result.token not in (0, proposal.token)
    pump.world.sleep(100.0)
    assert pump.result(3).delivered_high_ul == 5.0
    refused = pump.propose(ProposeBolus(4, 50.0, 0.0))
    assert not press(pump)
    assert pump.commit(refused).state == CommandState.RUNNING


def test_what_was_allowed_when_it_was_proposed_is_looked_at_again(host):
    pump = limited(host, basal_ul_per_h=None, window_s=10, window_limit_ul=2.6, volume_ul=2.0, lockout_s=300)
    pump.do(ProposeTherapyClock(2, 0, 0))
    pump.do(ProposeFlex(3, 0, (FlexStep(127, 0, 2.0), FlexStep(127, 1, 900.0))))
    pump.world.sleep(35.0)
    proposal = pump.propose(ProposePatientBolus(4, 0.0, 0.0))
    assert isinstance(proposal, Proposal)
    pump.world.sleep(24.0)
    nak = pump.commit(proposal)
    assert (nak.reason, nak.detail[-21:]) == (NakReason.WRONG_STATE, "uL in 10 s; limit 2.6")
    assert pump.result(4).state == CommandState.UNKNOWN


def test_the_lease_of_a_host_does_not_keep_the_patient_from_it(host):
    pump = limited(host)
    pump.ask(protocol.LeaseRequest(0, 60_000, "test"))
    pump.hello(9)
    assert pump.ask(ProposePatientBolus(3, 0.0, 0.0)).reason == NakReason.LEASE_HELD
    assert press(pump)


def test_nobody_hears_the_button_of_a_pump_that_hangs_or_has_no_power(host):
    pump = limited(host)
    pump.pump.cut_power(5.0)
    assert not press(pump)
    pump.world.sleep(6.0)
    pump.pump.hang()
    assert not press(pump)
    pump.world.sleep(2.0)
    pump.forget()
    assert press(pump)


def test_a_calibration_changes_how_many_steps_it_is(host):
    pump = limited(host)
    pump.stop()
    pump.do(ProposeCalibration(3, 8.0))
    pump.do(ProposeContinuous(4, 10.0, 0))
    before = pump.head.counted_steps(pump.world.now_ns)
    assert press(pump)
    pump.world.sleep(20.0)
    assert pump.result(5).delivered_high_ul == pytest.approx(5.0)
    assert pump.head.counted_steps(pump.world.now_ns) - before == pytest.approx(625, abs=2)


def test_an_empty_reservoir_gives_none(host):
    pump = limited(host, effects={"filled_ul": 30.0})
    pump.world.sleep(3.1 * HOUR_S)
    assert pump.status().alarms & Alarm.EMPTY_RESERVOIR
    assert not press(pump)


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"enabled": 2}, "enabled 2 is neither 0 nor 1"),
        ({"volume_ul": 0.001}, "volume_ul below one step of 10 nL"),
        ({"volume_ul": 1000.1}, "volume_ul above the limit 1000 uL"),
        ({"volume_ul": math.nan}, "volume_ul is no finite number"),
        ({"rate_ul_per_h": 1.0}, "rate_ul_per_h below the limit 2 uL/h"),
        ({"lockout_s": 299}, "lockout_s below the limit 300 s"),
        ({"most_per_day": 101}, "most_per_day above the limit 100"),
        ({"window_s": 0}, "window_s below the limit 1 s"),
        ({"window_s": 86_401}, "window_s above the limit 86400 s"),
        ({"window_limit_ul": math.inf}, "window_limit_ul is no finite number"),
        ({"window_limit_ul": math.nan}, "window_limit_ul is no finite number"),
        ({"window_limit_ul": 4.9}, "window_limit_ul below one bolus of 5 uL"),
    ],
)
@pytest.mark.parametrize("enabled", [0, 1])
def test_limits_out_of_range_are_refused_and_change_nothing(host, changes, detail, enabled):
    pump = host()
    memory = pump.pump._nvram.memory
    values = {field: getattr(LIMITS, field) for field in LIMITS.__struct_fields__} | {"enabled": enabled} | changes
    nak = pump.ask(ProposePatientBolusLimits(**values))
    assert (nak.reason, nak.detail) == (NakReason.OUT_OF_RANGE, detail)
    assert pump.pump._nvram.memory is memory


def test_a_host_cannot_choose_volume_or_rate_of_the_patients_bolus(host):
    pump = limited(host)
    for request in (ProposePatientBolus(3, 5.0, 0.0), ProposePatientBolus(3, 0.0, 1000.0)):
        nak = pump.ask(request)
        assert (nak.reason, nak.detail) == (NakReason.OUT_OF_RANGE, "volume and rate must be 0: the limits say them")
