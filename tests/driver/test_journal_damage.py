"""What was written to a journal and has changed since is noticed; only what a crash can have left is forgiven."""

from __future__ import annotations

import contextlib
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driver import Journal, JournalError
from driver.journal_file import read_contents

from .conftest import Disk

PATH = Path("/j")
ROOM = b"\n" * 40
BLANKS = [b"\n", b"\0"]
MOST_BLANK_BYTES = 5


def journal_with(*doses):
    """The bytes of a journal of pump P-1, without its room; a dose is its kind, its values and its outcomes."""
    disk = Disk()
    journal = Journal.in_file(PATH, disk)
    journal.bind("P-1")
    for kind, values, *outcomes in doses:
        id_ = journal.take_id(0, kind, values)
        journal.commit(id_, kind, values, 2**63 + id_)
        for outcome in outcomes:
            journal.outcome(id_, *outcome)
    return disk.files[PATH].rstrip(b"\n") + b"\n"


BOLUS = {"volume_ul": 5.0, "rate_ul_per_h": 1000.0}
FLEX = {"steps": [{"days": 127, "start_min": 30 * n, "rate_ul_per_h": 20.0} for n in range(48)]}
OPEN = journal_with(("bolus", BOLUS, ("running", 0.0, 0.0), ("done", 5.0, 5.0)), ("continuous", BOLUS))
ENDED = journal_with(("continuous", {"rate_ul_per_h": 20.0}, ("stopped", 1.5, 2.5)))
LONG = journal_with(("flex", FLEX))
JOURNALS = {"last dose open": OPEN, "last dose ended": ENDED, "one of 48 steps": LONG}
WHICH = pytest.mark.parametrize("written", JOURNALS.values(), ids=list(JOURNALS))


def told(data):
    return read_contents(PATH, data, "P-1")[0]


def flipped(data, bits):
    changed = bytearray(data)
    for bit in bits:
        changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def pieces(line):
    """Of a line: any stretch of its bytes."""
    return st.tuples(st.integers(0, len(line)), st.integers(0, len(line))).map(lambda ends: line[min(ends) : max(ends)])


def goes_on(data):
    """What a process says of the journal that finds it like this, writes on, and is followed by another."""
    disk = Disk()
    disk.files[PATH] = data
    for _ in range(2):
        disk.kill()
        journal = Journal.in_file(PATH, disk)
        journal.bind("P-1")
        id_ = journal.take_id(0, "bolus", {})
        journal.outcome(id_, "refused", 0.0, 0.0)
    return told(disk.files[PATH])


@WHICH
def test_every_flipped_bit_of_a_record_is_noticed_by_its_line_with_what_to_do(written):
    line = 1
    for place in range(len(written) - 1):
        line += written[place - 1 : place] == b"\n"
        for bit in range(8):
            with pytest.raises(JournalError, match=rf"^/j: line {line} is damaged; restore the file or move it away"):
                told(flipped(written + ROOM, [8 * place + bit]))


@WHICH
def test_a_flipped_bit_in_the_room_behind_is_noticed_or_changes_nothing(written):
    forgiven = 0
    for bit in range(8 * len(written) - 8, 8 * len(written + ROOM)):
        with contextlib.suppress(JournalError):
            assert told(flipped(written + ROOM, [bit])) == told(written)
            forgiven += 1
    assert forgiven > 200


def test_two_flipped_bits_at_the_end_of_a_record_that_is_the_last_are_noticed():
    for bits in combinations(range(8 * len(ENDED) - 176, 8 * len(ENDED) - 8), 2):
        with pytest.raises(JournalError, match="damaged"):
            told(flipped(ENDED + ROOM, bits))


@settings(deadline=None, max_examples=400)
@given(which=st.sampled_from(sorted(JOURNALS)), data=st.data())
def test_two_flipped_bits_are_noticed(which, data):
    written = JOURNALS[which]
    places = st.integers(0, 8 * len(written) - 9)
    bits = data.draw(st.lists(places, min_size=2, max_size=2, unique=True))
    with pytest.raises(JournalError, match="damaged"):
        told(flipped(written + ROOM, bits))


@settings(deadline=None, max_examples=600)
@given(which=st.sampled_from(sorted(JOURNALS)), data=st.data())
def test_a_burst_of_up_to_32_bits_is_noticed_or_changes_nothing(which, data):
    """Nothing changes where what it has left can be told from the rest; then the journal says so, and goes on."""
    written = JOURNALS[which]
    changed = bytearray(written + ROOM)
    start = data.draw(st.integers(0, 8 * len(written) - 9) | st.integers(8 * len(written) - 60, 8 * len(written) - 9))
    likely = st.sampled_from([b"\n", b"\0", b'"', b"}", b"{", b"9", b","])
    wanted = data.draw(
        st.integers(1, 2**32 - 1).map(lambda number: number.to_bytes(4, "little")) | likely.map(lambda byte: byte * 4)
    )
    if data.draw(st.booleans()):
        number = int.from_bytes(changed, "little") ^ int.from_bytes(wanted, "little") << start
        changed = number.to_bytes(len(changed), "little")
    else:
        changed[start // 8 : start // 8 + 4] = wanted
    changed = bytes(changed)
    if changed[: len(written)] == written:
        return
    with contextlib.suppress(JournalError):
        assert told(changed) == told(written)
        assert read_contents(PATH, changed)[1].notice.endswith("nothing that it tells is lost")
        assert goes_on(changed).entries.items() >= told(written).entries.items()


@pytest.mark.parametrize("behind", [b"", ROOM, b"\0" * 40], ids=["cut off", "room", "zeros"])
@WHICH
def test_a_file_that_is_cut_at_any_byte_tells_the_whole_records_before_and_at_most_that_one(written, behind):
    begun = written.rindex(b"\n", 0, -1) + 1
    for cut in range(begun, len(written)):
        contents, tail = read_contents(PATH, written[:cut] + behind)
        is_told = len(written) - 1 - cut <= MOST_BLANK_BYTES
        assert contents == told(written if is_told else written[:begun])
        assert bool(tail.notice) == (begun < cut < len(written) - 1) or behind[:1] == b"\0"
        assert goes_on(written[:cut] + behind).entries.items() >= contents.entries.items()


@pytest.mark.parametrize("blank", BLANKS, ids=["newlines", "zeros"])
@pytest.mark.parametrize("size", range(1, MOST_BLANK_BYTES + 1))
@WHICH
def test_a_record_that_was_acted_on_is_never_forgotten_because_its_end_was_blanked_out(written, blank, size):
    damaged = written[: -1 - size] + blank * size + b"\n" + ROOM
    assert told(damaged) == told(written)
    assert goes_on(damaged).entries.items() >= told(written).entries.items()


@pytest.mark.parametrize("size", range(1, MOST_BLANK_BYTES + 1))
@WHICH
def test_a_record_that_was_acted_on_is_never_forgotten_because_its_beginning_was_blanked_out(written, size):
    begun = written.rindex(b"\n", 0, -1) + 1
    damaged = written[:begun] + b"\n" * size + written[begun + size :] + ROOM
    assert told(damaged) == told(written)
    assert goes_on(damaged).entries.items() >= told(written).entries.items()


@WHICH
def test_a_record_that_was_acted_on_is_never_forgotten_because_a_piece_in_its_middle_was_blanked_out(written):
    begun = written.rindex(b"\n", 0, -1) + 1
    for size in range(1, MOST_BLANK_BYTES + 1):
        for place in range(begun + 1, len(written) - 1 - size):
            with pytest.raises(JournalError, match="damaged"):
                told(written[:place] + b"\n" * size + written[place + size :] + ROOM)


@settings(deadline=None)
@given(lines=st.lists(st.binary(max_size=60) | st.sampled_from(OPEN.splitlines()).flatmap(pieces), max_size=8))
def test_whatever_stands_in_a_file_it_is_read_or_refused_in_one_sentence(lines):
    with contextlib.suppress(JournalError):
        told(b"\n".join(lines))


def test_what_lacks_its_end_in_the_middle_of_a_journal_is_damaged():
    lines = OPEN.splitlines()
    for number in range(len(lines) - 1):
        cut = [line[:-1] if number == place else line for place, line in enumerate(lines)]
        with pytest.raises(JournalError, match=f"line {number + 1} is damaged"):
            told(b"\n".join(cut) + b"\n")
