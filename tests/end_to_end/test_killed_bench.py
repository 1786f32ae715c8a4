"""A bench that is killed with SIGKILL in a run: the pump stops by itself when the lease runs out."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from driver import Pump
from protocol import Alarm, Mode

pytestmark = [pytest.mark.real_port, pytest.mark.skipif(os.name == "nt", reason="ptys are a Unix thing")]

SPEED = 300
DEADLINE_S = 45.0
LEASE_S = 3.0
BENCH = (
    "import sys, bench.control; bench.control.LEASE_S = {lease_s};"
    "from pathlib import Path; from bench.runner import flow_calibration;"
    "flow_calibration(sys.argv[1], sys.argv[2], Path(sys.argv[3]), progress=lambda text, *_: print(text, flush=True))"
)


@pytest.fixture
def port(tmp_path: Path) -> Iterator[Path]:
    """The served mock's pump."""
    links = tmp_path / "ports"
    command = [sys.executable, "-m", "firmware_mock", "serve", "--rig", "hw_configs/rigs/sim.toml"]
    options = ["--speed", str(SPEED), "--links", str(links), "--tcp-base", "0"]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert any(line.startswith("Ctrl-C") for line in process.stdout)
            yield links / "pump"
        finally:
            process.kill()


def files(tmp_path: Path) -> tuple[str, str]:
    rig = Path("hw_configs/rigs/served.toml").read_text().replace("/tmp/thecabench", str(tmp_path / "ports"))
    (tmp_path / "rig.toml").write_text(rig.replace("speed = 600.0", f"speed = {SPEED}.0"))
    plan = Path("hw_configs/plans/quick.toml").read_text().replace("[1.0, 5.0, 24.0]", "[1.0]")
    (tmp_path / "plan.toml").write_text(plan.replace("warm_up_min = 30.0", "warm_up_min = 1.0"))
    return str(tmp_path / "rig.toml"), str(tmp_path / "plan.toml")


def test_the_pump_of_a_killed_bench_stops_when_the_lease_runs_out(port: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", BENCH.format(lease_s=LEASE_S), *files(tmp_path), str(tmp_path / "runs")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            assert any("mL/day, repeat 1" in line for line in process.stdout)
            time.sleep(0.5)
            process.send_signal(signal.SIGKILL)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
    killed_s = time.monotonic()
    with Pump.open(str(port), observe=True) as pump:
        assert pump.status().mode == Mode.CONTINUOUS
        assert pump.control().holder == "Simulated Operator"
        while pump.status().mode != Mode.STOPPED:
            assert time.monotonic() < killed_s + DEADLINE_S
            time.sleep(0.05)
        assert pump.status().alarms & Alarm.LEASE_LOST
        assert pump.control().remaining_ms == 0
