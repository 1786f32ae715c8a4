"""A procedure holds its pump: it renews the lease while it waits, others are refused, a bench that is gone stops it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import bench.rig
from bench.cli import cli
from bench.control import LEASE_S, controlled
from bench.recording import FILE_NAME, PumpEvent, entries_of, read_recording
from bench.rig import Rig, open_rig
from bench.simulation import MemoryStorage
from driver import Continuous, Journal, Pump
from driver.transport import Transport
from driver.transport.tapped import Direction, Tapped
from protocol import Alarm, Capability, EventCode, Mode, OnLeaseLoss, Stop, StreamDecoder

RigFileBuilder = Callable[..., Path]


@pytest.fixture
def rig() -> Iterator[Rig]:
    with open_rig("sim") as opened:
        yield opened


def pass_unattended(rig: Rig, seconds: float) -> None:
    """Time as it passes for a pump whose bench is gone."""
    assert rig.simulated is not None
    until_s = rig.clock.monotonic() + seconds
    while rig.clock.monotonic() < until_s:
        rig.simulated.advance(until_s)


def calibrate(rig: Path | str, runs: Path) -> Result:
    options = ["--rig", str(rig), "--plan", "quick", "--runs", str(runs)]
    return CliRunner().invoke(cli, ["run", "flow-calibration", *options], catch_exceptions=False)


def test_a_pump_whose_bench_is_gone_stops_when_the_lease_runs_out_and_says_why(rig: Rig) -> None:
    with controlled(rig) as on_lease_loss:
        rig.pump.start(Continuous(1000.0, on_lease_loss))
        pass_unattended(rig, LEASE_S - 2.0)
        assert rig.pump.status().mode == Mode.CONTINUOUS
        pass_unattended(rig, 2.0)
        status = rig.pump.status()
    assert status.mode == Mode.STOPPED
    assert status.alarms & Alarm.LEASE_LOST
    assert rig.pump.event_log().records[-1].code != EventCode.LEASE_RELEASED


def test_waiting_keeps_the_lease_and_leaving_gives_it_back(rig: Rig) -> None:
    with controlled(rig) as on_lease_loss:
        rig.pump.start(Continuous(1000.0, on_lease_loss))
        rig.wait(rig.clock.monotonic() + 20.0 * LEASE_S)
        assert rig.pump.status().mode == Mode.CONTINUOUS
        assert rig.pump.control().holder == "Simulated Operator"
        rig.pump.stop()
    assert rig.pump.control().remaining_ms == 0


def test_a_pump_that_knows_no_lease_is_run_without(rig: Rig) -> None:
    identity = rig.pump.identity
    rig.pump.identity = replace(identity, capabilities=identity.capabilities & ~Capability.CONTROL_LEASE)
    with controlled(rig) as on_lease_loss:
        assert on_lease_loss == OnLeaseLoss.CONTINUE
        assert rig.pump.control().remaining_ms == 0


def test_a_holders_name_is_cut_to_what_the_lease_has_room_for(rig_file: RigFileBuilder) -> None:
    with open_rig(rig_file({'name = "Simulated Operator"': f'name = "A{"ä" * 30}"'})) as rig, controlled(rig):
        assert rig.pump.control().holder == "A" + "ä" * 11


def test_an_operator_who_takes_longer_than_the_lease_does_not_end_the_run(
    rig_file: RigFileBuilder, tmp_path: Path
) -> None:
    rig = rig_file(truth={"delay_s = 5.0": f"delay_s = {LEASE_S * 1.5}"})
    done = calibrate(rig, tmp_path / "runs")
    assert done.exit_code == 0, done.output
    (folder,) = (tmp_path / "runs").iterdir()
    codes = [event.code for event in entries_of(read_recording(folder / FILE_NAME), PumpEvent)]
    assert EventCode.LEASE_EXPIRED in codes
    assert EventCode.LEASE_GRANTED in codes


def test_a_pump_that_another_host_holds_is_refused_with_who_and_how_long_and_is_not_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[int] = []
    decoder = StreamDecoder()

    def tap(direction: Direction, data: bytes) -> None:
        if direction is Direction.TO_DEVICE:
            sent.extend(frame.type for frame in decoder.feed(data))

    class SecondComer:
        """Opens the pump after another host has taken it."""

        @staticmethod
        def open(port: Transport, **options: Any) -> Pump:
            theirs = Journal.in_directory(Path("theirs"), storage=MemoryStorage())
            other = Pump.open(port, clock=options["clock"], journal=theirs, host_nonce=1, key=options["key"])
            other.take_control(1000.0, holder="bench B")
            other.start(Continuous(100.0, OnLeaseLoss.STOP))
            return Pump.open(Tapped(port, tap), **options)

    monkeypatch.setattr(bench.rig, "Pump", SecondComer)
    done = calibrate("sim", tmp_path / "runs")
    assert done.exit_code == 3
    assert re.search(r"the control lease is held by bench B for \d{3,4} s more", done.stderr)
    (folder,) = (tmp_path / "runs").iterdir()
    left = json.loads((folder / "run.json").read_text())["pump_left"]
    assert left == "left to the host that holds its control lease; nothing of this run runs on it"
    assert sent
    assert Stop.TYPE not in sent
