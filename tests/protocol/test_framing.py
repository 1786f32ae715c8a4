"""Bytes to frames: worked frames, every reject by cause and place, and what noise and damage may cost."""

import fastcrc
import pytest
from cobs import cobs
from hypothesis import given
from hypothesis import strategies as st

from protocol import (
    Ack,
    CommandResultRequest,
    DecodeError,
    EncodeError,
    Frame,
    HelloRequest,
    Proposal,
    Reject,
    RejectCause,
    StatusRequest,
    Stop,
    StreamDecoder,
    Subscribe,
    encode,
    encode_frame,
)
from protocol.framing import REJECTS_KEPT
from protocol.wire import INTACT_CRC

LARGEST_RUN = 537
STATUS_REQUEST = bytes.fromhex("00 04 10 02 01 01 01 05 54 39 41 3A 00")
ACK = bytes.fromhex("00 04 10 A0 07 01 01 05 75 94 2C FB 00")
noise = st.binary(max_size=40) | st.lists(st.sampled_from([0, 1, 2, 4, 5, 0x10, 0xFF]), max_size=40).map(bytes)


def names(decoder: StreamDecoder) -> list[tuple[str, int]]:
    return [(reject.cause.name, reject.offset) for reject in decoder.rejects]


def test_the_independent_crc_has_the_standard_check_value(crc32c) -> None:
    assert crc32c(b"123456789") == 0xE3069283


def test_frames_stuffed_by_hand_are_read_and_written(crc32c) -> None:
    # 10 02 01 | 00 00 00 | 54 39 41 3A: pieces of 3, 0, 0 and 4 bytes. 10 A0 07 | 00 00 00 | 75 94 2C FB: likewise.
    assert crc32c(bytes.fromhex("100201000000")) == 0x3A413954
    assert crc32c(bytes.fromhex("10A007000000")) == 0xFB2C9475
    assert encode(StatusRequest(), seq=1) == STATUS_REQUEST
    assert encode(Ack(), seq=7) == ACK
    assert StreamDecoder().feed(STATUS_REQUEST + ACK) == [Frame(0x02, 1, b"", 1), Frame(0xA0, 7, b"", 14)]


def test_a_zero_inside_the_crc_is_stuffed_like_any_other(crc32c) -> None:
    # CRC 0xFF8B6C00, so 10 7F 05 | 00 00 00 | 00 6C 8B FF: pieces of 3, 0, 0, 0 and 3 bytes.
    assert crc32c(bytes.fromhex("107F05000000")) == 0xFF8B6C00
    assert encode_frame(0x7F, 5, b"") == bytes.fromhex("00 04 10 7F 05 01 01 01 04 6C 8B FF 00")


def test_a_long_piece_without_zeros_is_split_after_254_bytes(crc32c) -> None:
    message = Proposal(0, 0, bytes(8), 1 << 24, b"\x55" * 300)
    content = bytes.fromhex("10 90 01 00 48 01") + bytes(27) + b"\x01" + b"\x55" * 300
    crc = crc32c(content).to_bytes(4, "little")
    assert 0 not in crc
    # 328 = 0x0148 bytes of payload. The last zero is before the 01; then 01 and 253 of the 300, then 47 and the CRC.
    pieces = b"\x04\x10\x90\x01" + b"\x03\x48\x01" + b"\x01" * 26
    expected = b"\0" + pieces + b"\xff\x01" + b"\x55" * 253 + bytes([47 + 4 + 1]) + b"\x55" * 47 + crc + b"\0"
    assert encode(message, seq=1) == expected
    (frame,) = StreamDecoder().feed(expected)
    assert frame.message == message


def test_a_full_last_piece_may_be_followed_by_an_empty_one(wire) -> None:
    # 10 90 FF FF, length 00 01 is 256; the last 250 payload bytes and the CRC make one piece of 254 bytes.
    for seq in range(1, 0xFFFF):
        frame_bytes = wire(f"10 90 {seq:04X} 00 01 | {'00' * 6} {'55' * 250}")
        if frame_bytes[-256] == 0xFF:
            break
    assert StreamDecoder().feed(frame_bytes)[0].payload == bytes(6) + b"\x55" * 250
    assert StreamDecoder().feed(frame_bytes[:-1] + b"\x01\0") == StreamDecoder().feed(frame_bytes)


def test_a_trailer_is_set_apart_from_the_payload(wire) -> None:
    trailer = bytes(range(12))
    frame_bytes = wire("11 17 02 00 05 00 | 01 E8 03 00 00 | 00 01 02 03 04 05 06 07 08 09 0A 0B")
    assert encode_frame(0x17, 2, bytes.fromhex("01E8030000"), trailer=trailer) == frame_bytes
    (frame,) = StreamDecoder().feed(frame_bytes)
    assert (frame.message, frame.trailer) == (Subscribe(1, 1000), trailer)
    assert StreamDecoder().feed(encode(Subscribe(1, 1000)))[0].trailer is None


def test_zeros_between_frames_mean_nothing() -> None:
    decoder = StreamDecoder()
    assert [frame.offset for frame in decoder.feed(b"\0\0\0" + STATUS_REQUEST + b"\0" * 1000 + ACK)] == [4, 1017]
    assert decoder.rejects == []


REJECTED = [
    ("COBS", "05 11 22", None),
    ("SHORT", "01", None),
    ("SHORT", "0A 11 11 11 11 11 11 11 11 11", None),
    ("CRC", "04 10 02 01 01 01 05 55 39 41 3A", None),
    ("VERSION", "20 02 08 00 00 00", 0x02),
    ("VERSION", "00 02 08 00 00 00", 0x02),
    ("VERSION", "12 02 08 00 00 00", 0x02),
    ("VERSION", "18 01 08 00 0A 00 | 01 00 00 00 00 00 00 00 00 00", 0x01),
    ("LENGTH", "10 02 07 00 01 00", 0x02),
    ("LENGTH", "10 14 07 00 07 00 | 01 02 03 04 05 06 07 08", 0x14),
    ("LENGTH", "11 02 07 00 00 00 | 00 01 02 03 04 05 06 07 08 09 0A", 0x02),
    ("LENGTH", f"10 90 07 00 01 02 | {'AA' * 513}", 0x90),
    ("UNKNOWN_TYPE", "10 7F 05 00 00 00", 0x7F),
    ("UNKNOWN_TYPE", "10 00 05 00 00 00", 0x00),
    ("PAYLOAD", "10 14 06 00 07 00 | 01 02 03 04 05 06 07", 0x14),
    ("PAYLOAD", "10 A0 06 00 01 00 | 00", 0xA0),
    ("PAYLOAD", f"10 A1 06 00 31 00 | 04 FF {'00' * 47}", 0xA1),
]


@pytest.mark.parametrize(("cause", "content", "intact_type"), REJECTED)
def test_every_reject_has_its_cause_and_place(cause: str, content: str, intact_type: int | None, wire) -> None:
    run = bytes.fromhex(content) if intact_type is None else wire(content)[1:-1]
    decoder = StreamDecoder()
    frames = decoder.feed(STATUS_REQUEST + b"\0" + run + b"\0" + ACK)
    assert [frame.type for frame in frames] == [0x02, 0xA0]
    assert names(decoder) == [(cause, 14)]
    assert decoder.reject_counts == {RejectCause[cause]: 1}
    (reject,) = decoder.rejects
    assert reject.detail
    assert (reject.frame.type if reject.frame else None) == intact_type


def test_hello_is_read_whatever_its_major_version(wire) -> None:
    decoder = StreamDecoder()
    (frame,) = decoder.feed(wire("F0 01 01 00 0A 00 | 0F 00 2A 00 00 00 00 00 00 00"))
    assert (frame.major, frame.message) == (15, HelloRequest(15, 0, 42))
    (frame,) = decoder.feed(wire(f"20 81 01 00 5C 00 | 02 {'00' * 91}"))
    assert (frame.major, frame.message.protocol_major) == (2, 2)
    assert decoder.rejects == []


def test_the_largest_frame_passes_and_one_byte_more_does_not() -> None:
    largest = encode_frame(0x90, 1, b"\x55" * 512, trailer=b"\x66" * 12)
    assert len(largest) <= LARGEST_RUN + 2
    assert [len(frame.payload) for frame in StreamDecoder().feed(largest)] == [512]
    with pytest.raises(EncodeError, match="at most 512 bytes, not 513"):
        encode_frame(0x90, 1, bytes(513))


@pytest.mark.parametrize("arguments", [(256, 0), (-1, 0), (1, 65536), (1, -1)])
def test_a_type_or_seq_that_does_not_fit_is_refused(arguments: tuple[int, int]) -> None:
    with pytest.raises(EncodeError, match=r"must fit 8 bits and seq .* must fit 16"):
        encode_frame(*arguments, b"")


def test_a_trailer_of_another_size_is_refused() -> None:
    with pytest.raises(EncodeError, match="exactly 12 bytes, not 11"):
        encode_frame(1, 1, b"", trailer=bytes(11))


def test_a_run_that_is_too_long_is_counted_once_and_takes_no_memory() -> None:
    decoder = StreamDecoder()
    assert decoder.feed(STATUS_REQUEST + b"\xaa" * LARGEST_RUN) != []
    assert decoder.rejects == []
    decoder.feed(b"\xaa")
    assert names(decoder) == [("TOO_LONG", 13)]
    for _ in range(100):
        assert decoder.feed(b"\xaa" * 1000) == []
    assert names(decoder) == [("TOO_LONG", 13)]
    assert len(decoder._run) == 0
    assert len(decoder.feed(ACK)) == 1
    assert names(decoder) == [("TOO_LONG", 13)]


def test_the_newest_rejects_are_kept_and_all_are_counted() -> None:
    decoder = StreamDecoder()
    decoder.feed(b"\x01\0" * 1000)
    assert len(decoder.rejects) == REJECTS_KEPT
    assert decoder.rejects[-1] == Reject(RejectCause.SHORT, 1998, "0 bytes, the smallest frame has 10")
    assert decoder.reject_counts[RejectCause.SHORT] == 1000


def test_the_message_is_decoded_once() -> None:
    (frame,) = StreamDecoder().feed(encode(Stop(), seq=1))
    assert frame.message is frame.message


frames = st.integers(0, 300).map(lambda size: encode_frame(0x90, size, b"\x01" * (28 + size)))
streams = st.lists(noise | frames | st.just(b"\xaa" * 600), max_size=8).map(b"".join)


@given(stream=streams, data=st.data())
def test_any_chunking_gives_the_same_frames_and_rejects(stream: bytes, data: st.DataObject) -> None:
    whole, chunked = StreamDecoder(), StreamDecoder()
    expected = whole.scan(stream)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    found = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += chunked.scan(stream[start:end])
        assert len(chunked._run) <= LARGEST_RUN
    assert found == expected
    assert (chunked.rejects, chunked.reject_counts) == (whole.rejects, whole.reject_counts)


@given(st.binary(max_size=600))
def test_bytes_with_their_crc_behind_them_have_one_and_the_same_crc(data: bytes) -> None:
    crc = fastcrc.crc32.iscsi(data).to_bytes(4, "little")
    assert fastcrc.crc32.iscsi(data + crc) == INTACT_CRC


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_kind_of_bytes_may_be_fed(kind: type) -> None:
    decoder = StreamDecoder()
    assert decoder.feed(kind(STATUS_REQUEST[:5])) == []
    assert len(decoder.feed(kind(STATUS_REQUEST[5:] + ACK))) == 2
    assert len(StreamDecoder().feed(kind(ACK * 1000))) == 1000


def test_a_frame_made_by_hand_has_its_message_too() -> None:
    frame = Frame(0x14, 1, b"\x07" + bytes(7), 0)
    assert frame.message == CommandResultRequest(7)
    (read,) = StreamDecoder().feed(encode(CommandResultRequest(7), seq=1)[1:])
    assert (frame, hash(frame)) == (read, hash(read))
    assert frame != Frame(0x14, 2, b"\x07" + bytes(7), 0)
    assert len({frame, Frame(0x14, 1, b"\x07" + bytes(7), 0)}) == 1
    with pytest.raises(DecodeError, match="message type 0x7F is unknown"):
        _ = Frame(0x7F, 1, b"", 0).message


@given(stream=streams)
def test_offsets_are_those_of_the_stream(stream: bytes) -> None:
    for item in StreamDecoder().scan(stream):
        assert item.offset == 0 or stream[item.offset - 1] == 0
        assert stream[item.offset] != 0


@given(
    sizes=st.lists(st.integers(0, 300), min_size=3, max_size=3),
    kind=st.sampled_from(["flip", "drop", "insert"]),
    data=st.data(),
)
def test_a_damaged_frame_costs_no_intact_neighbour(sizes: list[int], kind: str, data: st.DataObject) -> None:
    before, damaged, after = (
        encode_frame(0x90, seq, bytes([size % 256]) * (28 + size)) for seq, size in enumerate(sizes, start=1)
    )
    place = data.draw(st.integers(0, len(damaged) - 1))
    byte = bytes([data.draw(st.integers(0, 255))])
    changed = {
        "flip": damaged[:place] + bytes([damaged[place] ^ (byte[0] or 1)]) + damaged[place + 1 :],
        "drop": damaged[:place] + damaged[place + 1 :],
        "insert": damaged[:place] + byte + damaged[place:],
    }[kind]
    seqs = [frame.seq for frame in StreamDecoder().feed(before + changed + after)]
    assert [seq for seq in seqs if seq != 2] == [1, 3]
    assert seqs.count(2) <= 1


@given(st.binary(max_size=300))
def test_the_stuffing_is_that_of_the_library(raw: bytes) -> None:
    body = raw.replace(b"\0", b"") if len(raw) > 200 else raw
    frame_bytes = encode_frame(0x90, 1, body)
    assert 0 not in frame_bytes[1:-1]
    assert cobs.decode(frame_bytes[1:-1])[6:-4] == body
