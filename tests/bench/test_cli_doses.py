"""`thecabench doses`: the journals are told without a pump, and a dose in doubt is resolved by name, on record."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from bench.cli import cli
from bench.cli_doses import AS
from driver import Journal
from driver.journal_line import line_of
from driver.resolving import SAYABLE


def run(*arguments):
    return CliRunner().invoke(cli, ["doses", *map(str, arguments)])


def said(*arguments):
    done = run(*arguments, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


RESOLVED = ("--by", "R. Vogel", "--because", "weighed")


def opened(folder, serial_number):
    journal = Journal.in_directory(folder)
    journal.bind(serial_number)
    return journal


def dosed(journal, kind, values, *outcomes):
    id_ = journal.take_id(0, kind, values)
    journal.commit(id_, kind, values, 7)
    for state, low_ul, high_ul in outcomes:
        journal.outcome(id_, state, low_ul, high_ul)
    return id_


@pytest.fixture
def folder(tmp_path):
    """Journals of two pumps: P/1 with a dose of each kind of end, P-2 with one that is in doubt."""
    journal = opened(tmp_path / "journals", "P/1")
    bolus = {"volume_ul": 10.0, "rate_ul_per_h": 1000.0}
    dosed(journal, "bolus", bolus, ("running", 0.0, 0.0), ("done", 10.0, 10.0))
    dosed(journal, "bolus", bolus, ("running", 1.0, 1.0), ("interrupted", 2.0, 3.0))
    dosed(journal, "bolus", bolus, ("stopped", 0.0, 0.0))
    journal.take_id(0, "bolus", bolus)
    dosed(journal, "bolus", bolus, ("running", 1.5, 1.5))
    dosed(journal, "bolus", bolus)
    dosed(journal, "continuous", {"rate_ul_per_h": 20.0, "on_lease_loss": 0})
    dosed(journal, "bolus", bolus, ("not_started", 0.0, 0.0))
    journal.release()
    other = opened(tmp_path / "journals", "P-2")
    dosed(other, "refill", {"volume_ul": 18_000.0})
    other.release()
    return tmp_path / "journals"


def test_every_dose_of_every_pump_is_listed_with_state_and_bounds(folder):
    pumps = {pump["serial_number"]: pump for pump in said("--journal", folder)["pumps"]}
    assert list(pumps) == ["P-2", "P/1"]
    assert [
        (dose["id"], dose["state"], dose["delivered_low_ul"], dose["delivered_high_ul"])
        for dose in pumps["P/1"]["doses"]
    ] == [
        (1, "delivered", 10.0, 10.0),
        (2, "partly", 2.0, 3.0),
        (3, "not delivered", 0.0, 0.0),
        (4, "not delivered", 0.0, 0.0),
        (5, "pending", 1.5, 10.0),
        (6, "uncertain", 0.0, 10.0),
        (7, "uncertain", 0.0, None),
        (8, "not delivered", 0.0, 0.0),
    ]
    [refill] = pumps["P-2"]["doses"]
    assert (refill["state"], refill["delivered_high_ul"], refill["kind"]) == ("uncertain", 0.0, "refill")
    assert refill["values"] == {"volume_ul": 18_000.0}
    assert refill["wall"].endswith("+00:00")


def test_open_ones_and_one_pump_are_chosen(folder):
    [pump] = said("--journal", folder, "--pump", "P/1", "--open")["pumps"]
    assert [dose["id"] for dose in pump["doses"]] == [5, 6, 7]
    [pump] = said("--journal", pump["journal"], "--open")["pumps"]
    assert pump["serial_number"] == "P/1"


def test_people_read_what_was_asked_what_became_of_it_and_who_said_so(folder):
    said("resolve", 6, "--as", "partly", "--volume-ul", 2, 4.5, *RESOLVED, "--pump", "P/1", "--journal", folder)
    lines = run("--journal", folder, "--pump", "P/1").stdout.splitlines()
    assert lines[0].startswith("Pump P/1, 8 of 8 doses (")
    assert "uncertain" in lines[7]
    assert "0 µL or more" in lines[7]
    assert "1.5 to 10 µL" in lines[5]
    assert "  partly         2 to 4.5 µL  " in lines[6]
    assert "volume_ul 10, rate_ul_per_h 1000" in lines[6]
    assert lines[6].endswith("  by R. Vogel: weighed")


@pytest.mark.parametrize(
    ("as_", "more", "bounds"),
    [
        ("delivered", (), [0.0, 10.0]),
        ("not delivered", (), [0.0, 0.0]),
        ("partly", ("--volume-ul", "3", "4"), [3.0, 4.0]),
    ],
)
def test_an_uncertain_dose_is_resolved_by_name_and_no_longer_open(folder, as_, more, bounds):
    told = said("resolve", 6, "--as", as_, *more, *RESOLVED, "--pump", "P/1", "--journal", folder)
    assert (told["state"], [told["delivered_low_ul"], told["delivered_high_ul"]]) == (as_, bounds)
    assert (told["by"], told["because"]) == ("R. Vogel", "weighed")
    [pump] = said("--journal", folder, "--pump", "P/1", "--open")["pumps"]
    assert [dose["id"] for dose in pump["doses"]] == [5, 7]
    journal = opened(folder, "P/1")
    assert list(journal.unresolved()) == [5, 7]
    journal.release()


def test_a_pending_dose_of_a_pump_that_can_never_be_asked_again_is_resolved_by_saying_so(folder):
    where = ("--pump", "P/1", "--journal", folder)
    told = said("resolve", 5, "--as", "partly", "--volume-ul", 1, 4, "--pump-lost", *RESOLVED, *where)
    assert (told["state"], told["delivered_low_ul"], told["delivered_high_ul"]) == ("partly", 1.5, 4.0)
    [pump] = said(*where, "--open")["pumps"]
    assert [dose["id"] for dose in pump["doses"]] == [6, 7]


def test_options_given_before_the_subcommand_hold_for_it(folder):
    done = run("--journal", folder, "--pump", "P/1", "resolve", 6, "--as", "delivered", *RESOLVED)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("Pump P/1: 6  ")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((1, "--as", "delivered"), "command 1 is delivered; only what is uncertain is resolved"),
        ((4, "--as", "delivered"), "command 4 is not delivered; only what is uncertain is resolved"),
        ((99, "--as", "delivered"), "command 99 is not in"),
        ((6, "--as", "partly"), "what is partly delivered needs its volume"),
        ((5, "--as", "delivered"), "command 5 is pending: the pump said that it runs, so ask the pump"),
        ((5, "--as", "not delivered", "--pump-lost"), "command 5 has delivered at least 1.5 µL, the pump said so"),
    ],
)
def test_what_cannot_be_resolved_so_is_a_usage_error_and_changes_nothing(folder, arguments, sentence):
    before = {path: path.read_bytes() for path in folder.glob("*.jsonl")}
    done = run("resolve", *arguments, *RESOLVED, "--pump", "P/1", "--journal", folder)
    assert (done.exit_code, before) == (2, {path: path.read_bytes() for path in folder.glob("*.jsonl")})
    assert sentence in done.stderr


@pytest.mark.parametrize("missing", ["--by", "--because", "--as"])
def test_a_resolution_needs_a_name_a_reason_and_a_state(folder, missing):
    given = ["--as", "delivered", *RESOLVED, "--pump", "P/1", "--journal", folder]
    at = given.index(missing)
    assert run("resolve", 6, *given[:at], *given[at + 2 :]).exit_code == 2
    given[at + 1] = " "
    assert run("resolve", 6, *given).exit_code == 2


def test_which_pump_is_meant_must_be_clear(folder):
    done = run("resolve", 1, "--as", "delivered", *RESOLVED, "--journal", folder)
    assert done.exit_code == 2
    assert "which pump is not clear, give --pump" in done.stderr
    done = run("resolve", 1, "--as", "delivered", *RESOLVED, "--journal", folder, "--pump", "P-3")
    assert done.exit_code == 2
    assert "there is no journal of pump P-3 at" in done.stderr
    assert "pumps with one: P-2, P/1" in done.stderr


def test_a_journal_in_use_is_listed_and_not_written_and_its_holder_is_named(folder):
    holding = opened(folder, "P/1")
    done = run("resolve", 6, "--as", "delivered", *RESOLVED, "--pump", "P/1", "--journal", folder, "--json")
    assert done.exit_code == 3
    assert "in use by process" in json.loads(done.stdout)["error"]
    assert len(said("--journal", folder, "--pump", "P/1")["pumps"][0]["doses"]) == 8
    assert 6 in holding.unresolved()
    holding.release()


def test_json_before_the_subcommand_holds_for_it_and_a_choice_of_the_list_is_refused(folder):
    arguments = ("--pump", "P/1", "--journal", folder, "resolve", 6, "--as", "delivered", *RESOLVED)
    assert json.loads(run("--json", *arguments).stdout)["state"] == "delivered"
    done = run("--open", *arguments)
    assert done.exit_code == 2
    assert "--open belongs to the list, not to resolve" in done.stderr


@pytest.mark.parametrize("text", ["weighed\nagain", "\x1b[2J", "\udcff"])
@pytest.mark.parametrize("option", ["--by", "--because"])
def test_who_and_why_are_one_line_of_plain_text(folder, option, text):
    given = [*RESOLVED, "--as", "delivered", "--pump", "P/1", "--journal", folder]
    given[given.index(option) + 1] = text
    done = run("resolve", 6, *given)
    assert done.exit_code == 2
    assert "must be plain text in one line, not" in done.stderr
    assert [dose["id"] for dose in said("--journal", folder, "--pump", "P/1", "--open")["pumps"][0]["doses"]] == [
        5,
        6,
        7,
    ]


def test_a_journal_whose_values_cannot_be_is_an_error_in_one_line(folder):
    path = folder / "P-2.jsonl"
    head, intent, *_ = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(head + line_of({**json.loads(intent), "asked": {"volume_ul": "18.0"}}))
    for done in (run("--journal", path), run("resolve", 1, "--as", "delivered", *RESOLVED, "--journal", path)):
        assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
        assert f"{path}: line 2 is no journal record" in done.stderr


def test_which_pump_is_meant_is_asked_with_what_cannot_be_read(folder):
    (folder / "P-2.jsonl").write_bytes(b"text\n")
    done = run("resolve", 6, "--as", "delivered", *RESOLVED, "--journal", folder)
    assert done.exit_code == 2
    assert f"there are: P/1 ({folder / 'P%2F1.jsonl'}); {folder / 'P-2.jsonl'}: line 1 is damaged" in done.stderr


def test_a_damaged_journal_is_named_and_the_others_are_listed(folder):
    broken = folder / "P-3.jsonl"
    broken.write_bytes(b"{\n" + (folder / "P-2.jsonl").read_bytes())
    done = run("--journal", folder, "--json")
    assert done.exit_code == 2
    told = json.loads(done.stdout)
    assert [pump["serial_number"] for pump in told["pumps"]] == ["P-2", "P/1"]
    assert told["errors"] == [f"{broken}: line 1 is damaged; restore the file or move it away by hand"]
    assert "line 1 is damaged" in run("--journal", folder).stderr
    assert run("resolve", 6, "--as", "delivered", *RESOLVED, "--pump", "P/1", "--journal", folder).exit_code == 0


def test_a_torn_end_is_told(folder):
    path = folder / "P-2.jsonl"
    path.write_bytes(path.read_bytes().rstrip()[:-9])
    [pump] = said("--journal", path)["pumps"]
    assert pump["notices"] == ["line 3 was cut short; what it would have told was never acted on"]
    assert [dose["state"] for dose in pump["doses"]] == ["not delivered"]
    assert "Notice: line 3 was cut short" in run("--journal", path).stdout


@pytest.mark.parametrize("command", [(), ("resolve", 6, "--as", "delivered", *RESOLVED)])
def test_a_folder_that_may_not_be_read_is_not_taken_for_an_empty_one(folder, monkeypatch, command):
    def denied(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.scandir", denied)
    monkeypatch.setattr("os.listdir", denied)
    done = run(*command, "--journal", folder)
    assert done.exit_code == 3
    assert f"{folder}: this place of journals cannot be read (Permission denied)" in done.stderr


def test_the_choices_offered_are_those_that_the_driver_takes():
    assert tuple(SAYABLE) == AS


def test_without_any_journal_there_are_no_doses(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    assert said()["pumps"] == []
    assert run().stdout.startswith("No doses: there is no journal at ")
    done = run("--journal", tmp_path / "nowhere")
    assert done.exit_code == 2
    assert "give the folder or the file that --journal means" in done.stderr
    assert run("resolve", 1, "--as", "delivered", *RESOLVED).exit_code == 2


def test_it_is_a_command_of_its_own_process_too(folder):
    command = [sys.executable, "-m", "thecabench", "doses", "--journal", str(folder), "--open", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert [len(pump["doses"]) for pump in json.loads(done.stdout)["pumps"]] == [1, 3]
