"""Rig and plan files: every fault at once, with file, key and cure."""

from __future__ import annotations

import pytest

from bench.flow_calibration.plan import FlowCalibrationPlan, load_plan
from bench.rigfile import RigFile, load_rig_file
from bench.toml_file import FileError, find, parse
from protocol.shipped import shipped_names


@pytest.mark.parametrize("name", shipped_names("rigs"))
def test_every_shipped_rig_file_is_valid(name: str) -> None:
    assert load_rig_file(name)[0].name


@pytest.mark.parametrize("name", shipped_names("plans"))
def test_every_shipped_plan_is_valid_and_named_as_its_file(name: str) -> None:
    assert load_plan(name)[0].name == name


def test_a_misspelt_key_and_a_wrong_type_are_both_named_with_table_and_cure() -> None:
    _, text = load_rig_file("sim")
    text = text.replace("readability_mg = 0.01", "readabillity_mg = 0.01").replace("hours = 40.0", 'hours = "forty"')
    with pytest.raises(FileError) as caught:
        parse(RigFile, text, "my.toml")
    message = str(caught.value)
    assert "my.toml: [balance] readabillity_mg: unknown key; did you mean 'readability_mg'?" in message
    assert "my.toml: [tubing] hours = 'forty'" in message


def test_a_missing_file_lists_what_is_shipped() -> None:
    with pytest.raises(FileError, match=r"nowhere\.toml: there is no such file; shipped ones go by name: .*sim"):
        find("nowhere.toml", shipped_in="rigs")


def test_a_file_that_is_not_toml_is_named_with_the_line() -> None:
    with pytest.raises(FileError, match=r"my\.toml: not valid TOML: .*line 1"):
        parse(RigFile, "name = \n", "my.toml")


@pytest.mark.parametrize(
    ("find_text", "put", "complaint"),
    [
        ("contents_ml = 15.0", "contents_ml = 41.0", "contents_ml = 41.0 exceeds capacity_ml = 40.0"),
        ('port = "sim:balance"', 'port = "/dev/ttyUSB0"', "either all ports begin with sim: or none does"),
        ("needle_diameter_mm = 0.3", "needle_diameter_mm = 31.0", "the needle is wider than the vessel"),
        ('kind = "remote"', 'kind = "console"', 'kind = "remote" needs port and approves'),
        ("standard_uncertainty_k = 0.1", "standard_uncertainty_k = nan", "finite"),
        (
            'key = "test"',
            'key = "keys.toml"',
            'key = "test" belongs to a rig file whose ports begin with sim:, and only',
        ),
    ],
)
def test_contradictory_facts_are_refused(find_text: str, put: str, complaint: str) -> None:
    _, text = load_rig_file("sim")
    assert find_text in text
    with pytest.raises(FileError, match=complaint):
        parse(RigFile, text.replace(find_text, put), "my.toml")


def test_a_plan_with_a_rate_that_stands_twice_is_refused() -> None:
    _, text = load_plan("implant")
    text = text.replace("[0.048, 0.25, 1.0, 5.0, 24.0]", "[1.0, 1.0]")
    with pytest.raises(FileError, match="a rate stands twice"):
        parse(FlowCalibrationPlan, text, "my.toml")
