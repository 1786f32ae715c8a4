"""What the pump cannot tell an operator may, by name and with a reason; and a pump that has lost its memory."""

from __future__ import annotations

import json
import math
import pickle
from pathlib import Path

import pytest

from driver import Continuous, DoseState, DoseUncertain, JournalLocked, NakError
from protocol import Alarm, CommandResult, CommandState, Mode

JOURNAL = Path("/journals/HAND-1.jsonl")
WEIGHED = {"by": "R. Vogel", "because": "weighed"}


def last_record(disk):
    return json.loads(disk.files[JOURNAL].decode().rstrip().splitlines()[-1])


@pytest.fixture
def in_doubt(open_pump, wire):
    """An open pump that does not tell what became of a bolus of 10 µL, command 1."""
    with open_pump() as pump:
        wire.fault("lose", CommandResult, times=99)
        with pytest.raises(DoseUncertain):
            pump.bolus(10.0)
        yield pump
        wire.faults.clear()


def test_an_uncertain_dose_comes_with_its_bounds(in_doubt):
    with pytest.raises(DoseUncertain) as caught:
        in_doubt.bolus(1.0)
    [dose] = pickle.loads(pickle.dumps(caught.value)).doses
    assert (dose.id, dose.state, dose.command_state) == (1, DoseState.UNCERTAIN, None)
    assert (dose.delivered_low_ul, dose.delivered_high_ul) == (0.0, 10.0)
    assert dose.canonical["volume_ul"] == 10.0
    assert caught.value.dose_ids == (1,)


def test_what_the_pump_once_said_was_delivered_stays_the_lower_bound(open_pump, device, clock, disk):
    with open_pump() as pump:
        dose = pump.bolus(10.0, rate_ul_per_h=100.0, wait=False)
        pump.journal.outcome(dose.id, "running", 2.5, 2.5)
        device.forgets = True
        with pytest.raises(DoseUncertain) as caught:
            pump.dose(1)
    [dose] = caught.value.doses
    assert (dose.delivered_low_ul, dose.delivered_high_ul, dose.said) == (2.5, 10.0, "FORGOTTEN")


def test_nothing_bounds_an_infusion_and_a_foreign_command(open_pump, wire):
    with open_pump() as pump:
        wire.fault("lose", CommandResult, times=99)
        for order in (lambda: pump.start(Continuous(20.0)), lambda: pump.dose(77)):
            with pytest.raises(DoseUncertain) as caught:
                order()
            assert caught.value.doses[0].delivered_high_ul == math.inf
        wire.faults.clear()


@pytest.mark.parametrize(
    ("said", "bounds"),
    [
        ({}, ("delivered", 0.0, 10.0)),
        ({"as_": "delivered", "volume_ul": (9.8, 10.1)}, ("delivered", 9.8, 10.1)),
        ({"as_": DoseState.NOT_DELIVERED}, ("not delivered", 0.0, 0.0)),
        ({"as_": DoseState.PARTLY, "volume_ul": (3.0, 4.0)}, ("partly", 3.0, 4.0)),
    ],
    ids=str,
)
def test_an_operator_resolves_by_name_with_a_reason_and_it_is_on_record(in_doubt, wire, disk, said, bounds):
    in_doubt.resolve(1, **WEIGHED, **said)
    assert in_doubt.uncertain_doses == ()
    record = last_record(disk)
    assert (record["as"], record["delivered_low_ul"], record["delivered_high_ul"]) == bounds
    assert (record["state"], record["by"], record["because"]) == ("resolved", "R. Vogel", "weighed")
    entry = in_doubt.journal.entry(1)
    assert (entry.dose_state.value, *entry.bounds_ul) == bounds
    wire.faults.clear()
    assert in_doubt.bolus(1.0).id == 2


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"by": " "}, "the name of the operator is missing"),
        ({"because": ""}, "the reason is missing: in a few words"),
        ({"as_": "pending"}, "a dose is resolved as delivered, partly, not delivered, not as pending"),
        ({"as_": "perhaps"}, "not as perhaps"),
        ({"as_": DoseState.PARTLY}, "what is partly delivered needs its volume: the least and the most, in µL"),
        ({"as_": DoseState.NOT_DELIVERED, "volume_ul": (0.0, 1.0)}, "what is not delivered has no volume"),
        ({"volume_ul": (2.0, 1.0)}, "lies between two numbers of µL, the smaller first, not 2 and 1"),
        ({"volume_ul": (-1.0, 1.0)}, "lies between two"),
        ({"volume_ul": (0.0, math.inf)}, "lies between two"),
        ({"volume_ul": (math.nan, 1.0)}, "lies between two"),
        ({"volume_ul": (0.0, 0.0)}, "lies between two"),
    ],
)
def test_what_an_operator_cannot_say_is_refused_and_changes_nothing(in_doubt, disk, said, sentence):
    before = disk.files[JOURNAL]
    with pytest.raises(ValueError, match=sentence):
        in_doubt.resolve(1, **{**WEIGHED, **said})
    assert in_doubt.uncertain_doses == (1,)
    assert disk.files[JOURNAL] == before


def test_a_dose_that_runs_is_the_pumps_to_tell_and_is_asked_for_again_at_the_next_opening(open_pump, wire, disk):
    with open_pump() as pump:
        pump.start(Continuous(20.0))
        before = disk.files[JOURNAL]
        with pytest.raises(ValueError, match="command 1 is pending: the pump said that it runs, so ask the pump"):
            pump.resolve(1, **WEIGHED)
        assert disk.files[JOURNAL] == before
        pump.stop()
        assert pump.journal.entry(1).state == "stopped"


def test_a_dose_that_ran_and_that_the_pump_does_not_tell_of_any_more_is_resolved(open_pump, wire):
    with open_pump() as pump:
        pump.start(Continuous(20.0))
        wire.fault("lose", CommandResult, times=99)
        with pytest.raises(DoseUncertain):
            pump.dose(1)
        pump.resolve(1, **WEIGHED, as_=DoseState.PARTLY, volume_ul=(0.0, 1.0))
        assert pump.journal.unresolved() == {}
        wire.faults.clear()


def test_only_what_is_uncertain_is_resolved(open_pump, wire):
    with open_pump() as pump:
        pump.bolus(1.0)
        with pytest.raises(ValueError, match="command 1 is delivered; only what is uncertain is resolved"):
            pump.resolve(1, **WEIGHED)
        with pytest.raises(ValueError, match=r"command 9 is not in /journals/HAND-1\.jsonl"):
            pump.resolve(9, **WEIGHED)
        wire.fault("lose", CommandResult, times=12)
        with pytest.raises(DoseUncertain):
            pump.bolus(1.0)
        pump.resolve(2, **WEIGHED)
        with pytest.raises(ValueError, match=r"command 2 is delivered, resolved by R\. Vogel; only"):
            pump.resolve(2, **WEIGHED)


def test_what_the_pump_said_was_delivered_is_not_resolved_as_nothing(open_pump, device):
    with open_pump() as pump:
        pump.start(Continuous(20.0))
        pump.journal.outcome(1, "running", 2.5, 2.5)
        device.forgets = True
        with pytest.raises(DoseUncertain):
            pump.dose(1)
        with pytest.raises(
            ValueError, match=r"has delivered at least 2\.5 µL, the pump said so; it can be resolved as"
        ):
            pump.resolve(1, **WEIGHED, as_=DoseState.NOT_DELIVERED)
        with pytest.raises(ValueError, match=r"at least 2\.5 µL, the pump said so, and not at most 2"):
            pump.resolve(1, **WEIGHED, as_=DoseState.PARTLY, volume_ul=(1.0, 2.0))
        pump.resolve(1, **WEIGHED, as_=DoseState.PARTLY, volume_ul=(1.0, 3.0))
        assert pump.journal.entry(1).bounds_ul == (2.5, 3.0)


def test_a_pump_that_has_lost_its_memory_leaves_open_doses_uncertain_and_takes_none(open_pump, wire, device, clock):
    with open_pump() as pump:
        pump.bolus(1.0)
        pump.bolus(10.0, rate_ul_per_h=100.0, wait=False)
        device.lose_memory()
        with pytest.raises(DoseUncertain, match=r"command 2 \(volume_ul 10, .*\): the pump has forgotten it") as caught:
            pump.bolus(1.0)
        assert caught.value.dose_ids == (2,)
        assert pump.status().alarms & Alarm.MEMORY_ERROR
    with open_pump() as pump:
        assert pump.uncertain_doses == (2,)
        with pytest.raises(DoseUncertain, match="the pump has forgotten it; the journal has it as done"):
            pump.dose(1)
        with pytest.raises(DoseUncertain, match="the pump has forgotten it; the journal does not know it"):
            pump.dose(3)
        pump.resolve(2, **WEIGHED, as_=DoseState.PARTLY, volume_ul=(0.0, 1.0))
        with pytest.raises(NakError, match="WRONG_STATE, saying “memory lost”"):
            pump.bolus(1.0)
        with pytest.raises(NakError, match="WRONG_STATE, saying “memory lost”"):
            pump.start(Continuous(20.0))
        assert pump.uncertain_doses == ()
        assert pump.stop().steps == 4711
    with open_pump() as pump:
        assert pump.uncertain_doses == ()
    assert device.commits == [1, 2]


def test_a_commit_that_meets_a_pump_without_memory_is_uncertain(open_pump, wire, device):
    commit = device._on_Commit
    device._on_Commit = lambda message: device.lose_memory() or commit(message)
    with open_pump() as pump:
        with pytest.raises(
            DoseUncertain, match=r"may have been carried out .* because the pump has forgotten it"
        ) as caught:
            pump.bolus(10.0)
        [dose] = caught.value.doses
        assert (dose.delivered_high_ul, dose.command_state) == (10.0, CommandState.FORGOTTEN)
        pump.resolve(1, **WEIGHED, as_=DoseState.NOT_DELIVERED)
    assert device.commits == []


def test_a_second_pump_on_the_journal_of_one_that_is_open_is_refused_and_doses_nothing(open_pump, wire, device, disk):
    with open_pump() as pump:
        pump.start(Continuous(20.0))
        for _ in range(2):
            with pytest.raises(JournalLocked, match=r"HAND-1\.jsonl: this journal is in use by process \d+ since .*:"):
                open_pump()
        with pytest.raises(JournalLocked, match="in use by another pump of this process"):
            open_pump(journal=pump.journal)
        assert pump.bolus(1.0).id == 2
        with open_pump(observe=True) as watcher:
            watcher.stop()
        assert device.mode == Mode.STOPPED
    with open_pump() as pump:
        assert pump.bolus(1.0).id == 3


def test_an_opening_that_is_interrupted_gives_the_journal_back(open_pump, wire, clock):
    with open_pump() as pump:
        wire.fault("lose", CommandResult, times=99)
        with pytest.raises(DoseUncertain):
            pump.bolus(10.0)
    wire.faults.clear()
    wire.fault("lose", CommandResult)
    clock.after(0.1, wire.interrupt)
    with pytest.raises(KeyboardInterrupt):
        open_pump()
    with open_pump() as pump:
        assert pump.uncertain_doses == ()
