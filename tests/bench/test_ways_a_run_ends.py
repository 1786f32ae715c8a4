"""Each way a run can fail: one clear sentence, the exit code, the data kept, and the pump stopped."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import bench.rig
import bench.runner
from bench.cli import cli
from bench.flow_calibration.procedure import run_flow_calibration
from bench.recording import FILE_NAME, Note, Reading, entries_of, read_recording
from bench.rigfile import RigFile
from bench.toml_file import parse

RigFileBuilder = Callable[..., Path]


def calibrate(rig: Path | str, runs: Path, plan: str = "quick") -> Result:
    return CliRunner().invoke(
        cli, ["run", "flow-calibration", "--rig", str(rig), "--plan", plan, "--runs", str(runs)], catch_exceptions=False
    )


def only_folder(runs: Path) -> Path:
    (folder,) = runs.iterdir()
    return folder


def assert_kept_and_stopped(runs: Path, *, readings: int) -> None:
    folder = only_folder(runs)
    run = json.loads((folder / "run.json").read_text())
    assert run["status"] == "ended early"
    assert run["pump_left"].startswith("stopped, confirmed"), run
    entries = read_recording(folder / FILE_NAME)
    assert len(entries_of(entries, Reading)) >= readings
    assert not (folder / "result.json").exists()


def test_an_open_beaker_at_the_lowest_rate_is_refused_with_the_figure(rig_file: RigFileBuilder, tmp_path: Path) -> None:
    done = calibrate(rig_file({'cover = "oil film"': 'cover = "open"'}), tmp_path / "runs", plan="implant")
    assert done.exit_code == 2
    assert re.search(r"loses about 5\d\.\d mg/h by evaporation, at 0\.048 mL/day the pump gives 2\.0 mg/h", done.stderr)
    run = json.loads((only_folder(tmp_path / "runs") / "run.json").read_text())
    assert run["pump_left"].startswith("stopped, confirmed")


def test_an_expired_certificate_lets_the_run_go_on_and_makes_it_inconclusive(
    rig_file: RigFileBuilder, tmp_path: Path
) -> None:
    rig = rig_file({'number = "SIM-B-2026-007"\ndue = 2027-06-30': 'number = "SIM-B-2026-007"\ndue = 2026-11-19'})
    done = calibrate(rig, tmp_path / "runs")
    assert done.exit_code == 1
    assert "Verdict: INCONCLUSIVE" in done.output
    assert "certificate expired: balance, SIM-B-2026-007, due 2026-11-19" in done.output
    assert (only_folder(tmp_path / "runs") / "report.html").exists()


def test_a_misspelt_key_and_a_wrong_type_are_both_named(rig_file: RigFileBuilder, tmp_path: Path) -> None:
    rig = rig_file({"readability_mg": "readabilty_mg", "hours = 40.0": 'hours = "40"'})
    done = calibrate(rig, tmp_path / "runs")
    assert done.exit_code == 2
    assert "[balance] readabilty_mg: unknown key; did you mean 'readability_mg'?" in done.stderr
    assert "[tubing] hours = '40': input should be a valid number" in done.stderr
    assert not (tmp_path / "runs").exists()


def test_a_port_that_is_missing_is_named(tmp_path: Path) -> None:
    text = (Path("hw_configs/rigs/served.toml")).read_text().replace("/tmp/thecabench", str(tmp_path / "nowhere"))
    rig = tmp_path / "rig.toml"
    rig.write_text(text)
    done = calibrate(rig, tmp_path / "runs")
    assert done.exit_code == 3
    assert str(tmp_path / "nowhere" / "balance") in done.stderr
    assert "not reached, nothing was commanded" in done.stderr


def test_a_rate_outside_the_range_of_the_model_is_named_with_the_range(tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(Path("hw_configs/plans/quick.toml").read_text().replace("24.0]", "25.0]"))
    done = calibrate("sim", tmp_path / "runs", plan=str(plan))
    assert done.exit_code == 2
    assert "rate 25 mL/day is outside the range of implantable-20ml, 0.048 to 24 mL/day" in done.stderr


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({"contents_ml = 15.0": "contents_ml = 39.9"}, r"the vessel has room for 0\.10 mL; empty it first"),
        ({"capacity_g = 120.0": "capacity_g = 52.0"}, r"the balance weighs 52\.0 g; take a smaller vessel"),
    ],
)
def test_a_plan_larger_than_vessel_or_balance_is_refused(
    rig_file: RigFileBuilder, tmp_path: Path, facts: dict[str, str], sentence: str
) -> None:
    done = calibrate(rig_file(facts), tmp_path / "runs")
    assert done.exit_code == 2
    assert re.search(sentence, done.stderr)


def test_a_plan_larger_than_the_reservoir_is_refused(tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(Path("hw_configs/plans/quick.toml").read_text().replace("least_min = 8.0", "least_min = 300.0"))
    done = calibrate("sim", tmp_path / "runs", plan=str(plan))
    assert done.exit_code == 2
    assert re.search(r"the plan needs \d+\.\d\d mL, the reservoir gives 18\.00 mL before its alarm", done.stderr)


def test_an_overloaded_balance_ends_the_run_with_its_raw_reply(rig_file: RigFileBuilder, tmp_path: Path) -> None:
    rig = rig_file(events='[[events]]\nat_h = 1.5\ndo = "overload"\nmass_g = 200.0\n')
    done = calibrate(rig, tmp_path / "runs")
    assert done.exit_code == 3
    assert "S +" in done.stderr
    assert "overload" in done.stderr
    assert_kept_and_stopped(tmp_path / "runs", readings=20)


def test_a_balance_unplugged_in_the_run_ends_it_with_the_port_named(rig_file: RigFileBuilder, tmp_path: Path) -> None:
    rig = rig_file(events='[[events]]\nat_h = 1.5\ndo = "unplug"\nport = "balance"\n')
    done = calibrate(rig, tmp_path / "runs")
    assert done.exit_code == 3
    assert "sim:balance" in done.stderr
    assert_kept_and_stopped(tmp_path / "runs", readings=20)


def test_ctrl_c_in_the_run_stops_the_pump_confirms_it_and_keeps_the_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted_at_24_ml_per_day(rig, plan, record, progress):
        def press(text: str, done_s: float, total_s: float) -> None:
            if "24 mL/day" in text:
                signal.raise_signal(signal.SIGINT)

        return run_flow_calibration(rig, plan, record, press)

    monkeypatch.setattr(bench.runner, "run_flow_calibration", interrupted_at_24_ml_per_day)
    done = calibrate("sim", tmp_path / "runs")
    assert done.exit_code == 130
    assert "interrupted" in done.stderr
    assert re.search(r"Pump: stopped, confirmed at \d+ steps", done.stderr)
    assert_kept_and_stopped(tmp_path / "runs", readings=10)


def test_a_disk_that_fills_ends_the_run_with_what_was_recorded_kept(tmp_path: Path) -> None:
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000));"
        "import bench.recording; bench.recording.SYNC_EVERY_S = 0.0;"
        "from bench.cli import main; sys.argv = ['thecabench', *sys.argv[1:]]; main()"
    )
    options = ["run", "flow-calibration", "--rig", "sim", "--plan", "quick", "--runs", str(tmp_path / "runs")]
    command = [sys.executable, "-c", code, *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 3, done.stderr
    assert re.search(r"the recording in .* cannot be written: File too large; free the disk", done.stderr)
    assert_kept_and_stopped(tmp_path / "runs", readings=20)


def test_an_answer_no_on_the_checklist_refuses_the_run_with_the_question(
    rig_file: RigFileBuilder, tmp_path: Path
) -> None:
    done = calibrate(rig_file(truth={"delay_s = 5.0": 'delay_s = 5.0\nsees_wrong = "draught"'}), tmp_path / "runs")
    assert done.exit_code == 2
    assert "the start checklist was not confirmed: The draught shield is closed" in done.stderr


def test_the_reason_stands_in_the_record_as_well(rig_file: RigFileBuilder, tmp_path: Path) -> None:
    rig = rig_file(events='[[events]]\nat_h = 1.5\ndo = "unplug"\nport = "environment"\n')
    calibrate(rig, tmp_path / "runs")
    folder = only_folder(tmp_path / "runs")
    notes = entries_of(read_recording(folder / FILE_NAME), Note)
    assert any("sim:environment" in note.text for note in notes if note.kind == "ended early")


def test_a_declined_factor_is_not_written_and_the_result_is_as_found_alone(
    rig_file: RigFileBuilder, tmp_path: Path
) -> None:
    done = calibrate(rig_file({"approves = true": "approves = false"}), tmp_path / "runs")
    assert done.exit_code == 0
    assert "Verdict: PASS (as found PASS)" in done.output
    assert "the proposed factor was declined by Simulated Operator" in done.output
    result = json.loads((only_folder(tmp_path / "runs") / "result.json").read_text())
    assert result["adjustment"]["written_step_volume_nl"] is None
    assert result["as_left"] == []


@pytest.mark.parametrize(
    ("truth", "sentence"),
    [
        ({"autozero = false": "autozero = true"}, "automatic zeroing is on and may swallow the flow"),
        ({"auto_adjustment = false": "auto_adjustment = true"}, "automatic adjustment is on and would step"),
    ],
)
def test_a_balance_set_so_that_it_hides_flow_is_refused(
    rig_file: RigFileBuilder, tmp_path: Path, truth: dict[str, str], sentence: str
) -> None:
    done = calibrate(rig_file(truth=truth), tmp_path / "runs")
    assert done.exit_code == 2
    assert sentence in done.stderr


@pytest.mark.parametrize(
    ("find", "put", "sentence"),
    [
        ('serial_number = "B000000001"', 'serial_number = "B000000002"', "balance serial number"),
        ('serial_number = "E0000001"', 'serial_number = "E0000002"', "thermohygrometer serial number"),
    ],
)
def test_another_instrument_than_the_rig_file_names_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, find: str, put: str, sentence: str
) -> None:
    bench_side = bench.rig.load_rig_file

    def changed(name: str | Path):  # the mock keeps the shipped facts, the bench believes others
        _, text = bench_side(name)
        assert find in text
        return parse(RigFile, text.replace(find, put), "rig.toml"), text

    monkeypatch.setattr(bench.rig, "load_rig_file", changed)
    done = calibrate("sim", tmp_path / "runs")
    assert done.exit_code == 2
    assert sentence in done.stderr
    assert "connect the right one" in done.stderr


def test_a_check_weight_that_is_off_makes_the_run_inconclusive(rig_file: RigFileBuilder, tmp_path: Path) -> None:
    done = calibrate(rig_file({"tolerance_mg = 2.0": "tolerance_mg = 0.001"}), tmp_path / "runs")
    assert done.exit_code == 1
    assert "Verdict: INCONCLUSIVE" in done.output
    assert re.search(r"Remark: check weight before the run is .* mg off, tolerance 0\.001 mg", done.output)
    assert "no factor is proposed on instruments in doubt" in done.output


def test_a_pump_unplugged_in_the_run_is_reported_as_not_confirmed_stopped(
    rig_file: RigFileBuilder, tmp_path: Path
) -> None:
    rig = rig_file(events='[[events]]\nat_h = 1.5\ndo = "unplug"\nport = "pump"\n')
    done = calibrate(rig, tmp_path / "runs")
    assert done.exit_code == 3
    assert "Pump: STOP NOT CONFIRMED: sim:pump" in done.stderr
    run = json.loads((only_folder(tmp_path / "runs") / "run.json").read_text())
    assert run["pump_left"].startswith("STOP NOT CONFIRMED")


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_run_that_is_told_to_end_stops_the_pump_like_ctrl_c(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def told_to_end(rig, plan, record, progress):
        def send(text: str, done_s: float, total_s: float) -> None:
            if "24 mL/day" in text:
                signal.raise_signal(getattr(signal, name))

        return run_flow_calibration(rig, plan, record, send)

    monkeypatch.setattr(bench.runner, "run_flow_calibration", told_to_end)
    done = calibrate("sim", tmp_path / "runs")
    assert done.exit_code == 130
    assert_kept_and_stopped(tmp_path / "runs", readings=10)


def test_a_second_ctrl_c_does_not_interrupt_the_stop_that_the_first_one_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_pump = bench.runner.stop_pump

    def interrupted_twice(rig, plan, record, progress):
        def press(text: str, done_s: float, total_s: float) -> None:
            if "24 mL/day" in text:
                signal.raise_signal(signal.SIGINT)

        return run_flow_calibration(rig, plan, record, press)

    def stop_with_another_press(rig):
        signal.raise_signal(signal.SIGINT)
        return stop_pump(rig)

    monkeypatch.setattr(bench.runner, "run_flow_calibration", interrupted_twice)
    monkeypatch.setattr(bench.runner, "stop_pump", stop_with_another_press)
    done = calibrate("sim", tmp_path / "runs")
    assert done.exit_code == 130
    assert_kept_and_stopped(tmp_path / "runs", readings=10)


def test_validating_on_a_rig_that_is_not_simulated_in_process_is_refused_before_anything_moves() -> None:
    done = CliRunner().invoke(cli, ["validate", "flow-calibration", "--rig", "served", "--seeds", "1"])
    assert done.exit_code == 2
    assert "there is no truth to score against" in done.stderr


@pytest.mark.parametrize(
    ("event", "sentence"),
    [
        ("reboot", "the pump restarted in the session; what it delivered since cannot be told"),
        ("stall", r"the pump counted \d+ steps in the window where .* mL/day takes \d+; did the motor stall"),
    ],
)
def test_a_pump_that_restarts_or_stalls_in_a_window_ends_the_run(
    rig_file: RigFileBuilder, tmp_path: Path, event: str, sentence: str
) -> None:
    done = calibrate(rig_file(events=f'[[events]]\nat_h = 1.17\ndo = "{event}"\n'), tmp_path / "runs")
    assert done.exit_code == 3
    assert re.search(sentence, done.stderr), done.stderr
    assert_kept_and_stopped(tmp_path / "runs", readings=20)


def test_a_pump_beyond_the_span_of_its_calibration_fails_and_gets_no_factor(
    rig_file: RigFileBuilder, tmp_path: Path
) -> None:
    rig = rig_file(truth={"unit_error_standard_pct = 2.0": "unit_error_pct = 25.0"})
    done = calibrate(rig, tmp_path / "runs")
    assert done.exit_code == 1
    assert "Verdict: FAIL (as found FAIL)" in done.output
    assert re.search(r"no factor is proposed: .* is 2\d\.\d % off the model's", done.output)


def test_a_reservoir_that_holds_less_than_the_plan_needs_is_refused_by_what_the_pump_says(
    rig_file: RigFileBuilder, tmp_path: Path
) -> None:
    rig = rig_file(truth={"unit_error_standard_pct = 2.0": "unit_error_standard_pct = 2.0\nreservoir_fill_pct = 15.0"})
    done = calibrate(rig, tmp_path / "runs")
    assert done.exit_code == 2
    assert re.search(r"the plan needs \d\.\d\d mL, the reservoir gives 1\.00 mL before its alarm", done.stderr)
