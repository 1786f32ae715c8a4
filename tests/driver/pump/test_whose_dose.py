"""Two hosts and one id: whose the pump took shows in the token, and nobody claims what was another's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from driver import Continuous, DoseNotStarted, DoseState, DoseUncertain, NakError, ProposalMismatch
from protocol import CommandResult, CommandState, Commit, Nak, NakReason, ProposeBolus, ProposeContinuous

JOURNAL = Path("/journals/HAND-1.jsonl")
THEIRS = ProposeBolus(0, 3.0, 1000.0)
THEIR_TOKEN = 2**64 - 59


def outcomes(disk, id_):
    lines = disk.files[JOURNAL].decode().rstrip().splitlines()
    return [r["state"] for line in lines if (r := json.loads(line))["record"] == "outcome" and r["id"] == id_]


@pytest.fixture
def taken(device):
    """Another host's command is committed under our id, just before our COMMIT arrives."""
    commit = device._on_Commit

    def first_theirs(message):
        device._on_Commit = commit
        device.obey_another(message.command_id, THEIRS, THEIR_TOKEN)
        return commit(message)

    device._on_Commit = first_theirs


def test_the_token_is_on_disk_before_the_commit_that_carries_it(open_pump, disk):
    with open_pump() as pump:
        pump.bolus(1.0)
    [commit] = [entry for entry in disk.log if '"commit"' in entry]
    assert json.loads(commit.removeprefix("disk "))["token"] == 7
    assert disk.log.index(commit) < disk.log.index("sent Commit")


def test_a_dose_whose_id_another_host_took_is_said_not_to_have_been_carried_out(open_pump, device, disk, taken):
    with open_pump() as pump:
        with pytest.raises(DoseNotStarted, match=r"another host took command 1 first, so this one was not carried out"):
            pump.bolus(10.0)
        assert outcomes(disk, 1) == ["not_started"]
        assert pump.uncertain_doses == ()
        assert pump.bolus(10.0).id == 2
    assert device.commits == [2]


@pytest.mark.parametrize("state", [CommandState.RUNNING, CommandState.DONE, CommandState.STOPPED, CommandState.FAILED])
def test_so_it_is_after_a_restart_from_the_journal_alone(open_pump, wire, device, disk, clock, state, taken):
    wire.fault("lose", CommandResult, times=99)
    with pytest.raises(DoseUncertain), open_pump() as pump:
        pump.bolus(10.0)
    wire.faults.clear()
    device.commands[1].state = state
    with open_pump() as pump:
        assert pump.uncertain_doses == ()
        with pytest.raises(DoseNotStarted, match="another host took command 1"):
            pump.dose(1)
    assert outcomes(disk, 1) == ["not_started"]


def test_the_host_that_took_it_is_told_its_own(open_pump, device):
    with open_pump() as pump:
        dose = pump.bolus(1.0)
        assert pump.dose(dose.id) == dose


def test_a_commit_refused_because_another_host_took_the_id_is_explained_by_that(open_pump, device):
    def theirs_ran(message):
        device.obey_another(message.command_id, THEIRS, THEIR_TOKEN)
        return Nak(NakReason.BAD_TOKEN, "no proposal waits under this token")

    device._on_Commit = theirs_ran
    with open_pump() as pump, pytest.raises(DoseNotStarted, match="another host took command 1") as caught:
        pump.bolus(1.0)
    assert isinstance(caught.value.__cause__, NakError)


def test_another_token_for_what_was_seen_to_run_is_a_contradiction_and_uncertain(open_pump, device, disk):
    open_pump().start(Continuous(20.0))
    disk.kill()
    device.commands[1].token = THEIR_TOKEN
    with open_pump() as pump:
        assert pump.uncertain_doses == (1,)
        with pytest.raises(DoseUncertain, match="the pump now says that another host took it"):
            pump.bolus(1.0)
    assert outcomes(disk, 1) == ["running"]


def test_another_token_for_what_was_done_is_not_believed_and_blocks_nothing(open_pump, device):
    with open_pump() as pump:
        pump.bolus(1.0)
        device.commands[1].token = THEIR_TOKEN
        with pytest.raises(DoseUncertain, match="the pump now says that another host took it; the journal has it as"):
            pump.dose(1)
        assert pump.bolus(1.0).id == 2


def test_a_result_without_a_token_leaves_open_whose_it_is(open_pump, wire, device):
    tell = device._on_CommandResultRequest
    device._on_CommandResultRequest = lambda m: CommandResult(m.command_id, CommandState.DONE, 1.0, 1.0, 0)
    with open_pump() as pump:
        with pytest.raises(DoseUncertain, match="the pump does not tell whose proposal became of it"):
            pump.bolus(1.0)
        device._on_CommandResultRequest = tell
        assert pump.dose(1).said == "RUNNING"


def test_a_proposal_with_the_token_that_stands_for_none_is_not_committed(open_pump, device):
    propose = device._propose
    device._propose = lambda m: propose(m).__class__(
        **{**{name: getattr(propose(m), name) for name in propose(m).__struct_fields__}, "token": 0}
    )
    with open_pump() as pump, pytest.raises(ProposalMismatch, match="has token 0, which stands for none"):
        pump.bolus(1.0)
    assert device.commits == []


def test_a_bolus_that_the_pump_ended_because_of_a_fault_of_its_own_is_partly_delivered(open_pump, device, clock, disk):
    def stall():
        device._let_run()
        device.commands[1].state = CommandState.FAILED

    with open_pump() as pump:
        clock.after(180.0, stall)
        dose = pump.bolus(10.0, rate_ul_per_h=100.0)
        assert (dose.state, dose.said) == (DoseState.PARTLY, "FAILED")
        assert dose.delivered_high_ul == pytest.approx(5.0, abs=0.1)
    assert outcomes(disk, 1) == ["running", "failed"]


def test_a_bolus_that_ended_before_its_first_step_was_not_delivered(open_pump, wire, device):
    tell = device._on_CommandResultRequest
    device._on_CommandResultRequest = lambda m: CommandResult(m.command_id, CommandState.STOPPED, 0.0, 0.0, 7)
    with open_pump() as pump:
        assert pump.bolus(10.0).state is DoseState.NOT_DELIVERED
        device._on_CommandResultRequest = tell


def test_a_lost_race_for_a_therapy_is_told_as_well(open_pump, device, taken):
    with open_pump() as pump, pytest.raises(DoseNotStarted, match="another host took command 1"):
        pump.start(Continuous(20.0))
    assert not [c for c in device.commands.values() if isinstance(c.proposal, ProposeContinuous)]
    assert Commit in map(type, device.requests)
