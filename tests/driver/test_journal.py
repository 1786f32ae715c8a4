"""The journal survives crashes and full disks, and is never mistaken for another pump's."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from driver import Journal, JournalError, JournalForeign, RealStorage
from driver.journal import ROOM_PER_DOSE_BYTES, default_directory
from driver.journal_line import line_of

PATH = Path("/j/P-1.jsonl")
FLEX = {"steps": [{"days": 127, "start_min": 1439, "rate_ul_per_h": 20.0}] * 48}


@pytest.fixture
def journal(disk):
    """A journal of pump P-1 with a finished bolus, a running infusion and an id that was only taken."""
    journal = Journal.in_directory("/j", disk)
    journal.bind("P-1")
    first = journal.take_id(0, "bolus", {"volume_ul": 5.0})
    journal.commit(first, "bolus", {"volume_ul": 5.0, "rate_ul_per_h": 1000.0}, 11)
    journal.outcome(first, "done", 5.0, 5.0)
    second = journal.take_id(0, "continuous", {"rate_ul_per_h": 20.0})
    journal.commit(second, "continuous", {"rate_ul_per_h": 20.0}, 2**64 - 1)
    journal.outcome(second, "running", 0.0, 0.0)
    journal.take_id(0, "bolus", {"volume_ul": 1.0})
    journal.release()
    return journal


def written(*records):
    return b"".join(map(line_of, records))


def reread(disk, serial_number="P-1"):
    """As the next process reads it, the one before having been killed."""
    disk.kill()
    journal = Journal.in_directory("/j", disk)
    journal.bind(serial_number)
    return journal


def test_what_was_committed_and_has_no_end_is_unresolved_after_a_restart(journal, disk):
    again = reread(disk)
    assert list(again.unresolved()) == [2]
    assert again.values(2) == {"rate_ul_per_h": 20.0}
    assert (again.entry(1).token, again.entry(2).token) == (11, 2**64 - 1)
    assert again.highest_id == 3
    assert again.notices == []


def test_each_record_names_pump_and_wall_time_and_is_plain_json(journal, disk):
    records = [json.loads(line) for line in disk.files[PATH].decode().rstrip().splitlines()]
    assert records[0]["record"] == "journal"
    assert {record["serial_number"] for record in records} == {"P-1"}
    assert all(record["wall"].endswith("+00:00") for record in records)


def test_ids_rise_above_the_pumps_own(disk):
    journal = reread(disk)
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


def without_padding(data):
    return data.rstrip(b"\n") + b"\n"


@pytest.mark.parametrize("padding", [b"", b"\n" * 700], ids=["cut off", "torn before the room kept"])
def test_a_file_torn_at_any_byte_is_read_to_its_last_whole_record_and_can_be_continued(journal, disk, padding):
    whole = without_padding(disk.files[PATH])
    for cut in range(len(whole)):
        disk.files[PATH] = whole[:cut] + padding
        again = reread(disk)
        is_torn = cut > 0 and whole[cut - 1 : cut + 1].count(b"\n") == 0
        assert len(again.notices) == is_torn
        known = again.unresolved().keys() | {id_ for id_ in (1, 2, 3) if again.state(id_) == "done"}
        assert again.highest_id <= 3
        id_ = again.take_id(0, "bolus", {"volume_ul": 2.0})
        again.commit(id_, "bolus", {"volume_ul": 2.0}, 5)
        third = reread(disk)
        assert third.notices == []
        assert third.highest_id == id_
        assert third.unresolved().keys() | {i for i in (1, 2, 3) if third.state(i) == "done"} == known | {id_}


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
                again.commit(id_, "bolus", {"volume_ul": 2.0}, 5)
                durable.append(id_)
            except JournalError:
                continue
        disk.room = None
        id_ = again.take_id(0, "bolus", {})
        again.commit(id_, "bolus", {}, 5)
        third = reread(disk)
        assert set(durable) | {2, id_} <= set(third.unresolved())
        assert third.highest_id == id_
    finally:
        disk.room = None
        disk.files[PATH] = whole


def test_an_outcome_that_could_not_be_written_is_not_known_and_can_be_noted_again(journal, disk):
    again = reread(disk)
    disk.broken = True
    with pytest.raises(JournalError, match="cannot be written"):
        again.outcome(2, "stopped", 1.0, 2.0)
    assert list(again.unresolved()) == [2]
    disk.broken = False
    again.outcome(2, "stopped", 1.0, 2.0)
    assert again.state(2) == reread(disk).state(2) == "stopped"


def test_a_write_that_was_torn_by_a_full_disk_is_gone_on_behind_and_never_mixed_with(journal, disk):
    """The room kept is written as it is used up, so that what was torn lies before what comes next."""
    data = without_padding(disk.files[PATH])
    for room in range(1, 400):
        disk.files[PATH] = data
        again = reread(disk)
        disk.room = room
        with pytest.raises(JournalError):
            again.outcome(2, "stopped", 1.0, 2.0)
        disk.room = None
        again.outcome(2, "stopped", 1.0, 1.5)
        third = reread(disk)
        assert (third.state(2), third.entry(2).bounds_ul, third.highest_id) == ("stopped", (1.0, 1.5), 3)


@pytest.mark.parametrize("failure", [KeyboardInterrupt, OSError("Input/output error")], ids=["interrupt", "disk"])
def test_a_long_record_that_was_not_wholly_written_leaves_no_trace_behind_the_short_one_after_it(
    journal, disk, failure
):
    data, write = disk.files[PATH], disk.write_and_sync
    for kept in range(0, 2600, 13):
        disk.files[PATH] = data
        again = reread(disk)
        id_ = again.take_id(0, "flex", FLEX)

        def torn(path, offset, record, kept=kept):
            disk.write_and_sync = write
            write(path, offset, record[:kept])
            raise failure

        disk.write_and_sync = torn
        with pytest.raises((KeyboardInterrupt, JournalError)):
            again.commit(id_, "flex", FLEX, 5)
        again.outcome(2, "stopped", 1.0, 1.5)
        third = reread(disk)
        assert third.notices == []
        assert (third.state(2), third.highest_id) == ("stopped", id_)
        assert third.state(id_) in (None, "")


def test_a_torn_end_is_reported(journal, disk):
    disk.files[PATH] = without_padding(disk.files[PATH])[:-20]
    [notice] = reread(disk).notices
    assert notice.endswith("line 8 was cut short; what it would have told was never acted on")


def test_damage_in_the_middle_is_not_forgiven(journal, disk):
    lines = disk.files[PATH].split(b"\n")
    lines[2] = lines[2][:-5]
    disk.files[PATH] = b"\n".join(lines)
    with pytest.raises(JournalError, match="line 3 is damaged; restore the file"):
        reread(disk)


def test_a_last_record_that_was_whole_and_is_damaged_now_is_never_taken_for_one_that_was_cut_short(journal, disk):
    """It was acted on: the bolus that it tells of may have been delivered."""
    again = reread(disk)
    again.commit(3, "bolus", {"volume_ul": 1.0}, 5)
    written = without_padding(disk.files[PATH])
    for damaged in (b'"comm\x02t"', b'"comm"t"', b'"com'):
        disk.files[PATH] = written[:-200] + written[-200:].replace(b'"commit"', damaged) + b"\n" * 700
        with pytest.raises(JournalError, match=r"line 9 is damaged; restore the file or move it away by hand"):
            reread(disk)


def test_a_record_that_is_damaged_is_not_forgiven_because_the_one_behind_it_was_cut_short(journal, disk):
    disk.files[PATH] = without_padding(disk.files[PATH]) + b'{"record":"outc'
    reread(disk).outcome(2, "stopped", 1.0, 1.5)
    assert reread(disk).unresolved() == {}
    lines = disk.files[PATH].split(b"\n")
    lines[6] = lines[6].replace(b'"outcome"', b'"ou"come"')
    lines[7] = lines[7].replace(b'"intent"', b'"inte\x0et"')
    disk.files[PATH] = b"\n".join(lines)
    with pytest.raises(JournalError, match="line 7 is damaged"):
        reread(disk)


@pytest.mark.parametrize(
    "content", [b"Notes on pump P-1\n", b"# one\n\ntwo\n", bytes(range(1, 256)), b"[" * 100_000, b'"text"\n']
)
def test_a_file_that_never_was_a_journal_is_refused_and_not_written_to(disk, content):
    disk.files[PATH] = content
    with pytest.raises(JournalError, match="line 1 is damaged"):
        reread(disk)
    assert disk.files[PATH] == content


@pytest.mark.parametrize("left", [b"\0" * 90, b'{"record":"out' + b"\0" * 90, b"\n" * 40 + b'"delivered_low_ul":1.0}'])
def test_what_a_power_cut_leaves_of_a_record_is_gone_on_behind(journal, disk, left):
    """Its beginning, zeros in place of what did not reach the disk, or its end behind room that was kept."""
    disk.files[PATH] = without_padding(disk.files[PATH]) + left + b"\n" * 700
    again = reread(disk)
    assert len(again.notices) == 1
    assert again.take_id(0, "bolus", {}) == 4
    assert (reread(disk).highest_id, list(reread(disk).unresolved())) == (4, [2])


HEAD = {"record": "journal", "serial_number": "P-1", "wall": "w", "version": 2}
INTENT = {"record": "intent", "serial_number": "P-1", "wall": "w", "id": 1, "kind": "bolus", "asked": {}}
COMMIT = {**INTENT, "record": "commit", "values": {"volume_ul": 5.0}, "token": 5}
OUTCOME = {**INTENT, "record": "outcome", "state": "done", "delivered_low_ul": 5.0, "delivered_high_ul": 5.0}


@pytest.mark.parametrize(
    "wrong",
    [
        {**INTENT, "id": 1e300}, {**INTENT, "id": -1}, {**INTENT, "id": "1"}, {**INTENT, "id": 2**64},
        {**INTENT, "asked": {"rate_ul_per_h": "fast"}}, {**COMMIT, "values": {"volume_ul": None}},
        {**COMMIT, "values": {"steps": [1]}}, {**COMMIT, "values": [1]}, {**COMMIT, "token": "five"},
        {name: value for name, value in COMMIT.items() if name != "token"},
        {**OUTCOME, "delivered_low_ul": 6.0}, {**OUTCOME, "delivered_low_ul": -1.0}, {**OUTCOME, "id": None},
    ],
)  # fmt: skip
def test_a_record_that_cannot_be_is_named_by_its_line_with_what_to_do(disk, wrong):
    disk.files[PATH] = written(HEAD, INTENT, wrong)
    with pytest.raises(JournalError, match=r"line 3 is no journal record \(.+\); restore the file or move it away"):
        reread(disk)


def test_a_dose_whose_volume_the_journal_does_not_tell_is_bounded_by_nothing(journal, disk):
    again = reread(disk)
    again.commit(3, "bolus", {}, 5)
    assert reread(disk).entry(3).bounds_ul == (0.0, math.inf)


def test_where_no_id_is_left_the_journal_says_so_and_stays_readable(journal, disk):
    again = reread(disk)
    assert again.take_id(2**64 - 2, "bolus", {}) == 2**64 - 1
    before = disk.files[PATH]
    with pytest.raises(JournalError, match="no command id is left"):
        again.take_id(0, "bolus", {})
    with pytest.raises(JournalError, match="no command id is left"):
        reread(disk).take_id(2**64 - 1, "bolus", {})
    assert disk.files[PATH] == before


@pytest.mark.parametrize(
    ("records", "sentence"),
    [
        ([INTENT], "line 1 is no journal record .*the file does not begin with a journal record"),
        ([{**HEAD, "version": 9}], "journal version 9, this program writes 2"),
        ([HEAD, {"record": "x", "serial_number": "P-1"}], "line 2 is no journal record .*unknown record 'x'"),
        ([{"a": 1}], "line 1 is about pump None"),
    ],
)
def test_a_file_that_is_no_journal_is_refused(disk, records, sentence):
    disk.files[PATH] = written(*records)
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


def test_a_journal_is_read_afresh_for_each_opening(journal, disk):
    again = reread(disk)
    again.outcome(2, "stopped", 1.0, 1.0)
    again.release()
    journal.bind("P-1")
    assert journal.unresolved() == {}
    journal.release()
    disk.files[PATH] = b""
    journal.bind("P-1")
    assert journal.state(1) is None
    assert journal.take_id(0, "bolus", {}) == 4
    assert reread(disk).highest_id == 4


def test_a_journal_is_not_lent_to_another_pump(journal, disk):
    with pytest.raises(JournalForeign, match=r"P-1\.jsonl: this is the journal of pump P-1; make another for P-2"):
        journal.bind("P-2")
    assert Path("/j/P-2.jsonl") not in disk.files


def test_a_journal_that_was_closed_takes_nothing(journal, disk):
    before = disk.files[PATH]
    with pytest.raises(JournalError, match="this journal was closed; open the pump again"):
        journal.take_id(0, "bolus", {})
    assert disk.files[PATH] == before


def test_an_earlier_programs_journal_is_refused_with_what_to_do_and_not_written_to(journal, disk):
    old = [json.loads(line) for line in disk.files[PATH].decode().rstrip().splitlines()]
    old = [{name: value for name, value in record.items() if name != "crc32c"} for record in old]
    content = "".join(json.dumps(record) + "\n" for record in [{**old[0], "version": 1}, *old[1:]]).encode()
    disk.files[PATH] = content
    with pytest.raises(JournalError, match=r"line 1 says journal version 1, .* version 2 alone: settle the open doses"):
        reread(disk)
    assert disk.files[PATH] == content


def test_room_for_the_outcomes_of_all_open_doses_is_on_the_disk_before_an_id_is_given(disk):
    journal = reread(disk)
    for number in range(1, 8):
        id_ = journal.take_id(0, "bolus", {"volume_ul": 5.0})
        disk.room = 0
        journal.commit(id_, "bolus", {"volume_ul": 5.0}, 7)
        disk.room = None
        assert len(disk.files[PATH]) - len(without_padding(disk.files[PATH])) >= number * ROOM_PER_DOSE_BYTES
    disk.room = 0
    for id_ in range(1, 8):
        journal.outcome(id_, "running", 0.1, 0.2)
        journal.outcome(id_, "interrupted", 0.123456789012345, 4.123456789012345)
    assert reread(disk).unresolved() == {}


def test_the_longest_outcomes_there_can_be_fit_into_the_room_of_a_dose(disk):
    journal = reread(disk, "\x01" * 24)
    id_ = journal.take_id(2**64 - 3, "patient_bolus", {"volume_ul": 5.0})
    journal.commit(id_, "patient_bolus", {"volume_ul": 5.0}, 2**64 - 1)
    disk.room = 0
    journal.outcome(id_, "running", 1.2345678901234567e-300, 2.2345678901234567e-300)
    journal.outcome(id_, "interrupted", 1.2345678901234567e-300, 2.2345678901234567e-300)
    assert reread(disk, "\x01" * 24).unresolved() == {}


LONG_FLEX = {"steps": [{"days": 127, "start_min": 1439, "rate_ul_per_h": 19.999999523162842}] * 48}


@pytest.mark.parametrize("doses_before", range(12))
def test_an_id_once_given_is_committed_and_ended_however_full_the_disk_is(disk, doses_before):
    journal = reread(disk)
    for _ in range(doses_before):
        journal.outcome(journal.take_id(0, "bolus", {"volume_ul": 5.0}), "refused", 0.0, 0.0)
    id_ = journal.take_id(0, "flex", FLEX)
    disk.room = 0
    journal.commit(id_, "flex", LONG_FLEX, 7)
    journal.outcome(id_, "stopped", 1.0, 2.0)
    assert reread(disk).state(id_) == "stopped"


def test_the_real_disk_keeps_a_journal(tmp_path):
    path = tmp_path / "deep" / "one.jsonl"
    journal = Journal.in_file(path)
    journal.bind("P-1")
    journal.take_id(0, "bolus", {"volume_ul": 1.5})
    journal.release()
    again = Journal.in_file(path)
    again.bind("P-1")
    again.release()
    assert again.highest_id == 1
    assert len(path.read_bytes().rstrip().splitlines()) == 2


def test_a_file_that_somebody_else_cut_short_is_not_written_beyond_its_end(tmp_path):
    path = tmp_path / "one.jsonl"
    journal = Journal.in_file(path)
    journal.bind("P-1")
    journal.take_id(0, "bolus", {"volume_ul": 1.5})
    path.write_bytes(b"")
    with pytest.raises(JournalError, match="cut short by somebody else"):
        journal.take_id(0, "bolus", {"volume_ul": 1.5})
    journal.release()
    assert b"\0" not in path.read_bytes()


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot open a folder")
def test_on_the_real_disk_every_new_name_is_durable_before_the_first_record(tmp_path, monkeypatch):
    synced = []
    fsync = os.fsync
    monkeypatch.setattr("os.fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_ino) or fsync(descriptor))
    path = tmp_path / "deep" / "deeper" / "one.jsonl"
    RealStorage().write_and_sync(path, 0, b"first.....")
    file, *folders = [each.stat().st_ino for each in (path, path.parent, path.parent.parent, tmp_path)]
    assert synced[-1] == file
    assert sorted(synced[:-1]) == sorted(folders)
    RealStorage().write_and_sync(path, 5, b"second")
    assert synced[len(folders) + 1 :] == [file]
    assert path.read_bytes() == b"firstsecond"
