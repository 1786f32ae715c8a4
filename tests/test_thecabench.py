"""The module for scripts: public names, `python -m thecabench`, and a clear word about a stranger's package."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import thecabench


def test_the_public_names_are_there() -> None:
    assert all(hasattr(thecabench, name) for name in thecabench.__all__)


def test_it_runs_as_a_module_and_says_that_it_is_for_the_bench_only() -> None:
    command = [sys.executable, "-m", "thecabench", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0
    assert "not for clinical use" in " ".join(done.stdout.split())


def test_a_strangers_package_of_the_same_name_is_named(tmp_path: Path) -> None:
    (tmp_path / "driver").mkdir()
    (tmp_path / "driver" / "__init__.py").touch()
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-c", "import thecabench"]
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=30, check=False
    )
    assert done.returncode != 0
    assert f"package 'driver' is taken from {tmp_path / 'driver'}, not from thecabench in" in done.stderr


def test_a_script_moves_fluid_on_the_simulated_rig_and_leaves_the_pump_stopped() -> None:
    with thecabench.open_rig("sim") as rig:
        rig.operator.set_stopcock(open=True)
        rig.pump.start(thecabench.Continuous(rate_ul_per_h=100.0))
        rig.wait(rig.clock.monotonic() + 3600.0)
        assert 95.0 < rig.pump.status().delivered_ul < 101.0
        pump = rig.pump
    assert not pump.unconfirmed_stop


def test_a_control_lease_is_renewed_while_the_rig_waits() -> None:
    with thecabench.open_rig("sim") as rig, rig.pump.take_control(30.0, holder="bench A") as lease:
        rig.operator.set_stopcock(open=True)
        rig.pump.start(thecabench.Continuous(100.0, thecabench.OnLeaseLoss.STOP))
        rig.wait(rig.clock.monotonic() + 3600.0)
        assert lease.is_held
        assert 95.0 < rig.pump.status().delivered_ul < 101.0
