"""Many frames of one message at once: exactly the frames and rejects that reading them one by one gives."""

import pytest
from fastcrc import crc32
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import Frame, Reject, StreamDecoder, Telemetry, encode, encode_frame
from protocol.alike import _intact_rows_crc
from protocol.registry import DEFINITIONS

noise = st.binary(max_size=40) | st.lists(st.sampled_from([0, 1, 2, 4, 5, 0x10, 0xFF]), max_size=40).map(bytes)
frames = st.integers(0, 300).map(lambda size: encode_frame(0x90, size, b"\x01" * (28 + size)))


def contents(items: list[Frame | Reject]) -> list[object]:
    """Items as tuples that tell apart all that a caller can see, the messages too."""
    return [
        (item.type, item.seq, item.payload, item.offset, item.trailer, item.major, repr(item.message))
        if isinstance(item, Frame)
        else item
        for item in items
    ]


fixed_types = sorted(type_byte for type_byte, entry in DEFINITIONS.items() if not entry.codec.has_tail)


@st.composite
def nearly_alike(draw: st.DrawFn) -> bytes:
    """Many frames of one type, perhaps some of them damaged or others among them."""
    codec = DEFINITIONS[type_byte := draw(st.sampled_from(fixed_types))].codec
    payload = st.binary(min_size=codec.head.size, max_size=codec.head.size)
    seqs = st.integers(0, 0xFFFF)
    pieces = [encode_frame(type_byte, draw(seqs), draw(payload)) for _ in range(draw(st.integers(1, 4)))]
    pieces = [*pieces * draw(st.integers(1, 30)), *draw(st.lists(noise | frames, max_size=2))]
    if draw(st.booleans()):
        pieces = draw(st.permutations(pieces))
    stream = bytearray(draw(st.sampled_from([b"", b"\0", b"\0\0\0", b"\x05"])) + b"".join(pieces))
    for _ in range(draw(st.integers(0, 2))):
        place = draw(st.integers(0, len(stream) - 1))
        stream[place] = draw(st.sampled_from([0, 1, 2, 0xFF, stream[place] ^ 1]) | st.integers(0, 255))
    return bytes(stream[: len(stream) - draw(st.integers(0, 20))])


@settings(max_examples=300)
@given(stream=nearly_alike())
def test_frames_read_many_at_once_are_those_read_one_by_one(stream: bytes) -> None:
    at_once, singly = StreamDecoder(), StreamDecoder()
    expected = [item for place in range(len(stream)) for item in singly.scan(stream[place : place + 1])]
    assert contents(at_once.scan(stream)) == contents(expected)
    assert (at_once.rejects, at_once.reject_counts) == (singly.rejects, singly.reject_counts)


@pytest.mark.parametrize("place", range(48))
def test_a_damaged_byte_among_many_frames_alike_costs_one_frame(place: int) -> None:
    telemetry = [encode(Telemetry(1, 2, n, n, n, 4.0, 5.0, 6, 0), seq=n) for n in range(30)]
    assert len(telemetry[3]) == 48
    for wrong in sorted({0, 1, 47, 255, telemetry[3][place] ^ 0x10} - {telemetry[3][place]}):
        damaged = telemetry[3][:place] + bytes([wrong]) + telemetry[3][place + 1 :]
        decoder = StreamDecoder()
        found = decoder.feed(b"".join([*telemetry[:3], damaged, *telemetry[4:]]))
        assert [frame.seq for frame in found] == [*range(3), *range(4, 30)]
        assert decoder.reject_counts.total() >= 1


def test_a_long_stretch_alike_is_read_whole_in_any_window() -> None:
    frame_bytes = encode(Telemetry(1, 2, 3, 4, 5, 6.0, 7.0, 8, 9), seq=10)
    found = StreamDecoder().feed(frame_bytes * 2000)
    assert [frame.offset for frame in found] == list(range(1, 96_000, 48))
    assert {frame.message for frame in found} == {Telemetry(1, 2, 3, 4, 5, 6.0, 7.0, 8, 9)}


@given(st.lists(st.binary(min_size=9, max_size=9), min_size=1, max_size=20), st.data())
def test_one_crc_over_rows_is_right_for_intact_contents_and_wrong_for_one_that_is_not(
    payloads: list[bytes], data: st.DataObject
) -> None:
    bodies = [b"\x10\x15\x01\x00\x09\x00" + payload for payload in payloads]
    rows = [b"\0" + body + crc32.iscsi(body).to_bytes(4, "little") + b"\0\0" for body in bodies]
    assert crc32.iscsi(b"".join(rows)) == _intact_rows_crc(9, len(rows))
    hit = data.draw(st.integers(0, len(rows) - 1))
    wrong = data.draw(st.binary(min_size=19, max_size=19).filter(any))
    content = bytes(octet ^ flips for octet, flips in zip(rows[hit][1:-2], wrong, strict=True))
    rows[hit] = b"\0" + content + b"\0\0"
    is_intact = crc32.iscsi(content[:-4]).to_bytes(4, "little") == content[-4:]
    assert (crc32.iscsi(b"".join(rows)) == _intact_rows_crc(9, len(rows))) == is_intact
