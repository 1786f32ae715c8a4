"""A dose is delivered exactly once, or reported as uncertain."""

from __future__ import annotations

import contextlib
import json
from itertools import chain, repeat
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from driver import (
    CalibrationMismatch,
    CalibrationUnverified,
    Continuous,
    DoseNotStarted,
    DoseState,
    DoseUncertain,
    DriverError,
    Journal,
    JournalError,
    LinkTimeout,
    NakError,
    ProposalMismatch,
    Pump,
    ScaledClock,
    StopUnconfirmed,
)
from protocol import (
    Calibration,
    CalibrationRequest,
    CommandResult,
    CommandState,
    Commit,
    Mode,
    Nak,
    NakReason,
    Proposal,
    ProposeContinuous,
)

JOURNAL = Path("/journals/HAND-1.jsonl")


def records(disk, kind):
    lines = disk.files[JOURNAL].decode().rstrip().splitlines()
    return [record for line in lines if (record := json.loads(line))["record"] == kind]


def test_a_bolus_is_waited_for_and_its_volume_reported(open_pump, device, clock):
    with open_pump() as pump:
        dose = pump.bolus(10.0, rate_ul_per_h=100.0)
    assert (dose.id, dose.state, dose.said) == (1, DoseState.DELIVERED, "DONE")
    assert dose.delivered_low_ul == dose.delivered_high_ul == 10.0
    assert 360.0 <= clock.monotonic() < 365.0
    assert device.commits == [1]


def test_a_bolus_without_waiting_is_running_and_can_be_asked_for(open_pump, clock):
    with open_pump() as pump:
        dose = pump.bolus(10.0, rate_ul_per_h=100.0, wait=False)
        assert dose.state is DoseState.PENDING
        clock.sleep(180.0)
        assert pump.dose(dose.id).delivered_low_ul == pytest.approx(5.0, rel=1e-2)
        clock.sleep(200.0)
        assert pump.dose(dose.id).state is DoseState.DELIVERED


def test_an_infusion_runs_with_the_rate_the_pump_really_uses(open_pump, device):
    device.canonical = lambda m: msgspec.structs.replace(m, rate_ul_per_h=m.rate_ul_per_h * 1.0005)
    with open_pump() as pump:
        dose = pump.start(Continuous(rate_ul_per_h=20.0))
        assert dose.canonical == {"rate_ul_per_h": pytest.approx(20.01), "on_lease_loss": 0}
        assert pump.status().mode == Mode.CONTINUOUS


def test_the_id_is_durable_before_propose_and_the_values_before_commit(open_pump, disk):
    with open_pump() as pump:
        pump.bolus(10.0)
    order = [
        entry.split('"')[3] if entry.startswith("disk {") else entry
        for entry in disk.log
        if "Hello" not in entry and "Status" not in entry and "ResultRequest" not in entry
    ]
    assert order == ["disk room", "journal", "sent ProposeBolus", "commit", "sent Commit", "outcome", "outcome"]
    assert [record["state"] for record in records(disk, "outcome")] == ["running", "done"]
    assert records(disk, "intent")[0]["asked"] == {"volume_ul": 10.0, "rate_ul_per_h": 0.0}
    assert records(disk, "commit")[0]["values"] == {"volume_ul": 10.0, "rate_ul_per_h": 1000.0}


def test_ids_rise_above_the_journal_and_above_the_pump(open_pump, device):
    device.last_id = 40
    with open_pump() as pump:
        assert pump.bolus(1.0).id == 41
    device.last_id = 0
    with open_pump() as pump:
        assert pump.bolus(1.0).id == 42


@pytest.mark.parametrize("volume_ul", [0.0, -1.0, float("nan"), float("inf")])
def test_a_volume_that_is_no_positive_number_is_refused_before_a_byte_is_sent(open_pump, wire, volume_ul):
    with open_pump() as pump, pytest.raises(ValueError, match="a bolus must be a positive number of µL"):
        pump.bolus(volume_ul)
    with pytest.raises(ValueError, match="a rate must be a positive number of µL/h"):
        Continuous(volume_ul)
    assert not [entry for entry in wire.log if "Propose" in entry]


@pytest.mark.parametrize(
    ("field", "factor", "sentence"),
    [
        ("volume_ul", 1.01, "volume_ul 10 was asked for and the pump would use 10.1"),
        ("volume_ul", 0.99, "volume_ul 10 was asked for and the pump would use 9.9"),
        ("rate_ul_per_h", 1.002, "rate_ul_per_h 500 was asked for and the pump would use 501"),
        ("rate_ul_per_h", float("nan"), "rate_ul_per_h 500 was asked for and the pump would use nan"),
        ("command_id", 2, "the pump's proposal is for command 2"),
    ],
)
def test_a_proposal_other_than_what_was_asked_is_not_committed(open_pump, device, disk, field, factor, sentence):
    device.canonical = lambda m: msgspec.structs.replace(m, **{field: getattr(m, field) * factor})
    with open_pump() as pump:
        with pytest.raises(ProposalMismatch, match=sentence):
            pump.bolus(10.0, rate_ul_per_h=500.0)
        device.canonical = lambda m: m
        assert pump.bolus(10.0, rate_ul_per_h=500.0).state is DoseState.DELIVERED
    assert device.commits == [2]
    assert records(disk, "outcome")[0]["state"] == "refused"


def test_a_proposal_whose_digest_does_not_fit_its_values_is_not_committed(open_pump, device):
    device.tampered_digest = True
    with open_pump() as pump, pytest.raises(ProposalMismatch, match="does not match its own digest"):
        pump.bolus(10.0)
    assert device.commits == []


def test_a_refused_proposal_leaves_nothing_behind(open_pump, device):
    device.refuse[ProposeContinuous] = Nak(NakReason.OUT_OF_RANGE, "2 to 1000")
    with open_pump() as pump:
        with pytest.raises(NakError, match="OUT_OF_RANGE"):
            pump.start(Continuous(5000.0))
        assert pump.bolus(1.0).state is DoseState.DELIVERED


def test_a_lost_proposal_doses_nothing(open_pump, wire, device):
    with open_pump() as pump:
        wire.fault("lose", Proposal, times=3)
        with pytest.raises(LinkTimeout):
            pump.bolus(10.0)
        assert pump.uncertain_doses == ()
    assert device.commits == []


def test_a_commit_that_never_arrived_is_known_not_to_have_started(open_pump, wire, device):
    with open_pump() as pump:
        wire.fault("lose", Commit, times=3)
        with pytest.raises(DoseNotStarted, match="the pump never saw command 1; nothing was dosed"):
            pump.bolus(10.0)
        assert pump.bolus(10.0).id == 2
    assert device.commits == [2]


def test_a_lost_reply_to_commit_is_settled_by_asking_for_the_id(open_pump, wire, device):
    with open_pump() as pump:
        wire.fault("lose", CommandResult, times=3)
        assert pump.bolus(10.0).state is DoseState.DELIVERED
    assert device.commits == [1]
    assert len([entry for entry in wire.log if entry == "sent Commit"]) == 3


def test_a_commit_refused_after_a_reset_is_settled_by_asking_for_the_id(open_pump, wire, device, clock):
    """The first COMMIT ran, its reply was lost, the pump restarted, and the retry meets a pump without the token."""
    with open_pump() as pump:
        wire.fault("lose", CommandResult)
        clock.after(0.4, device.reset)
        dose = pump.bolus(10.0, rate_ul_per_h=100.0)
    assert (dose.state, dose.command_state) == (DoseState.PARTLY, CommandState.INTERRUPTED)
    assert dose.delivered_low_ul < dose.delivered_high_ul
    assert device.commits == [1]


def test_without_any_answer_the_dose_is_uncertain_and_blocks_the_next(open_pump, wire, device):
    with open_pump() as pump:
        wire.fault("lose", CommandResult, times=12)
        with pytest.raises(DoseUncertain, match="may have been carried out wholly, partly or not at all") as caught:
            pump.bolus(10.0)
        assert caught.value.dose_ids == pump.uncertain_doses == (1,)
        wire.fault("lose", CommandResult, times=9)
        with pytest.raises(DoseUncertain, match=r"no dosing before .* resolved: command 1 \(volume_ul 10"):
            pump.bolus(10.0)
        assert pump.status().boot_id == 1
    assert device.commits == [1]


def test_a_pump_that_answers_again_resolves_an_uncertain_dose_without_reopening(open_pump, wire):
    with open_pump() as pump:
        wire.fault("lose", CommandResult, times=12)
        with pytest.raises(DoseUncertain):
            pump.bolus(10.0, rate_ul_per_h=1.0)
        assert pump.dose(1).state is DoseState.PENDING
        assert pump.uncertain_doses == ()


def test_the_pumps_evidence_resolves_an_uncertain_dose_at_the_next_opening(open_pump, wire, device, disk):
    with open_pump() as pump:
        wire.fault("lose", CommandResult, times=99)
        with pytest.raises(DoseUncertain):
            pump.bolus(10.0)
    wire.faults.clear()
    with open_pump() as pump:
        assert pump.uncertain_doses == ()
        assert records(disk, "outcome")[-1]["state"] == "stopped"
        assert pump.bolus(1.0).id == 2


def test_a_dose_the_pump_has_forgotten_blocks_until_an_operator_takes_it_by_name(open_pump, wire, device, disk):
    with open_pump() as pump:
        wire.fault("lose", CommandResult, times=12)
        with pytest.raises(DoseUncertain):
            pump.bolus(10.0)
        device.forgets = True
    for _ in range(2):
        with open_pump() as pump, pytest.raises(DoseUncertain, match="the pump has forgotten it"):
            pump.bolus(1.0)
    with open_pump() as pump:
        with pytest.raises(ValueError, match="the name of the operator is missing"):
            pump.resolve(1, by=" ", because="weighed")
        pump.resolve(1, by="R. Vogel", because="weighed")
        device.forgets = False
        assert pump.bolus(1.0).state is DoseState.DELIVERED
    assert [(r["by"], r["delivered_high_ul"]) for r in records(disk, "outcome") if "by" in r] == [("R. Vogel", 10.0)]


@pytest.mark.parametrize("pause_s", [0.0, 60.0])
def test_an_interrupted_wait_for_the_reply_to_commit_is_settled_before_the_next_dose(
    open_pump, wire, device, clock, pause_s
):
    with open_pump() as pump:
        wire.fault("lose", CommandResult)
        clock.after(0.3, wire.interrupt)
        with pytest.raises(KeyboardInterrupt):
            pump.bolus(10.0)
        assert pump.uncertain_doses == (1,)
        clock.sleep(pause_s)
        pump.bolus(10.0)
        assert pump.journal.state(1) != ""
    assert pump.uncertain_doses == ()


def test_an_interrupted_wait_for_the_reply_to_commit_blocks_dosing_while_the_pump_does_not_tell(
    open_pump, wire, device, clock
):
    with open_pump() as pump:
        wire.fault("lose", CommandResult, times=10)
        clock.after(0.3, wire.interrupt)
        with pytest.raises(KeyboardInterrupt):
            pump.bolus(10.0)
        with pytest.raises(DoseUncertain, match="no dosing before the uncertain is resolved: command 1"):
            pump.bolus(10.0)
    assert device.commits == [1]


def test_a_pump_that_denies_a_command_it_once_reported_running_is_not_believed(open_pump, device, clock, disk):
    open_pump().start(Continuous(20.0))
    disk.kill()
    clock.sleep(36_000.0)
    device.commands.clear()
    device.last_id = 0
    with open_pump() as pump:
        assert pump.uncertain_doses == (1,)
        with pytest.raises(DoseUncertain, match="the pump now says that it never saw it"):
            pump.bolus(1.0)
    assert records(disk, "outcome")[-1]["state"] == "running"


def test_a_pump_that_denies_what_it_said_is_not_believed_where_a_full_disk_kept_it_from_being_noted(
    open_pump, device, disk
):
    commit = device._on_Commit
    device._on_Commit = lambda message: setattr(disk, "room", 0) or commit(message)
    with open_pump() as pump:
        pump.start(Continuous(20.0))
        device.commands.clear()
        device.last_id = 0
        with pytest.raises(DoseUncertain, match="the pump now says that it never saw it"):
            pump.dose(1)


def test_an_operator_may_resolve_again_after_a_disk_that_broke(open_pump, wire, disk):
    with open_pump() as pump:
        wire.fault("lose", CommandResult, times=12)
        with pytest.raises(DoseUncertain, match=r'Pump\.resolve\(1, by="name", because="reason"\)'):
            pump.bolus(10.0)
        disk.broken = True
        with pytest.raises(JournalError):
            pump.resolve(1, by="R. Vogel", because="weighed")
        assert pump.uncertain_doses == (1,)
        disk.broken = False
        pump.resolve(1, by="R. Vogel", because="weighed")
        assert pump.uncertain_doses == ()


def test_an_infusion_is_taken_by_name_without_a_made_up_volume(open_pump, wire, disk):
    with open_pump() as pump:
        wire.fault("lose", CommandResult, times=12)
        with pytest.raises(DoseUncertain):
            pump.start(Continuous(20.0))
        pump.resolve(1, by="R. Vogel", because="weighed")
        assert "delivered_high_ul" not in records(disk, "outcome")[-1]


@pytest.mark.parametrize(("id_", "known"), [(1, "the journal has it as done"), (77, "the journal does not know it")])
def test_asking_in_vain_for_a_finished_or_foreign_dose_does_not_block_dosing(open_pump, wire, id_, known):
    with open_pump() as pump:
        pump.bolus(1.0)
        wire.fault("lose", CommandResult, times=9)
        with pytest.raises(DoseUncertain, match=f"command {id_} .*the pump does not answer; {known}"):
            pump.dose(id_)
        assert pump.uncertain_doses == ()
        assert pump.bolus(1.0).state is DoseState.DELIVERED


def test_a_port_lost_after_commit_leaves_an_uncertain_dose_and_an_unconfirmed_stop(open_pump, wire, device):
    def dose():
        with open_pump() as pump:
            wire.fault("unplug", Commit)
            pump.bolus(10.0, rate_ul_per_h=10.0)

    with pytest.raises(StopUnconfirmed, match=r"hand:pump: STOP is not confirmed.*close the stopcock") as caught:
        dose()
    assert isinstance(caught.value.__cause__, DoseUncertain)
    assert device.commits == [1]


def test_a_port_lost_while_a_bolus_runs_makes_it_uncertain(open_pump, wire, clock):
    clock.after(100.0, lambda: setattr(wire, "unplugged", True))
    with pytest.raises(StopUnconfirmed) as caught, open_pump() as pump:
        pump.bolus(10.0, rate_ul_per_h=10.0)
    assert isinstance(caught.value.__cause__, DoseUncertain)


def test_a_reset_between_doses_settles_the_running_one_before_the_next(open_pump, device, disk, clock):
    with open_pump() as pump:
        pump.start(Continuous(20.0))
        clock.sleep(60.0)
        device.reset()
        assert pump.bolus(1.0).id == 2
    about_dosing = [json.loads(line) for line in disk.files[JOURNAL].decode().rstrip().splitlines()][1:]
    assert [(r["record"], r["id"], r.get("state")) for r in about_dosing[2:5]] == [
        ("outcome", 1, "running"),
        ("outcome", 1, "interrupted"),
        ("intent", 2, None),
    ]


def test_a_bolus_cut_short_by_a_power_cut_is_reported_with_both_bounds(open_pump, device, clock):
    with open_pump() as pump:
        clock.after(180.0, device.reset)
        dose = pump.bolus(10.0, rate_ul_per_h=100.0)
    assert (dose.state, dose.command_state) == (DoseState.PARTLY, CommandState.INTERRUPTED)
    assert (dose.delivered_low_ul, dose.delivered_high_ul) == (pytest.approx(5.0, abs=0.1), pytest.approx(6.0, abs=0.1))


def test_a_pump_that_never_ends_its_bolus_is_not_waited_for_for_ever(open_pump, device, clock):
    with open_pump() as pump:
        device._let_run = lambda: None
        with pytest.raises(DoseUncertain, match="bolus 1 should have ended after 360 s and still runs"):
            pump.bolus(10.0, rate_ul_per_h=100.0)


def test_lost_replies_on_a_rig_faster_than_real_time_make_no_bolus_overdue(wire, device, disk, clock):
    device.clock = ScaledClock(600.0, clock)
    journal = Journal.in_directory("/journals", disk)
    with Pump.open(wire, clock=device.clock, io_clock=clock, journal=journal) as pump:
        clock.after(0.02, lambda: wire.fault("lose", CommandResult, times=2))
        assert pump.bolus(10.0, rate_ul_per_h=1000.0).state is DoseState.DELIVERED
    assert clock.monotonic() > 1.0


def test_a_full_disk_doses_nothing(open_pump, device, disk):
    for room in (0, 5):
        disk.room = room
        with open_pump() as pump, pytest.raises(JournalError, match=r"cannot be written .*No space left on device"):
            pump.bolus(10.0)
    assert device.commits == []


def test_a_disk_that_breaks_between_propose_and_commit_doses_nothing(open_pump, device, disk, wire):
    with open_pump() as pump:
        device.canonical = lambda m: setattr(disk, "broken", True) or m
        with pytest.raises(JournalError):
            pump.bolus(10.0)
    assert device.commits == []
    assert "sent Commit" not in wire.log


def test_a_disk_that_fills_while_a_bolus_runs_has_room_for_its_outcome(open_pump, device, disk, clock):
    with open_pump() as pump:
        clock.after(1.0, lambda: setattr(disk, "room", 0))
        assert pump.bolus(10.0).state is DoseState.DELIVERED
        assert pump.journal_fault is None
    assert records(disk, "outcome")[-1]["state"] == "done"
    disk.room = None
    with open_pump() as pump:
        assert pump.bolus(10.0).state is DoseState.DELIVERED
    assert len(device.commits) == 2


def test_on_a_full_disk_doses_are_given_while_there_is_room_kept_for_their_outcomes_and_none_after(
    open_pump, device, disk, wire
):
    with open_pump() as pump:
        pump.bolus(1.0)
        disk.room = 0
        with pytest.raises(JournalError, match="No space left on device"):
            [pump.bolus(1.0) for _ in range(100)]
        given = len(device.commits)
        assert 1 < given == wire.log.count("sent ProposeBolus")
        assert pump.stop().journal_fault is None
    assert [record["state"] for record in records(disk, "outcome")] == ["running", "done"] * given


@pytest.mark.parametrize("carrier", ["bytes"], indirect=True)
@pytest.mark.parametrize("room", [*range(0, 5800, 400), *range(5800, 6100, 5)])
def test_wherever_the_disk_becomes_full_a_dose_is_refused_before_it_is_sent_or_its_outcome_is_noted(
    open_pump, device, disk, wire, room
):
    disk.room = room
    with open_pump() as pump:
        with contextlib.suppress(JournalError):
            pump.bolus(1.0)
        sent = "sent ProposeBolus" in wire.log
        assert device.commits == ([1] if sent else [])
        assert pump.stop().steps == 4711
    disk.room = None
    with open_pump() as pump:
        assert pump.journal.state(1) == ("done" if sent else None)


def test_a_step_volume_is_written_read_back_and_journalled(open_pump, device, disk):
    with open_pump() as pump:
        read = pump.write_calibration(10.123456789)
    assert (read.step_volume_nl, read.previous_step_volume_nl) == (10.123456789, 10.0)
    assert records(disk, "commit")[0]["values"] == {"step_volume_nl": 10.123456789}


def test_a_step_volume_that_reads_back_otherwise_is_an_error(open_pump, device):
    real = device._on_CalibrationRequest
    device._on_CalibrationRequest = lambda m: msgspec.structs.replace(real(m), step_volume_nl=10.0)
    with open_pump() as pump, pytest.raises(CalibrationMismatch, match=r"of 10\.5 nL was written and 10\.0 nL is read"):
        pump.write_calibration(10.5)


@pytest.mark.parametrize(
    ("kind", "why"), [("lose", "the pump did not answer CalibrationRequest"), ("unplug", r"the connection is gone .*")]
)
def test_a_step_volume_that_is_written_and_cannot_be_read_back_is_said_to_be_written(
    open_pump, wire, device, kind, why
):
    with open_pump() as pump:
        wire.fault(kind, CalibrationRequest)
        wire.fault("lose", Calibration, times=3)
        with pytest.raises(
            CalibrationUnverified, match=rf"a step volume of 10\.5 nL was written .* \({why}\); compare"
        ):
            pump.write_calibration(10.5)
    assert device.step_volume_nl == 10.5


def test_a_step_volume_proposed_with_rounding_is_not_committed(open_pump, device):
    device.canonical = lambda m: msgspec.structs.replace(m, step_volume_nl=round(m.step_volume_nl, 2))
    with open_pump() as pump, pytest.raises(ProposalMismatch, match="step_volume_nl"):
        pump.write_calibration(10.1234)
    assert device.step_volume_nl == 10.0


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(fates=st.lists(st.booleans(), max_size=60), doses=st.integers(1, 3))
def test_whatever_frames_are_lost_no_dose_is_given_twice_and_what_is_reported_is_true(
    open_pump, wire, device, disk, clock, fates, doses
):
    disk.files.clear()
    device.commands.clear()
    device.commits.clear()
    device.last_id = 0
    wire.lottery = None
    reported = {}
    try:
        with open_pump() as pump:
            wire.lottery = chain(fates, repeat(False))
            for _ in range(doses):
                before = list(device.commits)
                try:
                    dose = pump.bolus(1.0)
                    reported[dose.id] = dose
                except DoseUncertain:
                    continue
                except DriverError:
                    assert device.commits == before
    except StopUnconfirmed:
        pass
    assert len(device.commits) == len(set(device.commits)) <= doses
    for id_, dose in reported.items():
        assert (dose.state, device.commands[id_].state) == (DoseState.DELIVERED, CommandState.DONE)
        assert dose.delivered_low_ul <= device.commands[id_].delivered_ul <= dose.delivered_high_ul
