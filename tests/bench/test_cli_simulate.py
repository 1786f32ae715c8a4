"""`thecabench simulate`: a table for people, files for tools, a picture, and the notice on all of them."""

import json

import numpy as np
import pyarrow
import pytest
from click.testing import CliRunner
from pyarrow import parquet

from bench.cli import cli
from bench.simulate import plots
from bench.simulate.events_table import events_text
from bench.simulate.life import NOTICE
from bench.simulation import simulate_life

pytestmark = pytest.mark.usefixtures("unwatched")


def simulate(*arguments):
    return CliRunner().invoke(cli, ["simulate", *map(str, arguments)])


@pytest.fixture
def own_scenario(tmp_path):
    """Writes a scenario of a stalled motor; what it expects is given."""

    def write(expected):
        file = tmp_path / "mine.toml"
        file.write_text(
            'about = "A motor that stalls."\n[implant]\ndays = 3\n[reservoir]\nconcentration_ug_per_ml = 500\n'
            '[[events]]\nat_h = 0\ndo = "continuous"\nrate_ml_per_day = 0.2\n'
            '[[events]]\nat_h = 24\ndo = "stall"\nfor_s = 1000000\n' + expected
        )
        return file

    return write


EXPECTED = '[[expected]]\nalarm = "MOTOR_STALL"\nfrom_h = 24.3\nuntil_h = 24.7\n'


def test_the_table_tells_people_what_happened_when(own_scenario, tmp_path):
    done = simulate(own_scenario(EXPECTED), "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert lines[0] == NOTICE
    assert NOTICE in lines[-4:]
    assert any("day 1 00:20:00  pump    MOTOR_STALL" in line for line in lines)
    assert any("day 1 00:20:00  pump    sounds: MOTOR_STALL, dual tone every 10 min" in line for line in lines)
    assert any("clinic  continuous 0.2 mL/day: running" in line for line in lines)
    assert any(line.startswith("seen      MOTOR_STALL between 24.3 and 24.7 h") for line in lines)
    assert "Delivered     0.2000 mL by the pump's account, 0.2000 mL in truth" in lines


def test_what_must_be_seen_and_is_not_ends_with_1_and_is_named(own_scenario, tmp_path):
    done = simulate(own_scenario(EXPECTED.replace("24.3", "23.0").replace("24.7", "24.1")), "--out", tmp_path / "out")
    assert done.exit_code == 1
    assert "NOT SEEN  MOTOR_STALL between 23 and 24.1 h (found: 24.3333 h)" in done.output


def test_another_model_or_other_days_are_held_against_nothing(own_scenario, tmp_path):
    file = own_scenario(EXPECTED.replace("24.3", "1.0").replace("24.7", "2.0"))
    done = simulate(file, "--days", 2, "--model", "implantable-40ml", "--out", tmp_path / "out", "--json")
    assert done.exit_code == 0
    told = json.loads(done.stdout)
    assert (told["model"], told["days"], told["expected"]) == ("implantable-40ml", 2.0, [])
    assert told["end"]["true_reservoir_ul"] == pytest.approx(39_800.0, abs=0.1)


def test_the_json_has_the_notice_the_end_and_the_alarms(own_scenario, tmp_path):
    told = json.loads(simulate(own_scenario(EXPECTED), "--json", "--out", tmp_path / "out").stdout)
    assert told["notice"] == NOTICE
    assert told["as_expected"] is True
    assert told["conservation_error"] <= 1e-9
    [(from_s, until_s)] = told["alarms_s"]["MOTOR_STALL"]
    assert (from_s, until_s) == (pytest.approx(86_400.0 + 1200.0, abs=1.0), 3 * 86_400.0)


def test_the_rows_are_parquet_with_units_in_their_names_and_a_checksum_on_each_page(own_scenario, tmp_path):
    simulate(own_scenario(EXPECTED), "--out", tmp_path / "out")
    file = tmp_path / "out" / "rows.parquet"
    table = parquet.read_table(file, page_checksum_verification=True)
    assert table.schema.metadata[b"notice"] == NOTICE.encode()
    assert {"time_s", "true_tip_ul", "pump_delivered_ul", "true_tip_ug_per_ml", "battery_mv"} <= set(table.column_names)
    assert np.all(np.diff(table["time_s"].to_numpy()) > 0.0)
    assert parquet.read_table(tmp_path / "out" / "notes.parquet")["who"].to_pylist()[0] == "pump"
    octets = bytearray(file.read_bytes())
    octets[200] ^= 1
    file.write_bytes(octets)
    with pytest.raises((OSError, pyarrow.ArrowException)):
        parquet.read_table(file, page_checksum_verification=True)


def test_the_plot_is_svg_and_png_with_the_notice_and_every_panel(own_scenario, tmp_path):
    done = simulate(own_scenario(EXPECTED), "--plot", "--out", tmp_path / "out")
    svg = (tmp_path / "out" / "simulation.svg").read_text(encoding="utf-8")
    for text in (NOTICE, "/ (mL/day)", "volume / mL", "reservoir", "battery", "motor stall", "concentration"):
        assert text in svg
    assert (tmp_path / "out" / "simulation.png").read_bytes().startswith(b"\x89PNG")
    assert "simulation.svg" in done.output
    simulate(own_scenario(EXPECTED), "--plot", "--out", tmp_path / "again")
    assert (tmp_path / "again" / "simulation.svg").read_text(encoding="utf-8") == svg


def test_a_steady_dose_is_drawn_as_one_line_that_touches_no_zero():
    from matplotlib.figure import Figure

    life = simulate_life("continuous-without-peaks")
    axes = Figure().subplots()
    plots.draw_dose(axes, life.columns["time_s"], life)
    [line] = axes.patches
    assert line.get_path().vertices[:, 1] == pytest.approx(100.0, abs=1.0)
    assert line.get_label() == "mean of\n1 h"


def test_a_pump_without_power_is_marked_among_the_alarms(tmp_path):
    assert simulate("battery-fails-at-once", "--plot", "--out", tmp_path / "out").exit_code == 0
    svg = (tmp_path / "out" / "simulation.svg").read_text(encoding="utf-8")
    assert "without power" in svg
    assert "time / d, from 0 UTC of 2026-11-21" in svg
    [(from_s, until_s)] = simulate_life("battery-fails-at-once").off_spans()
    assert (from_s, until_s) == (pytest.approx(30 * 86_400.0, abs=1.0), 40 * 86_400.0)


LEAK = '[[events]]\nat_h = 12\ndo = "leak"\nshare_pct = 40\n'


@pytest.mark.parametrize(
    ("breaks", "exit_code", "said"),
    [
        ('[{ property = "SP-04", why = "It has no sensor." }]', 0, "broken    SP-04 from day 0 12:"),
        ("[]", 1, "BROKEN    SP-04 from day 0 12:"),
        (
            '[{ property = "SP-04", why = "x" }, { property = "SP-03", why = "y" }]',
            1,
            "HELD      SP-03, which the scen",
        ),
        (
            '[{ property = "SP-43", why = "x" }]',
            2,
            "mine.toml: scenario mine: breaks names property = 'SP-43', which is",
        ),
    ],
)
def test_what_a_scenario_breaks_is_held_against_what_it_says_it_breaks(own_scenario, tmp_path, breaks, exit_code, said):
    file = own_scenario(LEAK)
    file.write_text(f"breaks = {breaks}\n{file.read_text()}")
    done = simulate(file, "--out", tmp_path / "out")
    assert done.exit_code == exit_code
    assert said in done.output
    if exit_code != 2:
        assert "Safety        41 of 42 properties held" in done.output
        summary = json.loads((tmp_path / "out" / "summary.json").read_bytes())
        assert summary["as_expected"] is (exit_code == 0)
        assert [it["property"] for it in summary["breaks"] if it["first_s"] is not None] == ["SP-04"]


def test_what_another_run_than_its_own_breaks_is_told_and_held_against_nothing(own_scenario, tmp_path):
    done = simulate(own_scenario(LEAK), "--days", 2, "--out", tmp_path / "out")
    assert done.exit_code == 0
    assert "broken    SP-04 from day 0 12:" in done.output


def test_a_long_life_is_drawn_in_bins_and_told_in_counts(tmp_path):
    done = simulate("seven-years", "--days", 150, "--plot", "--out", tmp_path / "out")
    assert done.exit_code == 0
    assert "more times: body the patient presses the button" in done.output
    assert "least to most" in (tmp_path / "out" / "simulation.svg").read_text(encoding="utf-8")


def test_notes_that_differ_in_a_number_alone_are_counted_as_one_kind():
    life = simulate_life("patient-bolus")
    text = events_text(life)
    assert sum("the patient presses the button" in line for line in text.splitlines()) == 13
    assert "and 28 more times: body the patient presses the button" in text


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("good-laboratory", "has no [implant], so there is no pump in a body"),
        ("catheter-kinks", "no such scenario file; nearest: catheter-kink, catheter-leak"),
        ("nothing-like-that", "hw_configs/scenarios/nothing-like-that.toml: there is no such scenario file"),
    ],
)
def test_a_wrong_scenario_ends_with_2_and_its_cure(name, said):
    done = simulate(name)
    assert done.exit_code == 2
    assert said in done.output


def test_an_unknown_model_ends_with_2_and_names_the_known_ones():
    done = simulate("bridge", "--model", "perpetual")
    assert done.exit_code == 2
    assert "pump model 'perpetual' is unknown; known: bench-stepper" in done.output
