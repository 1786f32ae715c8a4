"""`thecabench wire record` and `decode` as people and scripts use them; files here, real ports at the end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from click.testing import CliRunner
from cobs import cobs
from fastcrc.crc32 import iscsi

from bench.cli import cli
from bench.wire.recorder import WireRecorder
from driver import Pump, open_transport
from driver.transport.tapped import Direction, Tapped
from protocol import PairRequest, StatusRequest, Stop, Stopped, encode, encode_frame

TO_DEVICE, TO_HOST = Direction.TO_DEVICE, Direction.TO_HOST
STOP, STOPPED = encode(Stop(), seq=7), encode(Stopped(1, 2, 3.0), seq=7)
TALK = [(0.0, TO_DEVICE, STOP), (0.25, TO_HOST, b"\x05noise" + STOPPED)]
DEADLINE_S = 30.0
needs_ptys = pytest.mark.skipif(os.name == "nt", reason="ptys are a Unix thing")


def decode(*arguments, given=None):
    return CliRunner().invoke(cli, ["wire", "decode", *map(str, arguments)], input=given)


@pytest.fixture
def session(recordings, tmp_path):
    return recordings.write(tmp_path / "session.pcapng", TALK)


def test_a_recording_is_printed_with_a_heading_its_session_a_summary_and_how_it_ended(session):
    done = decode(session)
    lines = done.output.splitlines()
    assert done.exit_code == 0
    assert lines[0].startswith("First packet at 2026-11-18T11:06:40.123456789Z. --> host to device, <-- device to host")
    assert lines[1] == "    0.000000 --> Stop                 seq 7"
    assert lines[2].startswith("    0.250000 <-- REJECTED COBS (byte 0 of the stream, packet 2): not COBS: ")
    assert lines[3].endswith("delivered=3 µL  [answers Stop after 250.000 ms]")
    assert lines[4].startswith("Summary: 2 frames in 0.250 s")
    assert lines[-1] == "End of the recording: ended"


def test_json_is_one_object_a_line_the_last_the_summary(session):
    done = decode(session, "--json")
    stop, noise, stopped, last = map(json.loads, done.output.splitlines())
    assert (stop["message"], stop["direction"], stop["packet"]) == ("Stop", "host to device", 1)
    assert (noise["reject"], noise["offset"]) == ("COBS", 0)
    assert (stopped["fields"], stopped["latency_ms"]) == ({"device_time_us": 1, "steps": 2, "delivered_ul": 3.0}, 250.0)
    assert last["summary"]["frames"] == 2


@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_the_key_of_a_pairing_is_not_shown(tmp_path, as_json):
    (tmp_path / "pairing").write_bytes(encode(PairRequest(bytes(range(16))), seq=3))
    shown = CliRunner().invoke(cli, ["wire", "decode", str(tmp_path / "pairing"), "--raw", *as_json])
    assert shown.exit_code == 0
    assert "PairRequest" in shown.output
    assert "not shown" in shown.output
    assert "0001" not in shown.output.replace(" ", "")


def flipped(data, place):
    return data[:place] + bytes([data[place] ^ 0x40 or 1]) + data[place + 1 :]


def with_unknown_flag(frame):
    raw = bytearray(cobs.decode(frame.strip(b"\0"))[:-4])
    raw[0] |= 0x04
    return b"\0" + cobs.encode(bytes(raw) + iscsi(bytes(raw)).to_bytes(4, "little")) + b"\0"


KEY = bytes(range(0xA0, 0xB0))
PAIRING = encode(PairRequest(KEY), seq=3)
DAMAGED_PAIRINGS = {
    "shorter": encode_frame(PairRequest.TYPE, 3, KEY[:15]),
    "longer": encode_frame(PairRequest.TYPE, 3, KEY + b"\x01"),
    "unknown flag": with_unknown_flag(PAIRING),
    "behind a frame whose end is lost": STOP[:-1] + PAIRING[2:],
    **{f"byte {place} changed": flipped(PAIRING, place) for place in range(1, len(PAIRING) - 1)},
    **{f"byte {place} lost": PAIRING[:place] + PAIRING[place + 1 :] for place in range(1, len(PAIRING) - 1)},
    **{f"byte {place} a zero": PAIRING[:place] + b"\0" + PAIRING[place + 1 :] for place in range(1, len(PAIRING) - 1)},
}


@pytest.mark.parametrize("as_json", [[], ["--json"]])
@pytest.mark.parametrize("damaged", DAMAGED_PAIRINGS.values(), ids=DAMAGED_PAIRINGS)
def test_the_key_of_a_damaged_pairing_is_not_shown(recordings, tmp_path, damaged, as_json):
    recording = recordings.write(tmp_path / "pairing.pcapng", [(0.0, TO_DEVICE, damaged)])
    shown = decode(recording, *as_json).output.replace(" ", "")
    assert "REJECTED" in shown or '"reject"' in shown
    assert not [place for place in range(len(KEY) - 2) if KEY[place : place + 3].hex() in shown]


def test_other_damaged_requests_are_shown(recordings, tmp_path):
    damaged = flipped(encode(StatusRequest(), seq=3), 6)
    recording = recordings.write(tmp_path / "damaged.pcapng", [(0.0, TO_DEVICE, damaged)])
    assert damaged.hex(" ") in decode(recording).output
    assert json.loads(decode(recording, "--json").output.splitlines()[0])["bytes"] == damaged.hex()


def test_standard_input_and_raw_bytes_are_read_too(session, tmp_path):
    assert decode("-", given=session.read_bytes()).output == decode(session).output
    raw = tmp_path / "wire.bin"
    raw.write_bytes(STOP + STOPPED)
    done = decode("--raw", raw)
    assert done.exit_code == 0
    assert done.output.splitlines()[1:3] == [
        "--- Stop                 seq 7",
        "--- Stopped              seq 7      device_time=1 µs  steps=2  delivered=3 µL  [answers Stop]",
    ]
    assert decode("--raw", "-", given=raw.read_bytes()).output == done.output


def test_a_torn_recording_is_printed_whole_with_a_note(session):
    data = session.read_bytes()
    session.write_bytes(data[:-100])
    done = decode(session)
    assert done.exit_code == 0
    assert "are an unfinished packet: the recorder was cut off there; all before it was read" in done.output
    assert done.output.splitlines()[-1] == (
        "End of the recording: not recorded: the recorder was cut off, or is still at work"
    )


@pytest.mark.parametrize("as_json", [False, True])
def test_a_broken_recording_is_printed_up_to_there_and_ends_with_2(session, as_json):
    data = bytearray(session.read_bytes())
    place = data.index(STOPPED) - 60
    data[place:] = bytes(len(data) - place)
    session.write_bytes(data)
    done = decode(session, *["--json"] * as_json)
    assert done.exit_code == 2
    assert "Stop" in done.output.splitlines()[0 if as_json else 1]
    said = json.loads(done.output.splitlines()[-1])["error"] if as_json else done.output.splitlines()[-1]
    assert f"{session}: byte " in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("absent.pcapng",), "absent.pcapng: the file cannot be read: No such file or directory"),
        (("/",), "/: the file cannot be read: Is a directory"),
        ((__file__,), "this is no pcapng file"),
        ((), "give either a FILE or --port"),
        (("a.pcapng", "--port", "/dev/x"), "give either a FILE or --port"),
        (("--port", "/dev/x", "--raw"), "--raw is for files"),
    ],
)
def test_what_cannot_be_decoded_ends_with_2_and_one_sentence(arguments, said):
    done = decode(*arguments)
    assert (done.exit_code, "Traceback" in done.output) == (2, False)
    assert said in done.output


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--output", "{there}"), 2, "there is such a file already, and a recording is never overwritten"),
        (("--output", "{folder}/no/a.pcapng"), 2, "the recording cannot be written there: No such file or directory"),
        (("--output", "-", "--print"), 2, "standard output carries the recording"),
        (("--output", "{new}", "--listen", "socket://0.0.0.0:0"), 3, "a pump's wire is offered on this machine alone"),
        (("--output", "{new}", "--listen", "socket://127.0.0.1:{port}"), 3, "this TCP port cannot be had"),
        (("--output", "{new}", "--listen", "{there}"), 3, "is in the way of a link to a pty"),
        (("--output", "{new}", "--port", "http://x"), 3, "this is no port that can be opened"),
    ],
)
def test_a_recording_that_cannot_begin_says_why_and_leaves_no_file(tmp_path, options, code, said):
    with socket.create_server(("127.0.0.1", 0)) as pump:
        port = pump.getsockname()[1]
        there = tmp_path / "there"
        there.write_bytes(b"precious")
        known = {"there": there, "folder": tmp_path, "new": tmp_path / "new.pcapng", "port": port}
        command = ["wire", "record", "--port", f"socket://127.0.0.1:{port}"]
        done = CliRunner().invoke(cli, [*command, *(option.format(**known) for option in options)])
    assert (done.exit_code, said in done.output) == (code, True), done.output
    assert there.read_bytes() == b"precious"
    assert not (tmp_path / "new.pcapng").exists()


@contextlib.contextmanager
def running(*command, ending=signal.SIGINT):
    """A command of ours; ended like by Ctrl-C, it gives code, output and errors in `process.done`."""
    process = subprocess.Popen(
        [sys.executable, "-m", *map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
        if ending is not None and process.poll() is None:
            process.send_signal(ending)
        output, errors = process.communicate(timeout=DEADLINE_S)
        process.done = (process.returncode, output, errors)
    finally:
        process.kill()
        process.communicate()


def recording(port, *options, ending=signal.SIGINT):
    return running("thecabench", "wire", "record", "--port", port, *options, ending=ending)


def end(process):
    """Ctrl-C, and all that follows from it."""
    process.send_signal(signal.SIGINT)
    process.wait(DEADLINE_S)


@pytest.fixture
def served_pump(tmp_path):
    """Where the served mock offers its pump."""
    options = ["--rig", "sim", "--links", tmp_path / "links", "--tcp-base", "0"]
    with running("firmware_mock", "serve", *options) as process:
        lines = list(iter(process.stdout.readline, "Ctrl-C ends it.\n"))
        (pump,) = (line.split()[-1] for line in lines if line.startswith("pump "))
        yield pump


@pytest.mark.real_port
@needs_ptys
def test_an_unmodified_host_reaches_the_pump_over_tcp_and_pty_and_all_is_recorded(served_pump, recordings, tmp_path):
    path, link = tmp_path / "session.pcapng", tmp_path / "pump"
    places = ["--listen", "socket://127.0.0.1:0", "--listen", link]
    with recording(served_pump, "--output", path, *places, "--print") as process:
        tcp = process.stdout.readline().split(" is offered at ")[1].split()[0]
        for url in (tcp, str(link), tcp):
            with Pump.open(url, observe=True) as pump:
                assert pump.status().steps >= 0
    code, output, errors = process.done
    assert code == 0
    assert "Summary: " in output
    assert "REJECTED" not in output
    assert "rejects: none" in output
    assert output.count("--> HelloRequest") == output.count("[answers HelloRequest after ") == 3
    assert f"a host connected to {tcp}" in errors
    assert "The recorder sends nothing of its own: the pump goes on" in errors
    assert not os.path.lexists(link)
    decoded = decode(path).output
    assert decoded.splitlines()[-1] == "End of the recording: ended by Ctrl-C"
    assert [line for line in output.splitlines() if "-->" in line] == [
        line for line in decoded.splitlines() if "-->" in line
    ]


@contextlib.contextmanager
def fake_pump():
    """A TCP server that gives its one connection to the test."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(DEADLINE_S)
        yield server, f"socket://127.0.0.1:{server.getsockname()[1]}"


def address(url):
    host, port = url.removeprefix("socket://").split(":")
    return host, int(port)


def exactly(connection, size):
    connection.settimeout(DEADLINE_S)
    data = b""
    while len(data) < size:
        more = connection.recv(65_536)
        assert more, f"hung up after {len(data)} of {size} bytes"
        data += more
    return data


@pytest.mark.real_port
def test_a_script_records_its_own_pump_through_a_tapped_transport(served_pump, tmp_path):
    path = tmp_path / "session.pcapng"
    cable = open_transport(served_pump)
    with WireRecorder(path, port=served_pump) as recorder, Pump.open(Tapped(cable, recorder.tap), observe=True) as pump:
        pump.status()
    cable.close()
    output = decode(path).output
    assert "--> StatusRequest" in output
    assert "[answers StatusRequest after " in output
    assert "unanswered 0" in output


@pytest.mark.real_port
def test_any_bytes_pass_both_ways_at_once_unchanged_and_a_lost_port_ends_with_3(recordings, tmp_path):
    path = tmp_path / "session.pcapng"
    to_device, to_host = os.urandom(300_000), os.urandom(300_000)
    options = ["--output", path, "--listen", "socket://127.0.0.1:0", "--json"]
    with (
        fake_pump() as (server, url),
        recording(url, *options, ending=None) as process,
    ):
        device, _ = server.accept()
        (offered,) = json.loads(process.stdout.readline())["listening"]
        with device, socket.create_connection(address(offered), timeout=DEADLINE_S) as host:
            host.sendall(to_device[:1])
            assert exactly(device, 1) == to_device[:1]
            ways = ((device, to_host), (host, to_device[1:]))
            sending = [threading.Thread(target=end.sendall, args=(data,)) for end, data in ways]
            for thread in sending:
                thread.start()
            assert exactly(device, len(to_device) - 1) == to_device[1:]
            assert exactly(host, len(to_host)) == to_host
            for thread in sending:
                thread.join(DEADLINE_S)
            device.close()
            assert process.wait(DEADLINE_S) == 3
            assert host.recv(1) == b""
    _, output, _ = process.done
    told, error = map(json.loads, output.splitlines())
    assert told["bytes"] == {"host to device": 300_000, "device to host": 300_000}
    assert error["error"].startswith(f"{url}: the connection is gone")
    packets = recordings.read(path)
    assert (recordings.stream(packets, TO_DEVICE), recordings.stream(packets, TO_HOST)) == (to_device, to_host)


@pytest.mark.real_port
def test_a_second_host_is_turned_away_and_the_next_one_let_in(tmp_path):
    options = ["--output", tmp_path / "a.pcapng", "--listen", "socket://127.0.0.1:0"]
    with fake_pump() as (server, url), recording(url, *options) as process:
        device, _ = server.accept()
        offered = address(process.stdout.readline().split(" is offered at ")[1].strip())
        with device:
            with socket.create_connection(offered, timeout=DEADLINE_S) as first:
                first.sendall(b"one")
                assert exactly(device, 3) == b"one"
                with socket.create_connection(offered, timeout=DEADLINE_S) as second:
                    assert second.recv(1) == b""
            with socket.create_connection(offered, timeout=DEADLINE_S) as third:
                third.sendall(b"three")
                assert exactly(device, 5) == b"three"
                device.sendall(b"hello")
                assert exactly(third, 5) == b"hello"
            end(process)
    code, _, errors = process.done
    assert code == 0
    assert "was turned away: one is connected" in errors


@pytest.mark.real_port
@needs_ptys
def test_a_pty_that_nobody_reads_holds_nothing_up_and_hands_out_nothing_stale(tmp_path):
    link = tmp_path / "pump"
    options = ["--output", tmp_path / "a.pcapng", "--listen", link, "--listen", "socket://127.0.0.1:0"]
    with fake_pump() as (server, url), recording(url, *options) as process:
        device, _ = server.accept()
        offered = address(process.stdout.readline().split(" and ")[1].strip())
        with device, socket.create_connection(offered, timeout=DEADLINE_S) as host:
            host.sendall(b"I am here")
            assert exactly(device, 9) == b"I am here"
            device.sendall(b"s" * 200_000)
            assert exactly(host, 200_000) == b"s" * 200_000
            time.sleep(2.0)
            descriptor = os.open(link, os.O_RDWR | os.O_NOCTTY)
            try:
                device.sendall(b"fresh")
                assert exactly(host, 5) == b"fresh"
                assert os.read(descriptor, 4096) == b"fresh"
                os.write(descriptor, b"from the pty")
                assert exactly(device, 12) == b"from the pty"
            finally:
                os.close(descriptor)
            end(process)
    assert process.done[0] == 0


@pytest.mark.real_port
def test_a_recording_to_standard_output_can_be_piped_into_the_decoder():
    program = [sys.executable, "-m", "thecabench", "wire"]
    options = ["--output", "-", "--listen", "socket://127.0.0.1:0"]
    with fake_pump() as (server, url):
        record = [*program, "record", "--port", url, *options]
        with (
            subprocess.Popen(record, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as recorder,
            subprocess.Popen([*program, "decode", "-"], stdin=recorder.stdout, stdout=subprocess.PIPE) as decoder,
        ):
            try:
                device, _ = server.accept()
                with device:
                    device.sendall(STOPPED)
                    assert decoder.stdout.readline().startswith(b"First packet at ")
                    assert b"<-- Stopped " in decoder.stdout.readline()
                    recorder.send_signal(signal.SIGINT)
                    output, _ = decoder.communicate(timeout=DEADLINE_S)
                    assert recorder.wait(DEADLINE_S) == 0
            finally:
                recorder.kill()
                decoder.kill()
    assert output.splitlines()[-1] == b"End of the recording: ended by Ctrl-C"


@pytest.mark.real_port
@pytest.mark.parametrize("ending", [signal.SIGINT, None])
def test_a_port_is_listened_to_without_a_byte_sent(ending):
    with fake_pump() as (server, url), running("thecabench", "wire", "decode", "--port", url, ending=ending) as process:
        device, _ = server.accept()
        with device:
            device.sendall(encode(StatusRequest(), seq=9) + STOP + STOPPED)
            lines = [process.stdout.readline() for _ in range(4)]
            if ending is not None:
                process.send_signal(ending)
                process.wait(DEADLINE_S)
                assert device.recv(1) == b""
    code, output, errors = process.done
    assert "First packet at " in lines[0]
    assert [line.split()[2] for line in lines[1:]] == ["StatusRequest", "Stop", "Stopped"]
    assert output.startswith("Summary: 3 frames in 0.000 s; bytes: 63 direction unknown")
    assert code == (0 if ending is not None else 3)
    assert ("the connection is gone" in errors) == (ending is None)


@pytest.mark.real_port
def test_a_reader_of_the_text_that_has_seen_enough_is_no_error(recordings, tmp_path):
    path = recordings.write(tmp_path / "a.pcapng", [(0.001 * number, TO_HOST, STOPPED) for number in range(5000)])
    command = [sys.executable, "-m", "thecabench", "wire", "decode", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(DEADLINE_S) == 0
        assert process.stderr.read() == b""


def test_the_command_line_answers_without_loading_the_wire():
    named = "[name for name in sys.modules if name.startswith(('bench.wire', 'driver', 'protocol'))]"
    command = [sys.executable, "-c", f"import sys, bench.cli; print({named})"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=DEADLINE_S)
    assert done.stdout.strip() == "[]"
