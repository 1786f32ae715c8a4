"""Recordings under tshark with the exported dissector: one packet for each frame, named, with direction and time."""

from __future__ import annotations

import json
import shutil
import subprocess
from decimal import Decimal

import pytest

from driver.transport.tapped import Direction
from protocol import Event, EventCode, Stop, Stopped, encode
from protocol.export import FORMATS
from protocol.export.vectors import vectors

TO_DEVICE, TO_HOST = Direction.TO_DEVICE, Direction.TO_HOST
INBOUND, OUTBOUND = "0x00000001", "0x00000002"


@pytest.fixture(scope="module")
def tshark(tmp_path_factory):
    """Lines of the asked fields, one for each packet of a capture. Skipped where there is no tshark."""
    program = shutil.which("tshark")
    if program is None:
        pytest.skip("tshark is not installed: no recording was dissected (apt-get install tshark)")
    script = tmp_path_factory.mktemp("lua") / "theca.lua"
    script.write_text(FORMATS["wireshark"](), encoding="utf-8")

    def run(capture, *fields):
        named = [argument for field in fields for argument in ("-e", field)]
        command = [program, "-n", "-X", f"lua_script:{script}", "-r", str(capture), "-T", "fields", *named]
        done = subprocess.run(command, capture_output=True, check=False, timeout=50, text=True)
        assert done.returncode == 0, done.stderr
        assert "Lua" not in done.stderr, done.stderr
        return [tuple(line.split("\t")) for line in done.stdout.splitlines()]

    return run


def test_frames_that_came_in_pieces_and_in_heaps_are_dissected_one_by_one(tshark, recordings, tmp_path):
    stop, stopped = encode(Stop(), seq=7), encode(Stopped(1, 2, 3.0), seq=7)
    event = encode(Event(1, 2, EventCode.STARTED, 3), seq=0)
    heap = stopped + event + event[:9]
    path = recordings.write(
        tmp_path / "a.pcapng",
        [(0.0, TO_DEVICE, stop[:3]), (0.1, TO_DEVICE, stop[3:]), (0.2, TO_HOST, heap), (0.3, TO_HOST, event[9:])],
    )
    shown = tshark(
        path, "theca.message", "theca.seq", "frame.packet_flags_direction", "frame.time_epoch", "_ws.malformed"
    )
    begin = Decimal(recordings.wall_ns).scaleb(-9)
    assert [row[:3] for row in shown] == [
        ("Stop", "7", OUTBOUND),
        ("Stopped", "7", INBOUND),
        ("Event", "0", INBOUND),
        ("Event", "0", INBOUND),
    ]
    after_ms = [round((Decimal(row[3]) - begin) * 1000, 3) for row in shown]
    assert after_ms == [100, 200, 200, 300]
    assert all(row[4] == "" for row in shown)


def test_every_message_of_a_recorded_session_is_named_and_none_is_malformed(tshark, recordings, tmp_path):
    messages = json.loads(vectors())["messages"]
    cases = [(entry["name"], bytes.fromhex(case["wire_hex"])) for entry in messages for case in entry["cases"]]
    stream = b"".join(wire for _, wire in cases)
    starts = range(0, len(stream), 61)
    pieces = [(number * 1e-3, TO_HOST, stream[start : start + 61]) for number, start in enumerate(starts)]
    path = recordings.write(tmp_path / "a.pcapng", pieces)
    shown = tshark(path, "theca.message", "_ws.malformed", "_ws.expert.message")
    assert [row[0] for row in shown] == [name for name, _ in cases]
    assert all(row[1:] == ("", "") for row in shown)


def test_noise_is_a_packet_with_its_cause(tshark, recordings, tmp_path):
    stop = encode(Stop(), seq=7)
    path = recordings.write(tmp_path / "a.pcapng", [(0.0, TO_DEVICE, stop + b"\x09noise" + stop)])
    shown = tshark(path, "theca.message", "_ws.expert.message")
    assert [row[0] for row in shown] == ["Stop", "", "Stop"]
    assert shown[1][1].startswith("not COBS: ")
