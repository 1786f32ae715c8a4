"""Scenario files: what is not there is at rest, what is wrong is refused by file, key and cure."""

from dataclasses import dataclass

import pytest

from firmware_mock import Scenario
from firmware_mock.scenario import ScenarioError


@dataclass(frozen=True)
class Effects:
    size_mm: float = 0.0
    count: int = 1
    on: bool = False
    kind: str = "plain"

    def __post_init__(self):
        if self.size_mm < 0:
            raise ScenarioError(f"[thing] size_mm = {self.size_mm} must be at least 0")


def section(**table):
    return Scenario("test", {"thing": table}).section("thing", Effects)


def test_a_component_without_a_table_is_at_rest():
    assert Scenario().section("thing", Effects) == Effects()


def test_keys_set_what_they_name_and_whole_numbers_serve_as_floats():
    assert section(size_mm=2, count=3, on=True, kind="odd") == Effects(2.0, 3, True, "odd")


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"sise_mm": 1.0}, r"scenario test: \[thing\] has no key 'sise_mm'; known: count, kind, on, size_mm"),
        ({"size_mm": "big"}, r"\[thing\] size_mm = 'big' is not a float"),
        ({"size_mm": True}, r"\[thing\] size_mm = True is not a float"),
        ({"count": 1.5}, r"\[thing\] count = 1.5 is not a int"),
        ({"on": 1}, r"\[thing\] on = 1 is not a bool"),
        ({"size_mm": float("nan")}, r"\[thing\] size_mm = nan is not a finite number"),
        ({"size_mm": -1.0}, r"scenario test: \[thing\] size_mm = -1.0 must be at least 0"),
    ],
)
def test_a_wrong_key_or_value_is_named(table, said):
    with pytest.raises(ScenarioError, match=said):
        section(**table)


def test_a_table_that_no_component_reads_is_refused():
    scenario = Scenario("test", {"thing": {}, "thong": {}})
    scenario.check_tables({"thing", "thong"})
    with pytest.raises(ScenarioError, match=r"no component reads \[thong\]; known: thing"):
        scenario.check_tables({"thing"})


def test_a_file_gives_name_tables_and_events(tmp_path):
    file = tmp_path / "own.toml"
    file.write_text('name = "mine"\nabout = "text"\n[thing]\ncount = 2\n[[events]]\nat_h = 1\ndo = "unplug"\n')
    scenario = Scenario.load(file)
    assert (scenario.name, scenario.tables) == ("mine", {"thing": {"count": 2}})
    assert scenario.events == ({"at_h": 1, "do": "unplug"},)


def test_a_file_tells_what_it_breaks_expects_and_is_from(tmp_path):
    file = tmp_path / "own.toml"
    file.write_text(
        'sources = ["a paper"]\nbreaks = [{ property = "SP-28", why = "it is dead" }]\n'
        "[[expected]]\nany_alarm = false\n"
    )
    scenario = Scenario.load(file)
    assert (scenario.file, scenario.sources) == (str(file), ("a paper",))
    assert [(breach.property, breach.why) for breach in scenario.breaks] == [("SP-28", "it is dead")]
    assert scenario.expected == ({"any_alarm": False},)
    assert scenario.where == f"{file}: scenario own"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('breaks = ["SP-28"]', r"own\.toml: breaks = \['SP-28'\] must be a list of tables"),
        ('breaks = [{ property = "SP-28" }]', r"own\.toml: breaks has .*; each is {property = \"SP-…\", why = \"…\"}"),
        ("sources = [1]", r"own\.toml: sources = \[1\] must be a list of texts"),
        ("events = 3", r"own\.toml: events = 3 must be a list of \[\[events\]\]"),
        ("dayz = 3", r"own\.toml: dayz = 3 is no key of a scenario; known: about, breaks, events, expected, name, s"),
    ],
)
def test_a_wrong_key_of_a_file_is_named_with_its_cure(tmp_path, text, said):
    file = tmp_path / "own.toml"
    file.write_text(text + "\n")
    with pytest.raises(ScenarioError, match=said):
        Scenario.load(file)


def test_a_shipped_scenario_is_found_by_name():
    assert Scenario.load("good-laboratory").name == "good-laboratory"


def test_a_file_that_is_missing_or_no_toml_is_named(tmp_path):
    with pytest.raises(ScenarioError, match=r"absent\.toml: there is no such scenario file"):
        Scenario.load(tmp_path / "absent.toml")
    with pytest.raises(ScenarioError, match=r"hw_configs/scenarios/absent\.toml: there is no such"):
        Scenario.load("absent")
    with pytest.raises(ScenarioError, match=r"brigde\.toml: there is no such scenario file; nearest: bridge$"):
        Scenario.load("brigde")
    with pytest.raises(ScenarioError, match=r"xyz\.toml: .*; give the path of a \.toml file, or one of battery-3-to-5"):
        Scenario.load("xyz")
    binary = tmp_path / "binary.toml"
    binary.write_bytes(bytes((0xB1, 0x00)))
    with pytest.raises(ScenarioError, match=r"binary\.toml: not valid TOML: 'utf-8' codec can't decode byte 0xb1"):
        Scenario.load(binary)
    broken = tmp_path / "broken.toml"
    broken.write_text("[thing\n")
    with pytest.raises(ScenarioError, match=r"broken\.toml: not valid TOML"):
        Scenario.load(broken)
