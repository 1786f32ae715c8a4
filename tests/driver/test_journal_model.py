"""Whatever is done to a journal, and wherever its process is killed or its disk is full, it remembers what it said."""

from __future__ import annotations

import contextlib
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from driver import Journal, JournalError
from driver.journal import ROOM_PER_DOSE_BYTES

from .conftest import Disk

OUTCOMES = ("running", "done", "stopped", "interrupted", "failed")


class Killed(BaseException):
    """The process is no more."""


class TornDisk(Disk):
    """Tears a write of the process that is killed in it: `keeps` bytes of it survive."""

    keeps: int | None = None

    def write_and_sync(self, path: Path, offset: int, data: bytes) -> None:
        if self.keeps is None:
            super().write_and_sync(path, offset, data)
            return
        with contextlib.suppress(OSError):
            super().write_and_sync(path, offset, data[: self.keeps])
        raise Killed


class JournalOnABadDay(RuleBasedStateMachine):
    """`said` is the state of each command that a call returned for; `maybe` one whose write failed or was torn."""

    @initialize()
    def begin(self) -> None:
        self.disk = TornDisk()
        self.said: dict[int, str] = {}
        self.maybe: dict[int, set[str]] = {}
        self.given = 0
        self.was_torn = False
        self.next_process()

    def next_process(self) -> None:
        self.disk.keeps = None
        self.disk.kill()
        self.journal = Journal.in_file("/j", self.disk)
        self.journal.bind("P-1")
        assert self.journal.highest_id >= self.given
        for id_ in self.said.keys() | self.maybe.keys():
            state = self.journal.state(id_)
            assert state == self.said.get(id_) or state in self.maybe[id_], (id_, state)
            if state is not None:
                self.said[id_] = state
        self.maybe.clear()

    def attempt(self, id_: int, state: str, write) -> None:
        """One write: it is remembered if the call returned, and may be if it did not."""
        try:
            write()
        except JournalError:
            self.maybe.setdefault(id_, set()).add(state)
        except Killed:
            self.maybe.setdefault(id_, set()).add(state)
            self.was_torn = True
            self.next_process()
        else:
            self.said[id_] = state
            self.maybe.pop(id_, None)

    @rule()
    def dose(self) -> None:
        try:
            id_ = self.journal.take_id(0, "bolus", {"volume_ul": 1.0})
        except JournalError:
            return
        except Killed:
            self.was_torn = True
            self.next_process()
            return
        assert id_ > self.given
        self.given = id_
        self.attempt(id_, "", lambda: self.journal.commit(id_, "bolus", {"volume_ul": 1.0}, 7))

    @precondition(lambda self: self.journal.unresolved())
    @rule(choice=st.randoms(use_true_random=False), state=st.sampled_from(OUTCOMES))
    def end(self, choice, state: str) -> None:
        id_ = choice.choice(sorted(self.journal.unresolved()))
        if self.journal.state(id_) == state:
            return
        could_fail = self.disk.keeps is not None or self.was_torn or bool(self.maybe)
        self.attempt(id_, state, lambda: self.journal.outcome(id_, state, 0.0, 1.0))
        assert could_fail or self.said[id_] == state, "there was no room for an outcome"

    @rule(confirmed=st.booleans())
    def stop(self, confirmed: bool) -> None:
        try:
            self.journal.stop(confirmed=confirmed)
        except JournalError:
            assert self.disk.room is not None
        except Killed:
            self.was_torn = True
            self.next_process()

    @rule(room=st.none() | st.integers(0, 9000))
    def leave_room(self, room: int | None) -> None:
        self.disk.room = room

    @rule(keeps=st.integers(0, 400))
    def kill_in_the_next_write(self, keeps: int) -> None:
        self.disk.keeps = keeps

    @rule()
    def kill(self) -> None:
        self.next_process()

    @invariant()
    def what_this_process_knows_is_what_the_next_would_read(self) -> None:
        if not hasattr(self, "journal") or self.maybe:
            return
        for id_, state in self.said.items():
            assert self.journal.state(id_) == state

    @invariant()
    def there_is_room_for_the_end_of_every_open_dose(self) -> None:
        if not hasattr(self, "journal") or self.was_torn:
            return
        fresh = [id_ for id_ in self.journal.unresolved() if self.said.get(id_) == ""]
        data = self.disk.files.get(Path("/j"), b"")
        assert len(data) - len(data.rstrip(b"\n")) >= len(fresh) * ROOM_PER_DOSE_BYTES


TestJournalOnABadDay = JournalOnABadDay.TestCase
TestJournalOnABadDay.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
