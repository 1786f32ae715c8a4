"""The same procedure over real ptys, against the served mock."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [pytest.mark.real_port, pytest.mark.skipif(os.name == "nt", reason="ptys are a Unix thing")]

SPEED = 900
DEADLINE_S = 50


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Path]:
    """The mock, serving; gives the folder of its ptys' links."""
    links = tmp_path / "ports"
    command = [sys.executable, "-m", "firmware_mock", "serve", "--rig", "hw_configs/rigs/sim.toml"]
    options = ["--speed", str(SPEED), "--links", str(links), "--tcp-base", "0"]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith("Ctrl-C"):
                    break
            yield links
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=10) == 0
            assert not list(links.glob("*"))
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()


def rig_and_plan(tmp_path: Path, links: Path, speed: int) -> list[str]:
    rig = Path("hw_configs/rigs/served.toml").read_text().replace("/tmp/thecabench", str(links))
    (tmp_path / "rig.toml").write_text(rig.replace("speed = 600.0", f"speed = {speed}.0"))
    plan = Path("hw_configs/plans/quick.toml").read_text().replace("[1.0, 5.0, 24.0]", "[24.0]")
    plan = plan.replace("repeats = 3\nas_left_repeats = 3", "repeats = 3\nas_left_repeats = 2").replace("8.0", "5.0")
    (tmp_path / "plan.toml").write_text(plan.replace("warm_up_min = 30.0", "warm_up_min = 10.0"))
    files = ["--rig", str(tmp_path / "rig.toml"), "--plan", str(tmp_path / "plan.toml")]
    command = [sys.executable, "-m", "thecabench", "run", "flow-calibration", "--json"]
    return [*command, *files, "--runs", str(tmp_path / "runs")]


def test_a_short_calibration_through_ptys_is_valid(served: Path, tmp_path: Path) -> None:
    command = rig_and_plan(tmp_path, served, SPEED)
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    outcome = json.loads(done.stdout)
    assert (outcome["verdict"], outcome["as_left"]) == ("PASS", "PASS")
    assert "SIMULATED" in Path(outcome["report"]).read_text()


def test_a_speed_that_is_not_the_mocks_is_refused_with_both_figures(served: Path, tmp_path: Path) -> None:
    command = rig_and_plan(tmp_path, served, 300)
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert done.returncode == 2
    error = json.loads(done.stdout)["error"]
    assert "the pump's clock runs at 3.0" in error or "the pump's clock runs at 2.9" in error
    assert "the rig file states speed = 300" in error
