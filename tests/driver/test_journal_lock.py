"""A journal is for one at a time: another process, or another opening in this one, is told who has it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from driver import Journal, JournalError, JournalLocked, RealStorage
from driver.file_lock import FileLock, LockHeld
from driver.journal_line import line_of

ROOT = Path(__file__).parents[2]
HOLDS = """
import sys
from driver import Journal
journal = Journal.in_file(sys.argv[1])
journal.bind("P-1")
print("held", flush=True)
sys.stdin.read()
journal.release()
"""
DOSES = """
import sys
from driver import Journal
journal = Journal.in_file(sys.argv[1])
journal.bind("P-1")
while True:
    id_ = journal.take_id(0, "bolus", {"volume_ul": 5.0})
    journal.commit(id_, "bolus", {"volume_ul": 5.0}, id_ + 1)
    print(id_, flush=True)
    journal.outcome(id_, "done", 5.0, 5.0)
    print(-id_, flush=True)
"""


def another_process(script, path):
    return subprocess.Popen(
        [sys.executable, "-c", script, str(path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journals" / "P-1.jsonl"


@pytest.fixture
def holder(path):
    """Another process that has the journal open."""
    process = another_process(HOLDS, path)
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.communicate()


def bound(path):
    journal = Journal.in_file(path)
    journal.bind("P-1")
    return journal


def test_another_process_is_named_with_its_number_and_since_when(path, holder):
    with pytest.raises(JournalLocked) as caught:
        bound(path)
    who = rf"in use by process {holder.pid} since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d\+00:00"
    assert re.search(who, str(caught.value))
    assert str(caught.value).endswith("nothing was dosed")
    assert not path.exists()


def test_a_process_that_ends_gives_its_journal_back(path, holder):
    holder.communicate(b"")
    bound(path).release()


def test_a_process_that_is_killed_gives_its_journal_back(path, holder):
    holder.kill()
    holder.wait()
    bound(path).release()


@pytest.mark.skipif(os.name == "nt", reason="Windows removes no file that is open")
def test_who_lost_the_lock_because_its_file_was_removed_notes_nothing_more_where_another_may(path):
    first = bound(path)
    assert first.take_id(0, "bolus", {"volume_ul": 5.0}) == 1
    Path(f"{path}.lock").unlink()
    second, before = bound(path), path.read_bytes()
    with pytest.raises(JournalError, match="the lock file beside it was removed, so somebody else may write it"):
        first.take_id(0, "bolus", {"volume_ul": 5.0})
    assert path.read_bytes() == before
    assert second.take_id(0, "bolus", {"volume_ul": 5.0}) == 2
    first.release()
    second.release()


def test_two_openings_in_one_process_are_refused_as_well(path):
    first = bound(path)
    with pytest.raises(JournalLocked, match=f"in use by process {os.getpid()} since"):
        bound(path)
    with pytest.raises(JournalLocked, match="in use by another pump of this process"):
        first.bind("P-1")
    assert first.take_id(0, "bolus", {}) == 1
    first.release()
    first.release()
    second = bound(path)
    assert second.take_id(0, "bolus", {}) == 2
    second.release()


def test_another_name_of_the_same_file_is_the_same_journal(path, tmp_path):
    first = bound(path)
    first.take_id(0, "bolus", {})
    link = tmp_path / "link.jsonl"
    link.symlink_to(path)
    with pytest.raises(JournalLocked):
        bound(link)
    first.release()


def test_what_is_locked_can_be_read(path):
    first = bound(path)
    first.take_id(0, "bolus", {})
    assert b'"intent"' in RealStorage().read(path)
    first.release()


def test_a_journal_that_cannot_be_read_is_not_kept_from_others(path):
    path.parent.mkdir()
    path.write_bytes(line_of({"a": 1}))
    for _ in range(2):
        with pytest.raises(JournalError, match="line 1 is about pump None"):
            bound(path)


def test_where_no_lock_can_be_had_the_journal_is_read_and_nothing_is_dosed(tmp_path):
    (tmp_path / "file").touch()
    journal = bound(tmp_path / "file" / "P-1.jsonl")
    assert journal.unresolved() == {}
    with pytest.raises(JournalError, match=r"cannot be locked \(.*\), and nothing is dosed without it; mend that and"):
        journal.take_id(0, "bolus", {})
    journal.release()


def test_a_holder_that_left_no_name_is_another_process(tmp_path):
    lock = FileLock(tmp_path / "a.lock", "")
    with pytest.raises(LockHeld, match="held by another process"):
        FileLock(tmp_path / "a.lock", "me")
    lock.release()
    lock.release()
    FileLock(tmp_path / "a.lock", "me").release()


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")
def test_after_kill_9_all_that_was_said_to_be_on_disk_is_there(path):
    known = []
    for told_before_the_kill in (1, 6, 37):
        process = another_process(DOSES, path)
        told = [int(process.stdout.readline()) for _ in range(told_before_the_kill)]
        process.send_signal(signal.SIGKILL)
        rest, _ = process.communicate()
        told += [int(line) for line in rest.splitlines(keepends=True) if line.endswith(b"\n")]
        known += told
        journal = bound(path)
        for id_ in told:
            entry = journal.entry(abs(id_))
            assert entry.token == abs(id_) + 1
            assert id_ > 0 or entry.state == "done"
        assert len(journal.unresolved()) <= 3
        assert journal.highest_id >= max(told)
        journal.release()
    committed = [id_ for id_ in known if id_ > 0]
    assert committed == sorted(set(committed))
