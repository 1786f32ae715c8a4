"""The recorder: no byte is lost or changed, times and directions hold, and a slow or full disk holds nobody up."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.wire.pcapng import CaptureReader, CaptureWriter
from bench.wire.recorder import QUIET_S, WireRecorder
from bench.wire.runs import LONGEST_RUN_BYTES, RunCutter
from driver.transport.tapped import Direction, Tapped
from protocol import StatusRequest, Stop, encode

TO_DEVICE, TO_HOST = Direction.TO_DEVICE, Direction.TO_HOST
PATIENCE_S = 10.0
STOP, STATUS = encode(Stop(), seq=7), encode(StatusRequest(), seq=8)

some_bytes = st.binary(max_size=40) | st.lists(st.sampled_from([0, 0, 1, 255]), max_size=40).map(bytes)
chunks = st.lists(st.tuples(st.sampled_from(Direction), some_bytes), max_size=30)


@settings(max_examples=60)
@given(sent=chunks)
def test_any_bytes_in_any_chunking_come_back_as_the_same_streams(recordings, sent):
    with tempfile.TemporaryDirectory() as folder:
        timed = [(number * 0.01, direction, data) for number, (direction, data) in enumerate(sent)]
        packets = recordings.read(recordings.write(Path(folder) / "session.pcapng", timed))
    for direction in Direction:
        assert recordings.stream(packets, direction) == b"".join(data for way, data in sent if way is direction)
    span_ns = 10_000_000 * len(sent)
    assert all(0 <= packet.time_ns - recordings.wall_ns <= span_ns for packet in packets)


@given(data=st.lists(st.sampled_from([0, 0, 1, 255]), max_size=60).map(bytes), cuts=st.lists(st.integers(0, 60)))
def test_runs_are_the_same_in_any_chunking_and_each_holds_one_run(data, cuts):
    whole, pieces = RunCutter(), RunCutter()
    places = sorted({0, *(cut for cut in cuts if cut < len(data)), len(data)})
    runs = whole.feed(data)
    assert [run for a, b in pairwise(places) for run in pieces.feed(data[a:b])] == runs
    assert all(run.endswith(b"\0") and run.strip(b"\0") and b"\0" not in run.strip(b"\0") for run in runs)
    assert b"".join(runs) + whole.take_open() == data


def test_noise_without_a_zero_is_not_collected_for_ever():
    cutter = RunCutter()
    noise = b"\x55" * 10_000
    runs = [run for byte in noise for run in cutter.feed(bytes([byte]))]
    assert [len(run) for run in runs] == [LONGEST_RUN_BYTES + 1] * 2
    assert b"".join(runs) + cutter.take_open() == noise


def test_a_packet_has_the_time_of_its_last_byte_to_the_microsecond(recordings, tmp_path):
    halves = [(0.0, TO_DEVICE, STOP[:5]), (0.25, TO_HOST, STATUS[:4]), (0.5, TO_DEVICE, STOP[5:] + STATUS)]
    path = recordings.write(tmp_path / "a.pcapng", [*halves, (0.75, TO_HOST, STATUS[4:])])
    packets = recordings.read(path)
    assert [(packet.direction, packet.data) for packet in packets] == [
        (TO_DEVICE, STOP), (TO_DEVICE, STATUS), (TO_HOST, STATUS),
    ]  # fmt: skip
    times_us = [round((packet.time_ns - recordings.wall_ns) / 1000) for packet in packets]
    assert times_us == [500_000, 500_000, 750_000]


def test_half_a_frame_on_a_quiet_line_is_written_as_it_is_while_the_other_direction_goes_on(recordings, tmp_path):
    talk = [(0.1 + 0.2 * number, TO_HOST, STATUS) for number in range(10)]
    path = recordings.write(tmp_path / "a.pcapng", [(0.0, TO_DEVICE, STOP[:5]), *talk, (2.0, TO_DEVICE, STOP[5:])])
    packets = recordings.read(path)
    first = next(number for number, packet in enumerate(packets) if packet.direction is TO_DEVICE)
    assert packets[first].data == STOP[:5]
    assert packets[first].time_ns == recordings.wall_ns
    written_after_s = (packets[first - 1].time_ns - recordings.wall_ns) / 1e9
    assert QUIET_S <= written_after_s < QUIET_S + 0.3
    assert recordings.stream(packets, TO_DEVICE) == STOP


def test_the_file_says_who_recorded_what_and_how_it_ended(tmp_path):
    path = tmp_path / "a.pcapng"
    recorder = WireRecorder(path, port="socket://pump:5410")
    recorder.tap(TO_DEVICE, STOP)
    recorder.__exit__(RuntimeError, RuntimeError("the script failed"), None)
    with path.open("rb") as file:
        reader = CaptureReader(file, "a.pcapng")
        assert len(list(reader)) == 1
    assert reader.application.startswith("thecabench")
    assert reader.interface_names == ["socket://pump:5410"]
    assert reader.ended == "ended by RuntimeError: the script failed"
    assert reader.torn is None


def test_a_recording_is_never_overwritten(tmp_path):
    path = tmp_path / "a.pcapng"
    path.write_bytes(b"precious")
    with pytest.raises(FileExistsError):
        WireRecorder(path, port="p")
    assert path.read_bytes() == b"precious"


@pytest.mark.real_port
@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is a Unix thing")
def test_all_packets_before_kill_9_are_in_the_file(recordings, tmp_path):
    path = tmp_path / "killed.pcapng"
    program = (
        "import sys, threading\n"
        "from bench.wire.recorder import WireRecorder\n"
        "from driver.transport.tapped import Direction\n"
        "done = threading.Event()\n"
        "recorder = WireRecorder(sys.argv[1], port='p', on_packet=lambda p: recorder.packets == 500 and done.set())\n"
        "[recorder.tap(Direction.TO_HOST, bytes.fromhex(sys.argv[2])) for _ in range(500)]\n"
        "done.wait(20)\n"
        "print('written', flush=True)\n"
        "threading.Event().wait(60)\n"
    )
    command = [sys.executable, "-c", program, str(path), STATUS.hex()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "written\n"
        finally:
            process.kill()
    packets = recordings.read(path)
    assert recordings.stream(packets, TO_HOST) == STATUS * 500


def test_a_disk_that_stands_still_holds_no_byte_back_and_loses_none(recordings, tmp_path, monkeypatch):
    gate, written = threading.Event(), CaptureWriter.packet

    def slow(self, packet):
        assert gate.wait(PATIENCE_S)
        written(self, packet)

    monkeypatch.setattr(CaptureWriter, "packet", slow)
    path = tmp_path / "a.pcapng"
    with WireRecorder(path, port="p") as recorder:
        for _ in range(1000):
            recorder.tap(TO_DEVICE, STOP)
        assert recorder.packets == 0
        gate.set()
    assert recordings.stream(recordings.read(path), TO_DEVICE) == STOP * 1000


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_told_once_and_the_tap_goes_on(recordings, tmp_path):
    path = tmp_path / "a.pcapng"
    told, seen = [], []
    with WireRecorder(path, port="p", on_failure=told.append, on_packet=seen.append) as recorder:
        full = os.open("/dev/full", os.O_WRONLY)
        os.dup2(full, recorder._file.fileno())
        os.close(full)
        for _ in range(3):
            recorder.tap(TO_DEVICE, STOP)
    assert told == [recorder.failure]
    assert told[0] == f"the recording in {path} ended early: No space left on device"
    assert len(seen) == 3
    assert recordings.read(path) == []


class Cable:
    """A transport of bytes that are there already."""

    name = "cable"

    def __init__(self, waiting=b"", failing=False):
        self.waiting, self.written, self.failing, self.closed = waiting, [], failing, False

    @property
    def in_waiting(self):
        return len(self.waiting)

    def write(self, data):
        if self.failing:
            raise OSError("unplugged")
        self.written.append(data)

    def read(self, timeout_s):
        data, self.waiting = self.waiting, b""
        return data

    def close(self):
        self.closed = True


def test_a_tapped_transport_passes_everything_on_and_tells_of_each_chunk():
    heard = []
    cable = Cable(b"abc")
    tapped = Tapped(cable, lambda *chunk: heard.append(chunk))
    assert (tapped.name, tapped.in_waiting, tapped.read(0.0), tapped.read(0.0)) == ("cable", 3, b"abc", b"")
    tapped.write(b"xyz")
    tapped.close()
    assert cable.written == [b"xyz"]
    assert cable.closed
    assert heard == [(TO_HOST, b"abc"), (TO_DEVICE, b"xyz")]


def test_a_write_that_fails_was_told_before_because_some_of_it_may_have_crossed():
    heard = []
    with pytest.raises(OSError, match="unplugged"):
        Tapped(Cable(failing=True), lambda *chunk: heard.append(chunk)).write(b"xyz")
    assert heard == [(TO_DEVICE, b"xyz")]
