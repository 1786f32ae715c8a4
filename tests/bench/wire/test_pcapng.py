"""Captures read back: torn, broken, foreign and hostile files, in either byte order, from files and pipes."""

from __future__ import annotations

import io
import os
import random
import shutil
import struct
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.wire.pcapng import CaptureError, CaptureReader
from driver.transport.tapped import Direction
from protocol import Stop, encode

TO_DEVICE, TO_HOST = Direction.TO_DEVICE, Direction.TO_HOST
STOP = encode(Stop(), seq=7)
DAMAGES = 3000


@pytest.fixture(scope="module")
def capture(recordings, tmp_path_factory):
    """The bytes of a recording of three packets, and where each of its blocks begins."""
    path = tmp_path_factory.mktemp("capture") / "a.pcapng"
    data = recordings.write(path, [(0.0, TO_DEVICE, STOP), (0.1, TO_HOST, STOP), (0.2, TO_DEVICE, STOP)]).read_bytes()
    starts, position = [], 0
    while position < len(data):
        starts.append(position)
        position += struct.unpack_from("<I", data, position + 4)[0]
    assert len(starts) == 6
    return data, starts


def reader_of(data):
    return CaptureReader(io.BytesIO(data), "a.pcapng")


def refusal_of(data):
    """What is said about a capture that cannot be read to its end; None for one that can."""
    try:
        list(reader_of(data))
    except CaptureError as error:
        return str(error)
    return None


def test_a_file_cut_off_anywhere_is_read_up_to_there_with_a_note_of_place_and_size(capture):
    data, starts = capture
    for size in range(1, len(data)):
        reader = reader_of(data[:size])
        packets = list(reader)
        whole = [start for start in starts[1:] if start <= size]
        assert len(packets) == max(0, min(len(whole) - 2, 3)), size
        begun = max(start for start in starts if start <= size)
        if begun == size:
            assert reader.torn is None, size
        else:
            assert f"the last {size - begun} bytes, from byte {begun} on, are an unfinished packet" in reader.torn
        assert reader.ended is None


def test_damage_anywhere_gives_packets_or_one_sentence_with_the_byte_offset(capture):
    data, _ = capture
    draw = random.Random(4)
    said = []
    for _ in range(DAMAGES):
        damaged = bytearray(data)
        for _ in range(draw.randint(1, 4)):
            damaged[draw.randrange(len(damaged))] = draw.choice((0, 1, 4, 255, draw.randrange(256)))
        said.append(refusal_of(bytes(damaged)))
    refused = [sentence for sentence in said if sentence is not None]
    assert DAMAGES / 10 < len(refused) < DAMAGES
    assert all(sentence.startswith("a.pcapng: byte ") for sentence in refused)


@given(st.binary(max_size=200))
def test_any_other_bytes_are_refused_or_torn(data):
    said = refusal_of(data)
    assert said is None or said.startswith("a.pcapng: ")
    assert said is not None or data[:4] == b"\x0a\x0d\x0d\x0a"[: len(data)]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "a.pcapng: the file is empty"),
        (STOP, "a.pcapng: byte 0: this is no pcapng file, it begins with 00 "),
        (bytes.fromhex("d4c3b2a1 02000400"), "byte 0: this is an old pcap file; editcap -F pcapng makes"),
        (bytes.fromhex("0a0d0d0a 1c000000 01020304"), "byte 0: a section's byte-order mark is 01020304"),
    ],
)
def test_what_is_no_capture_is_named(data, said):
    with pytest.raises(CaptureError) as refusal:
        list(reader_of(data))
    assert said in str(refusal.value)


@pytest.mark.parametrize(
    ("place", "put", "said"),
    [
        (4, 7, "a block says it has 7 bytes, which no block has"),
        (4, 0xFFFFFFFC, "a block says it has 4294967292 bytes"),
        (8, 5, "a packet is of interface 5, which the file does not describe"),
        (20, 4000, "a packet of 4000 bytes lies in a block of"),
        (-4, 44, "a block says at its end that it has 44 bytes"),
    ],
)
def test_a_broken_block_is_named_by_its_offset_after_the_packets_before_it(capture, place, put, said):
    data, starts = capture
    block, after = starts[3], starts[4]
    position = block + place if place >= 0 else after + place
    damaged = data[:position] + struct.pack("<I", put) + data[position + 4 :]
    packets = iter(reader_of(damaged))
    assert next(packets).data == STOP
    with pytest.raises(CaptureError) as refusal:
        next(packets)
    assert str(refusal.value).startswith(f"a.pcapng: byte {block}: {said}")


def test_big_endian_files_of_coarser_clocks_and_simple_packets_are_read():
    def block(kind, body):
        length = struct.pack(">I", len(body) + 12)
        return struct.pack(">I", kind) + length + body + length

    def option(code, value):
        return struct.pack(">HH", code, len(value)) + value + bytes(-len(value) % 4)

    section = block(0x0A0D0D0A, struct.pack(">IHHq", 0x1A2B3C4D, 1, 0, -1))
    by_default = block(1, struct.pack(">HHI", 147, 0, 0))
    binary = block(1, struct.pack(">HHI", 147, 0, 0) + option(9, b"\x8a") + option(14, struct.pack(">q", 100)))
    ethernet = block(1, struct.pack(">HHI", 1, 0, 0))
    packed = [block(6, struct.pack(">IIIII", number, 0, 2048, 5, 9) + b"hello\0\0\0") for number in range(3)]
    name_resolution = block(4, bytes(8))
    simple = block(3, struct.pack(">I", 5) + b"hello\0\0\0")
    reader = reader_of(section + by_default + binary + ethernet + name_resolution + b"".join(packed) + simple)
    assert [(packet.time_ns, packet.data, packet.interface, packet.number) for packet in reader] == [
        (2_048_000, b"hello", 0, 1), (102_000_000_000, b"hello", 1, 2), (None, b"hello", 0, 4),
    ]  # fmt: skip
    assert (reader.foreign_packets, reader.shortened_packets) == (1, 2)


def test_a_pipe_is_read_packet_by_packet_while_it_is_written(capture):
    data, starts = capture
    readable, writable = os.pipe()
    with os.fdopen(readable, "rb") as file, os.fdopen(writable, "wb", buffering=0) as writing:
        packets = iter(CaptureReader(file, "-"))
        writing.write(data[: starts[3]])
        assert next(packets).direction is TO_DEVICE
        writing.write(data[starts[3] : starts[4]])
        assert next(packets).direction is TO_HOST


def test_what_wireshark_saves_again_is_read_the_same(capture, recordings, tmp_path):
    editcap = shutil.which("editcap")
    if editcap is None:
        pytest.skip("editcap is not installed: no file saved by Wireshark was read (apt-get install tshark)")
    data, _ = capture
    (tmp_path / "a.pcapng").write_bytes(data)
    subprocess.run([editcap, "a.pcapng", "b.pcapng"], cwd=tmp_path, check=True, timeout=50)
    assert recordings.read(tmp_path / "b.pcapng") == recordings.read(tmp_path / "a.pcapng")
