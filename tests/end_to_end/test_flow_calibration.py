"""The whole job in virtual time: what `make bench` runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from bench.flow_calibration.acquisition import Data
from bench.flow_calibration.analysis import rate_results
from bench.flow_calibration.reduction import reduce_session
from bench.flow_calibration.result import AS_FOUND, AS_LEFT, FlowCalibrationResult, RateResult
from bench.metrology import Verdict
from bench.recording import FILE_NAME, Note, entries_of, read_recording
from bench.rigfile import load_rig_file
from bench.runner import Finished, flow_calibration
from protocol.profile import load_model

HALF_ML_PER_DAY_UL_PER_H = 500.0 / 24.0


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    return flow_calibration("sim", None, tmp_path_factory.mktemp("runs"))


def test_five_rates_five_repeats_pass_with_the_uncertainty_that_was_asked_for(finished: Finished) -> None:
    result = finished.result
    assert result.verdict is Verdict.PASS
    assert [round(rate.rate_ul_per_h * 0.024, 3) for rate in result.as_found] == [0.048, 0.25, 1.0, 5.0, 24.0]
    for rate in (*result.as_found, *result.as_left):
        assert rate.expanded_uncertainty_pct <= rate.limit_pct / 4.0
        if rate.rate_ul_per_h >= HALF_ML_PER_DAY_UL_PER_H:
            assert rate.expanded_uncertainty_pct <= 1.0
    assert {len(rate.runs) for rate in result.as_found} == {5}


def test_the_factor_was_approved_by_name_written_and_read_back(finished: Finished) -> None:
    adjustment = finished.result.adjustment
    assert adjustment.approved_by == "Simulated Operator"
    assert adjustment.previous_step_volume_nl == 10.0
    assert adjustment.written_step_volume_nl == pytest.approx(10.0 * finished.result.fit.factor, rel=1e-9)
    assert all(check.agrees for check in finished.result.as_left_checks)


def test_the_as_found_result_was_frozen_before_anything_was_written(finished: Finished) -> None:
    frozen = msgspec.json.decode((finished.folder / "as_found.json").read_bytes(), type=tuple[RateResult, ...])
    assert frozen == finished.result.as_found
    notes = [note.kind for note in entries_of(read_recording(finished.folder / FILE_NAME), Note)]
    assert notes.index("as found") < notes.index("adjustment")


def test_the_folder_alone_gives_the_same_result_again(finished: Finished) -> None:
    stored = msgspec.json.decode((finished.folder / "result.json").read_bytes(), type=FlowCalibrationResult)
    assert stored == finished.result
    data = Data.from_recording(read_recording(finished.folder / FILE_NAME))
    file, model = load_rig_file(finished.folder / "rig.toml")[0], load_model(stored.pump_model)
    assert rate_results(reduce_session(data.up_to(AS_FOUND), file), AS_FOUND, file, model) == stored.as_found
    reduced = reduce_session(data.up_to(AS_LEFT), file)
    assert rate_results(reduced, AS_LEFT, file, model, pooled_with=stored.as_found) == stored.as_left


def test_the_pump_is_left_stopped_and_says_so(finished: Finished) -> None:
    run = json.loads((finished.folder / "run.json").read_text())
    assert run["status"] == "finished"
    assert run["pump_left"].startswith("stopped, confirmed")


def test_check_weight_devices_and_checklist_are_part_of_the_result(finished: Finished) -> None:
    result = finished.result
    assert [weighing.passed for weighing in result.check_weighings] == [True, True, True]
    when = [weighing.when for weighing in result.check_weighings]
    assert when == ["before the run", "before the adjustment", "after the run"]
    assert {device.role for device in result.identities} == {"pump", "balance", "thermohygrometer", "check weight"}
    assert all(answer.yes and answer.by == "Simulated Operator" for answer in result.checklist)


def test_the_same_seed_gives_the_same_bytes_in_two_processes(tmp_path: Path) -> None:
    results = []
    for name in ("one", "two"):
        command = [sys.executable, "-m", "thecabench", "run", "flow-calibration", "--rig", "sim"]
        options = ["--seed", "7", "--runs", str(tmp_path / name), "--json"]
        done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=50, check=False)
        assert done.returncode == 0, done.stderr
        results.append((Path(json.loads(done.stdout)["folder"]) / "result.json").read_bytes())
    assert results[0] == results[1]
    assert len(json.loads(results[0])["trace_hash"]) == 64


def test_a_model_whose_accuracy_is_a_claim_on_a_population_is_calibrated_and_not_judged(tmp_path: Path) -> None:
    root = Path(__file__).parents[2] / "hw_configs"
    model, rig = tmp_path / "claimed.toml", tmp_path / "rig.toml"
    text = (root / "models" / "implantable-20ml.toml").read_text(encoding="utf-8")
    text = text.replace('name = "implantable-20ml"', 'name = "claimed"')
    model.write_text(text.replace('accuracy_claim = "unit"', 'accuracy_claim = "population"'), encoding="utf-8")
    text = (root / "rigs" / "sim.toml").read_text(encoding="utf-8")
    rig.write_text(text.replace('"implantable-20ml"', f'"{model.as_posix()}"'), encoding="utf-8")
    result = flow_calibration(str(rig), "quick", tmp_path / "runs").result
    assert {result.verdict, result.as_found_verdict, result.as_left_verdict} == {Verdict.INCONCLUSIVE}
    assert result.remarks[0].startswith("the limit of 14.5 % is claimed for a population of claimed, and no single")
    assert all(abs(rate.error_pct) < 1.0 for rate in result.as_left)
    assert result.adjustment.written_step_volume_nl is not None
