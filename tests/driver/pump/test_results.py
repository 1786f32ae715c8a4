"""What a pump says of its commands when that is late, impossible, false or soon forgotten."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from driver import (
    Continuous,
    DoseNotStarted,
    DoseState,
    DoseUncertain,
    JournalError,
    NakError,
)
from protocol import CommandResult, CommandState, Commit, Mode, Nak, NakReason

JOURNAL = Path("/journals/HAND-1.jsonl")


def outcomes(disk, id_):
    records = [json.loads(line) for line in disk.files[JOURNAL].decode().splitlines() if line]
    return [record["state"] for record in records if record["record"] == "outcome" and record["id"] == id_]


def test_a_commit_that_arrives_after_the_pump_did_not_know_it_starts_nothing(open_pump, wire, device, clock):
    with open_pump() as pump:
        wire.fault("delay", Commit, times=3, delay_s=5.0)
        with pytest.raises(DoseNotStarted):
            pump.start(Continuous(20.0))
        clock.sleep(30.0)
        assert device.mode == Mode.STOPPED
        assert pump.bolus(1.0).id == 2
    assert device.commits == [2]


def test_after_an_interrupt_too_a_late_commit_starts_nothing(open_pump, wire, device, clock):
    with open_pump() as pump:
        wire.fault("delay", Commit, delay_s=5.0)
        clock.after(0.3, wire.interrupt)
        with pytest.raises(KeyboardInterrupt):
            pump.bolus(10.0, rate_ul_per_h=100.0)
        pump.bolus(1.0)
        clock.sleep(30.0)
    assert device.commits == [2]


def test_a_late_commit_starts_nothing_when_another_process_has_asked(open_pump, wire, device, clock):
    wire.fault("delay", Commit, times=3, delay_s=60.0)
    clock.after(0.3, wire.interrupt)
    with pytest.raises(KeyboardInterrupt), open_pump() as pump:
        pump.bolus(10.0, rate_ul_per_h=100.0)
    with open_pump() as pump:
        assert pump.uncertain_doses == ()
        clock.sleep(100.0)
        assert pump.status().mode == Mode.STOPPED
    assert device.commits == []


def test_a_refused_commit_is_told_at_once(open_pump, device, clock):
    with open_pump() as pump:
        device.refuse[Commit] = Nak(NakReason.BUSY, "")
        with pytest.raises(NakError):
            pump.bolus(1.0)
        assert clock.monotonic() < 1.0
    assert device.commits == []


@pytest.mark.parametrize(
    "volumes", [(math.nan, 1.0), (0.0, math.nan), (0.0, math.inf), (-1.0, 1.0), (2.0, 1.0)], ids=str
)
@pytest.mark.parametrize("state", [CommandState.RUNNING, CommandState.DONE])
def test_volumes_that_cannot_be_leave_the_dose_uncertain_and_the_pump_to_be_stopped(
    open_pump, wire, device, disk, state, volumes
):
    tell = device._on_CommandResultRequest
    device._on_CommandResultRequest = lambda m: CommandResult(m.command_id, state, *volumes, m.command_id * 7)
    with open_pump() as pump:
        with pytest.raises(DoseUncertain, match="because the pump says that it delivered between"):
            pump.start(Continuous(20.0))
        assert pump.uncertain_doses == (1,)
        pump.stop()
    with open_pump() as pump:
        assert pump.uncertain_doses == (1,)
        assert outcomes(disk, 1) == []
        device._on_CommandResultRequest = tell
        assert pump.bolus(1.0).state is DoseState.DELIVERED
    assert outcomes(disk, 1) == ["stopped"]


def test_a_therapy_that_was_replaced_is_asked_for_before_the_pump_forgets_it(open_pump, device):
    tell = device._on_CommandResultRequest

    def short_memory(message):
        ended = [id_ for id_, command in device.commands.items() if command.state != CommandState.RUNNING]
        device.forgets = message.command_id in ended[:-3]
        return tell(message)

    def replacing(message):
        for command in device.commands.values():
            if command.state == CommandState.RUNNING:
                command.state = CommandState.STOPPED
        return commit(message)

    commit = device._on_Commit
    device._on_CommandResultRequest, device._on_Commit = short_memory, replacing
    with open_pump() as pump:
        for rate in range(10, 20):
            pump.start(Continuous(float(rate)))
    with open_pump() as pump:
        assert pump.uncertain_doses == ()
        assert pump.start(Continuous(30.0)).id == 11


def test_an_id_is_above_those_another_host_used_meanwhile(open_pump, device):
    with open_pump() as pump:
        pump.bolus(1.0)
        device.last_id = 17
        assert pump.bolus(1.0).id == 18
    assert device.commits == [1, 18]


@pytest.mark.parametrize("failure", [KeyboardInterrupt, OSError("Input/output error")], ids=["interrupt", "disk"])
def test_a_commit_that_is_on_disk_and_was_not_sent_blocks_no_later_dose(open_pump, wire, device, disk, failure):
    write = disk.write_and_sync

    def failing(path, offset, data):
        write(path, offset, data)
        if b'"commit"' in data:
            disk.write_and_sync = write
            raise failure

    disk.write_and_sync = failing
    with open_pump() as pump:
        with pytest.raises((KeyboardInterrupt, JournalError)):
            pump.bolus(1.0)
        assert "sent Commit" not in wire.log
        assert pump.bolus(1.0).id == 2
    with open_pump() as pump:
        assert pump.uncertain_doses == ()
        assert pump.bolus(1.0).id == 3
    assert outcomes(disk, 1) == ["refused"]


@pytest.mark.parametrize("state", [CommandState.RUNNING, CommandState.INTERRUPTED, CommandState.STOPPED])
@pytest.mark.parametrize("setting", [lambda p: p.refill(18_000.0), lambda p: p.write_calibration(10.5)])
def test_a_setting_that_the_pump_does_not_call_done_is_not_said_to_be_in_force(open_pump, device, state, setting):
    tell = device._on_CommandResultRequest
    device._on_CommandResultRequest = lambda m: CommandResult(m.command_id, state, 0.0, 0.0, m.command_id * 7)
    with open_pump() as pump:
        with pytest.raises(DoseUncertain, match=rf"says {state.name} instead of DONE; read the") as caught:
            setting(pump)
        device._on_CommandResultRequest = tell
    assert caught.value.dose_ids == (1,)
