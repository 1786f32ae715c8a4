"""Reports of runs that ended early, were killed or are damaged: said plainly, with what there is."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.flow_calibration.report import write_report
from bench.recording import FILE_NAME
from bench.run_folder import RESULT, RUN
from bench.runner import RunFailed, flow_calibration
from bench.toml_file import FileError

See = Callable[[str], Any]


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was interrupted while the pump's as-left state was measured."""

    def interrupt(text: str, done_s: float, total_s: float) -> None:
        if text.startswith("as left") and "repeat 2" in text:
            raise KeyboardInterrupt

    with pytest.raises(RunFailed) as failed:
        flow_calibration("sim", "quick", tmp_path_factory.mktemp("runs"), seed=7, progress=interrupt)
    return failed.value.folder


def test_a_run_that_ended_early_says_why_how_the_pump_was_left_and_what_there_is(see: See, interrupted: Path) -> None:
    html = write_report(interrupted).read_text(encoding="utf-8")
    text = see(html).text
    run = json.loads((interrupted / RUN).read_text())
    assert "SIMULATED AND ENDED EARLY, NOT A CALIBRATION" in text
    assert "no verdict" in text
    assert f"Reason {run['reason'].rstrip(': ')}" in text
    assert f"Pump left {run['pump_left']}" in text
    assert "written and read back" in text
    assert "As-found results, frozen before the run ended" in text
    assert len([kind for kind, _ in see(html).rows if kind == "run"]) == 9
    assert html.count("<svg ") == 5
    assert write_report(interrupted).read_text(encoding="utf-8") == html


def test_a_killed_run_is_told_from_one_that_was_stopped(see: See, interrupted: Path, tmp_path: Path) -> None:
    folder = tmp_path / "killed"
    shutil.copytree(interrupted, folder)
    run = json.loads((folder / RUN).read_text())
    for key in ("ended", "wall_s", "reason", "pump_left"):
        del run[key]
    (folder / RUN).write_text(json.dumps(run | {"status": "running"}))
    (folder / "as_found.json").unlink()
    recording = (folder / FILE_NAME).read_bytes()
    (folder / FILE_NAME).write_bytes(recording[:-20])
    text = see(write_report(folder).read_text(encoding="utf-8")).text
    assert "the run was killed, or is still under way" in text
    assert "go and look, the pump may be running" in text
    assert "Mass on the pan over the session" in text


def test_a_run_that_recorded_next_to_nothing_still_gets_its_report(see: See, interrupted: Path, tmp_path: Path) -> None:
    folder = tmp_path / "short"
    shutil.copytree(interrupted, folder)
    for name in ("as_found.json", "rig.toml", "plan.toml", FILE_NAME):
        (folder / name).unlink()
    text = see(write_report(folder).read_text(encoding="utf-8")).text
    assert "0 balance readings" in text
    assert "ENDED EARLY" in text


@pytest.mark.parametrize(
    ("name", "damage", "said"),
    [
        (RUN, None, "there is no run.json in it; give the folder of one run"),
        (RESULT, b'{"procedure": 1}', "result.json: not as this bench writes it"),
        (RUN, b"{", "run.json: not as this bench writes it"),
        (FILE_NAME, b"no recording", "not a sound recording"),
    ],
)
def test_a_damaged_folder_is_refused_with_the_file_named(
    interrupted: Path, tmp_path: Path, name: str, damage: bytes | None, said: str
) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(interrupted, folder)
    (folder / "report.html").unlink(missing_ok=True)
    if damage is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(damage)
    with pytest.raises(FileError, match=re.escape(said)):
        write_report(folder)
    assert not (folder / "report.html").exists()
