"""The recording: what reached the disk can be read, whatever ended the run."""

from __future__ import annotations

import errno
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcap.reader import make_reader

from bench.errors import RecordingFailed
from bench.recording import FILE_NAME, Note, Reading, Recorder, Segment, entries_of, read_recording

FINITE = st.floats(allow_nan=False, allow_infinity=False)


class FullDisk(io.FileIO):
    """A file on a disk with room for some bytes only."""

    def __init__(self, path: Path, room: int) -> None:
        super().__init__(path, "wb")
        self._room = room

    def write(self, data: bytes) -> int:  # type: ignore[override]
        if len(data) > self._room:
            super().write(bytes(data)[: self._room])
            self._room = 0
            raise OSError(errno.ENOSPC, "No space left on device")
        self._room -= len(data)
        return super().write(data)


def readings(n: int) -> list[Reading]:
    return [Reading(float(index), 0.01, 100.0 + index, stable=index % 2 == 0) for index in range(n)]


@given(st.lists(st.builds(Reading, st.floats(0, 1e9), FINITE, FINITE, st.booleans()), max_size=5), st.text())
def test_what_was_added_is_read_back_in_order(tmp_path_factory: pytest.TempPathFactory, entries, text) -> None:
    folder = tmp_path_factory.mktemp("run")
    recorder = Recorder(folder)
    for entry in [*entries, Note(0.0, "note", text)]:
        recorder.add(entry)
    recorder.close()
    seen = read_recording(folder / FILE_NAME)
    assert entries_of(seen, Reading) == entries
    assert entries_of(seen, Note) == [Note(0.0, "note", text)]


def test_a_complete_file_opens_in_any_mcap_reader_with_its_schemas(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    recorder.add(Segment(1.0, "as found", "zero", 2.0, 0, 0.0, 1.0))
    recorder.close()
    with (tmp_path / FILE_NAME).open("rb") as file:
        summary = make_reader(file, validate_crcs=True).get_summary()
    assert summary is not None
    assert {channel.topic for channel in summary.channels.values()} >= {"balance", "air", "pump", "segment", "note"}
    assert all(schema.encoding == "protobuf" for schema in summary.schemas.values())


def test_a_file_cut_anywhere_gives_what_was_synced_before_the_cut(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    sizes = []
    for index, reading in enumerate(readings(300), 1):
        recorder.add(reading)
        if index % 100 == 0:
            recorder.sync()
            sizes.append((recorder.path.stat().st_size, index))
    recorder.close()
    whole = recorder.path.read_bytes()
    for size, synced in sizes:
        cut = tmp_path / "cut.mcap"
        cut.write_bytes(whole[: size + 7])
        assert entries_of(read_recording(cut), Reading) == readings(synced)


def test_a_flipped_bit_is_noticed(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    for reading in readings(100):
        recorder.add(reading)
    recorder.close()
    data = bytearray(recorder.path.read_bytes())
    data[data.find(b"balance") + 4000] ^= 0x10
    recorder.path.write_bytes(data)
    with pytest.raises(ValueError, match="not a sound recording"):
        read_recording(recorder.path)


def test_a_disk_that_fills_is_one_clear_sentence_and_what_was_synced_stays(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, opener=lambda path: FullDisk(path, 12_000))
    with pytest.raises(RecordingFailed, match=r"cannot be written: No space left on device; free the disk") as caught:  # noqa: PT012
        for reading in readings(10_000):
            recorder.add(reading)
            recorder.sync()
    assert str(tmp_path) in str(caught.value)
    recorder.close()
    kept = entries_of(read_recording(recorder.path), Reading)
    assert 20 < len(kept) < 10_000
    assert kept == readings(len(kept))


def test_a_frozen_result_is_never_written_twice(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    recorder.freeze("as_found.json", b"{}")
    with pytest.raises(FileExistsError):
        recorder.freeze("as_found.json", b"[]")
    recorder.close()
    assert (tmp_path / "as_found.json").read_bytes() == b"{}"
