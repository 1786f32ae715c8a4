"""Model profiles: plain values with their sources, and all faults of a file in one clear error."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

import protocol
from protocol import ProfileError
from protocol.profile import Figure, load_model, model_names
from protocol.profile_faults import check

SHIPPED = Path(__file__).parents[3] / "hw_configs" / "models"


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.toml")), ids=lambda path: path.stem)
def test_every_shipped_model_loads_by_name_and_by_path(path: Path) -> None:
    assert load_model(path.stem) == load_model(path) == load_model(str(path))
    assert load_model(path.stem).name == path.stem


def test_attributes_are_plain_values_and_figures_know_their_source() -> None:
    profile = load_model("implantable-20ml")
    assert (profile.rate_min_ul_per_h, profile.rate_max_ul_per_h) == (2.0, 1000.0)
    assert type(profile.steps_per_revolution) is int
    assert profile.figures["rate_min_ul_per_h"] == Figure(
        value=2.0, source="0.048 mL/day, SynchroMed II class", confidence="unconfirmed"
    )


@pytest.mark.parametrize("name", model_names())
def test_every_figure_of_a_file_is_a_value_of_the_profile(name: str) -> None:
    profile = load_model(name)
    parts = [getattr(profile, item.name) for item in fields(profile)]
    groups = [part for part in parts if isinstance(part, BaseModel)]
    held = {key: value for group in groups for key, value in group.model_dump(exclude={"magnet"}).items()}
    assert held == {key: figure.value for key, figure in profile.figures.items()}


def test_a_profile_does_not_change() -> None:
    profile = load_model("implantable-20ml")
    for key, value in (("rate_min_ul_per_h", 1.0), ("name", "other")):
        with pytest.raises(FrozenInstanceError):
            setattr(profile, key, value)


RATE_MIN = "[rate_min_ul_per_h]\nvalue = 2.0\n"

FAULTY_FIGURES = [
    ("", "rate_min_ul_per_h.value: is missing; add it"),
    ("values = 2.0", "rate_min_ul_per_h.values: is no known key; did you mean value?"),
    ("value = '2'", "rate_min_ul_per_h.value: is '2'; input should be a valid number"),
    ("value = true", "rate_min_ul_per_h.value: is True; input should be a valid number"),
    ("value = nan", "rate_min_ul_per_h.value: is nan; input should be"),
    ("value = -2.0", "rate_min_ul_per_h.value: is -2.0; input should be greater than 0"),
    ("value = 1000", "rate_min_ul_per_h.value: is 1000; it must be below rate_max_ul_per_h, which is 1000.0"),
]
FAULTS = [
    *((RATE_MIN, f"[rate_min_ul_per_h]\n{line}\n", sentence) for line, sentence in FAULTY_FIGURES),
    (
        "[rate_min_ul_per_h]",
        "[rate_mim_ul_per_h]",
        "rate_mim_ul_per_h: is no known key; did you mean rate_min_ul_per_h?",
    ),
    (
        "[rate_min_ul_per_h]",
        "[rate_mim_ul_per_h]",
        "rate_min_ul_per_h: is missing; add a table [rate_min_ul_per_h] with value, source and confidence",
    ),
    ("[rate_min_ul_per_h]", "[colour]", "colour: is no known key; remove it"),
    ("value = 200\n", "value = 0\n", "steps_per_revolution.value: is 0; input should be greater than 0"),
    ("value = 200\n", "value = 200.5\n", "steps_per_revolution.value: is 200.5; input should be a valid integer"),
    ('"implantable"', '"hospital"', "kind: is 'hospital'; input should be 'implantable', 'external' or 'bench'"),
    ('name = "implantable-20ml"\n', "", "name: is missing; add it"),
    (
        '"published"',
        '"guessed"',
        "accuracy_limit_pct.confidence: is 'guessed'; input should be 'published', 'unconfirmed' or 'design'",
    ),
    (
        "value = 2000.0",
        "value = 20000.0",
        "reservoir_alarm_ul.value: is 20000.0; it must be below reservoir_volume_ul, which is 20000.0",
    ),
    (
        "[bolus_rate_ul_per_h]\nvalue = 1000.0",
        "[bolus_rate_ul_per_h]\nvalue = 1000.5",
        "bolus_rate_ul_per_h.value: is 1000.5; it must be at most rate_max_ul_per_h, which is 1000.0",
    ),
    (
        "[minimum_rate_ul_per_h]\nvalue = 0.25",
        "[minimum_rate_ul_per_h]\nvalue = 2.5",
        "minimum_rate_ul_per_h.value: is 2.5; it must be at most rate_min_ul_per_h, which is 2.0",
    ),
    (
        "[bolus_max_ul]\nvalue = 1000.0",
        "[bolus_max_ul]\nvalue = 20001.0",
        "bolus_max_ul.value: is 20001.0; it must be at most reservoir_volume_ul, which is 20000.0",
    ),
]


def test_a_wrong_label_hides_no_wrong_figure(model_file) -> None:
    path = model_file(
        ('metering = "peristaltic"', 'metering = "rotor"'),
        ("[rollers]\nvalue = 3", "[rollers]\nvalue = -3"),
        ("[patient_lockout_min_s]\nvalue = 300.0", "[patient_lockout_min_s]\nvalue = 'long'"),
    )
    with pytest.raises(ProfileError) as caught:
        load_model(path)
    keys = [line.strip().split(":")[0] for line in str(caught.value).splitlines()[1:]]
    assert sorted(keys) == ["metering", "patient_lockout_min_s.value", "rollers.value"]


TABLES = re.split(r"\n(?=\[)", (SHIPPED / "implantable-20ml.toml").read_text(encoding="utf-8"))


@given(st.sets(st.integers(1, len(TABLES) - 1), min_size=1))
def test_every_figure_that_is_left_out_is_named(left_out: set[int]) -> None:
    checked = check(tomllib.loads("\n".join(text for index, text in enumerate(TABLES) if index not in left_out)))
    assert set(checked.faults) == {TABLES[index].split("]")[0].removeprefix("[") for index in left_out}
    assert all("is missing; add a table [" in sentence for sentence in checked.faults.values())


@pytest.mark.parametrize(("old", "new", "sentence"), FAULTS, ids=[fault[2].split(";")[0] for fault in FAULTS])
def test_a_fault_is_named_with_file_key_and_cure(old: str, new: str, sentence: str, model_file) -> None:
    path = model_file((old, new))
    with pytest.raises(ProfileError) as caught:
        load_model(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert sentence in str(caught.value)


def test_a_figure_without_its_table_is_named_once(model_file) -> None:
    path = model_file(
        (RATE_MIN, "[unused]\n"), ('kind = "implantable"', 'kind = "implantable"\nrate_min_ul_per_h = 2.0')
    )
    with pytest.raises(ProfileError) as caught:
        load_model(path)
    assert [line.strip() for line in str(caught.value).splitlines()] == [
        f"{path}: 2 faults",
        "rate_min_ul_per_h: is 2.0; it must be a table [rate_min_ul_per_h] with value, source and confidence",
        "unused: is no known key; remove it",
    ]


def test_all_faults_of_a_file_are_reported_at_once(model_file) -> None:
    path = model_file(
        ("value = 200\n", "value = 0\n"),
        ('"published"', '"guessed"'),
        ("value = 2000.0", "value = 25000.0"),
    )
    with pytest.raises(ProfileError) as caught:
        load_model(path)
    lines = str(caught.value).splitlines()
    assert lines[0] == f"{path}: {len(lines) - 1} faults"
    for key in ("steps_per_revolution.value", "reservoir_alarm_ul.confidence", "accuracy_limit_pct.confidence"):
        assert any(line.strip().startswith(f"{key}: ") for line in lines)


def test_an_unknown_model_is_refused_with_those_there_are() -> None:
    with pytest.raises(ProfileError, match=r"pump model 'implantable-21ml' is unknown; known: .*20ml.*toml path"):
        load_model("implantable-21ml")


def test_a_shipped_file_must_be_called_as_the_model_in_it(
    model_file: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "models").mkdir()
    model_file().rename(tmp_path / "models" / "other.toml")
    monkeypatch.setattr("protocol.profile.resources.files", lambda _: tmp_path)
    with pytest.raises(ProfileError, match=r"other\.toml: name is 'implantable-20ml'; it must be 'other'"):
        load_model("other")


def test_a_missing_or_broken_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match=r"none\.toml: cannot be read: No such file"):
        load_model(tmp_path / "none.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("name = \n", encoding="utf-8")
    with pytest.raises(ProfileError, match=r"broken\.toml: is not TOML: .*line 1"):
        load_model(broken)
    broken.write_bytes(b"\xff\xfe")
    with pytest.raises(ProfileError, match=r"broken\.toml: is not TOML"):
        load_model(broken)


def test_importing_protocol_does_not_import_pydantic() -> None:
    code = "import sys, protocol; assert 'pydantic' not in sys.modules; protocol.profile.load_model('implantable-20ml')"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])


def test_the_package_says_what_it_does_not_have() -> None:
    with pytest.raises(AttributeError, match="module 'protocol' has no attribute 'nothing'"):
        _ = protocol.nothing
    assert all(hasattr(protocol, name) for name in protocol.__all__)
