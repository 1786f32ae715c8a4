"""The journal survives crashes and full disks, and is never mistaken for another pump's."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from driver import Journal, JournalError, JournalForeign, RealStorage
from driver.journal import default_directory

PATH = Path("/j/P-1.jsonl")


@pytest.fixture
def journal(disk):
    """A journal of pump P-1 with a finished bolus, a running infusion and an id that was only taken."""
    journal = Journal.in_directory("/j", disk)
    journal.bind("P-1")
    first = journal.take_id(0, "bolus", {"volume_ul": 5.0})
    journal.commit(first, "bolus", {"volume_ul": 5.0, "rate_ul_per_h": 1000.0})
    journal.outcome(first, "done", 5.0, 5.0)
    second = journal.take_id(0, "continuous", {"rate_ul_per_h": 20.0})
    journal.commit(second, "continuous", {"rate_ul_per_h": 20.0})
    journal.outcome(second, "running", 0.0, 0.0)
    journal.take_id(0, "bolus", {"volume_ul": 1.0})
    return journal


def reread(disk, serial_number="P-1"):
    journal = Journal.in_directory("/j", disk)
    journal.bind(serial_number)
    return journal


def test_what_was_committed_and_has_no_end_is_unresolved_after_a_restart(journal, disk):
    again = reread(disk)
    assert list(again.unresolved()) == [2]
    assert again.values(2) == {"rate_ul_per_h": 20.0}
    assert again.highest_id == 3
    assert again.notices == []


def test_each_record_names_pump_and_wall_time_and_is_plain_json(journal, disk):
    records = [json.loads(line) for line in disk.files[PATH].decode().splitlines()]
    assert records[0]["record"] == "journal"
    assert {record["serial_number"] for record in records} == {"P-1"}
    assert all(record["wall"].endswith("+00:00") for record in records)


def test_ids_rise_above_the_pumps_own(journal):
    assert journal.take_id(99, "bolus", {}) == 100
    assert journal.take_id(99, "bolus", {}) == 101


def test_a_journal_of_another_pump_is_refused_with_both_names(journal, disk):
    disk.files[Path("/j/P-2.jsonl")] = disk.files[PATH]
    with pytest.raises(JournalForeign, match=r"P-2\.jsonl: line 1 is about pump P-1, this one is P-2"):
        reread(disk, "P-2")


def test_each_pump_has_a_file_of_its_own_whatever_its_serial_number(disk):
    for serial_number in ("A/1", "../A 1", "Ä"):
        reread(disk, serial_number).take_id(0, "bolus", {})
    assert sorted(path.name for path in disk.files) == ["%C3%84.jsonl", "..%2FA 1.jsonl", "A%2F1.jsonl"]
    assert {path.parent for path in disk.files} == {Path("/j")}


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_file_cut_anywhere_is_read_to_its_last_whole_record_and_can_be_continued(journal, disk, data):
    whole = disk.files[PATH]
    try:
        cut = data.draw(st.integers(0, len(whole)))
        disk.files[PATH] = whole[:cut]
        again = reread(disk)
        complete = whole[:cut].count(b"\n")
        assert len(again.notices) <= 1
        assert again.highest_id <= 3
        id_ = again.take_id(0, "bolus", {"volume_ul": 2.0})
        again.commit(id_, "bolus", {"volume_ul": 2.0})
        third = reread(disk)
        assert id_ in third.unresolved()
        assert third.notices == []
        assert third.highest_id == id_
        assert disk.files[PATH].count(b"\n") > complete
    finally:
        disk.files[PATH] = whole


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rooms=st.lists(st.integers(0, 400), min_size=1, max_size=4))
def test_a_disk_that_fills_again_and_again_never_damages_what_was_durable(journal, disk, rooms):
    whole = disk.files[PATH]
    try:
        again = reread(disk)
        durable = []
        for room in rooms:
            disk.room = room
            try:
                id_ = again.take_id(0, "bolus", {"volume_ul": 2.0})
                again.commit(id_, "bolus", {"volume_ul": 2.0})
                durable.append(id_)
            except JournalError:
                continue
        disk.room = None
        id_ = again.take_id(0, "bolus", {})
        again.commit(id_, "bolus", {})
        third = reread(disk)
        assert set(durable) | {2, id_} <= set(third.unresolved())
        assert third.highest_id == id_
    finally:
        disk.room = None
        disk.files[PATH] = whole


def test_an_outcome_that_could_not_be_written_is_not_known_and_can_be_noted_again(journal, disk):
    disk.room = 0
    with pytest.raises(JournalError):
        journal.outcome(2, "resolved", None, None, by="R. Vogel")
    assert list(journal.unresolved()) == [2]
    disk.room = None
    journal.outcome(2, "resolved", None, None, by="R. Vogel")
    assert journal.state(2) == reread(disk).state(2) == "resolved"
    last = json.loads(disk.files[PATH].splitlines()[-1])
    assert last["by"] == "R. Vogel"
    assert not [key for key in last if key.startswith("delivered")]


def test_a_torn_end_is_reported(journal, disk):
    disk.files[PATH] = disk.files[PATH][:-20]
    [notice] = reread(disk).notices
    assert notice.endswith("line 8 was cut short; what it would have told was never acted on")


def test_damage_in_the_middle_is_not_forgiven(journal, disk):
    lines = disk.files[PATH].split(b"\n")
    lines[2] = lines[2][:-5]
    disk.files[PATH] = b"\n".join(lines)
    with pytest.raises(JournalError, match="line 3 is damaged; restore the file"):
        reread(disk)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"record":"intent","serial_number":"P-1","id":1}\n', "does not begin with a journal record"),
        ('{"record":"journal","serial_number":"P-1","version":9}\n', "journal version 9, this program writes 1"),
        ('{"record":"journal","serial_number":"P-1","version":1}\n{"record":"x","serial_number":"P-1"}\n', "line 2 is"),
        ('{"a":1}\n', "line 1 is about pump None"),
    ],
)
def test_a_file_that_is_no_journal_is_refused(disk, text, sentence):
    disk.files[PATH] = text.encode()
    with pytest.raises(JournalError, match=sentence):
        reread(disk)


def test_a_disk_that_cannot_be_read_is_named(disk):
    disk.files[PATH] = b""
    disk.read = lambda path: (_ for _ in ()).throw(OSError("Input/output error"))
    with pytest.raises(JournalError, match=r"/j/P-1\.jsonl: the journal cannot be read \(Input/output error\)"):
        reread(disk)


def test_the_default_place_is_this_users_state_directory(monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    monkeypatch.setenv("LOCALAPPDATA", "/state")
    assert default_directory() == Path("/state/thecabench/journals")
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.delenv("LOCALAPPDATA")
    assert default_directory().parts[-2:] == ("thecabench", "journals")
    assert default_directory().is_relative_to(Path.home())


def test_the_real_disk_keeps_a_journal(tmp_path):
    path = tmp_path / "deep" / "one.jsonl"
    journal = Journal.in_file(path)
    journal.bind("P-1")
    journal.take_id(0, "bolus", {"volume_ul": 1.5})
    again = Journal.in_file(path)
    again.bind("P-1")
    assert again.highest_id == 1
    assert len(path.read_bytes().splitlines()) == 2


def test_a_journal_is_read_afresh_for_each_opening(journal, disk):
    again = reread(disk)
    again.outcome(2, "stopped", 1.0, 1.0)
    journal.bind("P-1")
    assert journal.unresolved() == {}
    disk.files[PATH] = b""
    journal.bind("P-1")
    assert journal.state(1) is None
    assert journal.take_id(0, "bolus", {}) == 4
    assert reread(disk).highest_id == 4


def test_a_journal_is_not_lent_to_another_pump(journal, disk):
    with pytest.raises(JournalForeign, match=r"P-1\.jsonl: this is the journal of pump P-1; make another for P-2"):
        journal.bind("P-2")
    assert Path("/j/P-2.jsonl") not in disk.files


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot open a folder")
def test_on_the_real_disk_every_new_name_is_durable_before_the_first_record(tmp_path, monkeypatch):
    synced = []
    fsync = os.fsync
    monkeypatch.setattr("os.fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_ino) or fsync(descriptor))
    path = tmp_path / "deep" / "deeper" / "one.jsonl"
    RealStorage().append_and_sync(path, b"first")
    file, *folders = [each.stat().st_ino for each in (path, path.parent, path.parent.parent, tmp_path)]
    assert synced[-1] == file
    assert sorted(synced[:-1]) == sorted(folders)
    RealStorage().append_and_sync(path, b"second")
    assert synced[len(folders) + 1 :] == [file]
    assert path.read_bytes() == b"firstsecond"
