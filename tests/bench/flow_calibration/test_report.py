"""The report: complete, true to the result, safe against hostile text, the same to the byte from the folder alone."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.flow_calibration.report import write_report
from bench.flow_calibration.result import FlowCalibrationResult, RateResult
from bench.gates import Answer
from bench.metrology import Verdict
from bench.recording import FILE_NAME
from bench.run_folder import RESULT
from bench.runner import Finished, flow_calibration

HOSTILE = "<script>alert('&')</script></style>\"$\\x_{1}"
ONE_MEGABYTE = 1_000_000

See = Callable[[str], Any]
WithResult = Callable[[FlowCalibrationResult], str]


def number(text: str) -> float:
    return float(text.strip().replace("\N{MINUS SIGN}", "-"))


def assert_rounded(text: str, value: float) -> None:
    """The text is the value rounded to the decimals that it shows."""
    decimals = len(text.strip().partition(".")[2])
    assert abs(number(text) - value) <= 0.5000001 * 10**-decimals, (text, value)


def all_rates(result: FlowCalibrationResult) -> list[RateResult]:
    """As the report lists them: by rate, as found before as left."""
    return sorted((*result.as_found, *result.as_left), key=lambda one: (one.rate_ul_per_h, one.stage))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    return flow_calibration("sim", "quick", tmp_path_factory.mktemp("runs"), seed=7)


@pytest.fixture(scope="module")
def html(finished: Finished) -> str:
    return write_report(finished.folder).read_text(encoding="utf-8")


@pytest.fixture
def with_result(finished: Finished, tmp_path: Path) -> WithResult:
    """The report of the same run, had it stated another result; without the recording, whose figures take time."""

    def write(result: FlowCalibrationResult) -> str:
        folder = tmp_path / "changed"
        shutil.copytree(finished.folder, folder)
        (folder / FILE_NAME).unlink()
        (folder / RESULT).write_bytes(msgspec.json.encode(result))
        return write_report(folder).read_text(encoding="utf-8")

    return write


def test_the_report_needs_nothing_but_the_folder_and_is_the_same_to_the_byte(
    finished: Finished, html: str, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "moved"
    shutil.copytree(finished.folder, elsewhere)
    (elsewhere / "report.html").unlink()
    program = "import sys; from pathlib import Path; from bench.flow_calibration.report import write_report; "
    program += "write_report(Path(sys.argv[1]))"
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "TZ": "Pacific/Kiritimati", "LC_ALL": "C"}
    subprocess.run([sys.executable, "-c", program, str(elsewhere)], check=True, env=environment, cwd=tmp_path)
    assert (elsewhere / "report.html").read_bytes() == html.encode()


def test_the_report_is_one_file_without_scripts_or_anything_from_elsewhere(html: str) -> None:
    assert "<script" not in html
    assert not re.findall(r'\b(?:src|href)="(?!#)', html)
    assert not re.findall(r"url\((?!#)|@import|@font-face", html)
    assert len(html.encode()) < ONE_MEGABYTE


def test_every_run_stands_in_the_report_with_its_figures(see: See, finished: Finished, html: str) -> None:
    rows = [cells for kind, cells in see(html).rows if kind == "run"]
    runs = [run for rate in all_rates(finished.result) for run in rate.runs]
    assert len(rows) == len(runs) == 18
    for cells, run in zip(rows, runs, strict=True):
        assert int(cells[0]) == run.repeat + 1
        assert_rounded(cells[3], run.mass_change_mg)
        assert_rounded(cells[4].split("±")[0], run.zero_slope_mg_per_h)
        assert_rounded(cells[9], run.delivered_ul)
        assert_rounded(cells[10], run.error_pct)


def test_every_rate_stands_in_the_report_with_two_digits_of_uncertainty(
    see: See, finished: Finished, html: str
) -> None:
    rows = [cells for _, cells in see(html).rows if len(cells) == 11 and cells[2] in ("as found", "as left")]
    rates = all_rates(finished.result)
    assert len(rows) == len(rates) == 6
    for cells, rate in zip(rows, rates, strict=True):
        error, uncertainty = cells[3].split("±")
        assert_rounded(error, rate.error_pct)
        assert_rounded(uncertainty, rate.expanded_uncertainty_pct)
        assert len(uncertainty.strip().replace(".", "").lstrip("0")) == 2
        assert len(error.strip().partition(".")[2]) == len(uncertainty.strip().partition(".")[2])
        assert cells[10] == rate.verdict.value


def test_budget_lines_that_another_line_contains_are_shown_as_such(see: See, finished: Finished, html: str) -> None:
    rows = see(html).rows
    contained = [cells for kind, cells in rows if kind == "within"]
    expected = [row for rate in finished.result.as_found for row in rate.budget if row.contained_in]
    assert [cells[0] for cells in contained] == [row.name for row in expected]
    assert all("in repeatability" in cells for cells in contained)
    shares = [cells[4] for kind, cells in rows if len(cells) == 8 and cells[0] == "repeatability"]
    for share, rate in zip(shares, finished.result.as_found, strict=True):
        (stated,) = (row.share_pct for row in rate.budget if row.name == "repeatability")
        assert stated is not None
        assert_rounded(share, stated)


def test_every_figure_is_drawn_and_no_id_is_given_twice(html: str) -> None:
    assert html.count("<figure ") == html.count("<svg ") == 5
    assert "Not drawn" not in html
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="|url\()#([^")]+)', html)) <= set(ids)


def test_who_and_what_stands_behind_the_result_is_named(see: See, finished: Finished, html: str) -> None:
    text = see(html).text
    result = finished.result
    for expected in (
        result.measurand,
        "PASS if |E| ≤ L − g",
        "g = 1.645·u",
        "JCGM 106",
        "No conformity to any standard is claimed",
        "never for clinical use",
        "Approved by Simulated Operator",
        "Measured by (name, signature)",
        result.pump_left,
        *(item.certificate for item in result.identities),
        *(item.due for item in result.identities),
        *(answer.question for answer in result.checklist),
        f"{result.adjustment.written_step_volume_nl:.5f} nL",
        "before the run",
        "after the run",
    ):
        assert expected in text.replace("\N{NO-BREAK SPACE}", " "), expected


def test_files_and_simulation_are_pinned_by_their_hashes(finished: Finished, html: str) -> None:
    for name in (RESULT, FILE_NAME):
        assert hashlib.sha256((finished.folder / name).read_bytes()).hexdigest() in html
    assert finished.result.trace_hash is not None
    assert finished.result.trace_hash in html


def test_a_simulated_run_says_so_on_screen_and_on_every_printed_page(html: str) -> None:
    banner = "SIMULATED, NOT A CALIBRATION"
    assert f'<div class="screen-banner">{banner}</div>' in html
    running = re.search(r'<div class="running".*?</div>', html, re.DOTALL)
    assert running is not None
    assert banner in running[0]
    assert re.search(r"\.running \{\s*position: fixed", html)
    assert f'@page {{ @top-center {{ content: "{banner}"' in html


def test_a_real_run_does_not_say_simulated(finished: Finished, with_result: WithResult) -> None:
    html = with_result(replace(finished.result, simulated=False, trace_hash=None))
    assert "SIMULATED" not in html
    assert "@top-center" not in html
    assert "trace of the simulation" not in html


def test_hostile_text_in_names_and_remarks_stays_text(see: See, finished: Finished, with_result: WithResult) -> None:
    result = finished.result
    html = with_result(
        replace(
            result,
            rig=HOSTILE,
            pump_model=HOSTILE,
            pump_serial_number=HOSTILE,
            plan=HOSTILE,
            measurand=HOSTILE,
            remarks=(HOSTILE,),
            identities=tuple(replace(item, serial_number=HOSTILE, certificate=HOSTILE) for item in result.identities),
            checklist=(Answer(HOSTILE, True, HOSTILE),),
            adjustment=replace(result.adjustment, approved_by=HOSTILE, reason=HOSTILE),
            pump_left=HOSTILE,
        )
    )
    assert "<script" not in html
    assert html.count("</style>") == 1 + html.count("<svg ")
    assert see(html).text.count(HOSTILE) >= 15


def test_numbers_carry_true_minus_signs_wherever_they_come_from(
    see: See, finished: Finished, html: str, with_result: WithResult
) -> None:
    remark = "check weight before the run is -2.50 mg off (p = 3e-05)"
    remarked = see(with_result(replace(finished.result, remarks=(remark,)))).text
    assert "is −2.50 mg off (p = 3 × 10⁻⁵)" in remarked
    for text in (remarked, see(html).text):
        assert not re.findall(r"(?<![\w-])-[\d.]", text)
        assert not re.findall(r"\d[eE][-+]\d", text)


def test_a_verdict_that_is_no_pass_is_set_apart(see: See, finished: Finished, with_result: WithResult) -> None:
    remarks = ("certificate expired: balance",)
    html = with_result(replace(finished.result, verdict=Verdict.INCONCLUSIVE, remarks=remarks))
    assert re.search(r'class="verdict not-passed">\s*<b>INCONCLUSIVE</b>', html)
    assert "certificate expired: balance." in see(html).text


def test_a_declined_factor_shows_that_nothing_was_written(
    see: See, finished: Finished, with_result: WithResult
) -> None:
    adjustment = replace(
        finished.result.adjustment, approved_by=None, written_step_volume_nl=None, reason="declined by A. Person"
    )
    result = replace(finished.result, adjustment=adjustment, as_left=(), as_left_checks=(), as_left_verdict=None)
    text = see(with_result(result)).text
    assert "Approved by nobody" in text
    assert "the pump holds the step volume found" in text
    assert "declined by A. Person" in text
    assert "Check of what is left" not in text


def test_a_single_rate_has_no_offset_to_show(see: See, finished: Finished, with_result: WithResult) -> None:
    fit = replace(
        finished.result.fit, offset_ul_per_h=0.0, offset_standard_uncertainty_ul_per_h=0.0,
        offset_p_value=None, lack_of_fit_p_value=None,
    )  # fmt: skip
    result = replace(finished.result, fit=fit, as_found=finished.result.as_found[:1], as_left=(), as_left_checks=())
    assert "not fitted, one rate alone" in see(with_result(result)).text


def test_a_missing_recording_is_remarked(see: See, finished: Finished, with_result: WithResult) -> None:
    html = with_result(finished.result)
    assert "recording.mcap is missing or empty" in see(html).text
    assert html.count("<svg ") == 1


def test_an_as_found_part_that_is_not_the_frozen_one_is_remarked(
    see: See, finished: Finished, with_result: WithResult
) -> None:
    better = replace(finished.result.as_found[0], error_pct=0.0)
    text = see(with_result(replace(finished.result, as_found=(better, *finished.result.as_found[1:])))).text
    assert "as_found.json, frozen before the adjustment, is not the as-found part of result.json" in text
