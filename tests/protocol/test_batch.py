"""The batch decoder against StreamDecoder: same frames, same bits, whatever happened to the bytes."""

import struct
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import protocol
from protocol import (
    Ack,
    BulkRead,
    FlexStep,
    Nak,
    Proposal,
    ProposeFlex,
    StatusRequest,
    StreamDecoder,
    Telemetry,
    batch,
    decode_batch,
    encode,
    encode_frame,
    encode_payload,
)
from protocol.registry import DEFINITIONS

QUIET_NAN_WITH_PAYLOAD = 0x7FF8DEADBEEF0001


def seen(data: bytes) -> dict[int, list[tuple[int, int, bytes, int]]]:
    """Type to (seq, offset, fixed head, bytes of tail), from StreamDecoder."""
    rows: dict[int, list[tuple[int, int, bytes, int]]] = {}
    for frame in StreamDecoder().feed(data):
        size = DEFINITIONS[frame.type].codec.head.size
        row = (frame.seq, frame.offset, frame.payload[:size], len(frame.payload) - size)
        rows.setdefault(frame.type, []).append(row)
    return rows


def batched(data: bytes) -> dict[int, list[tuple[int, int, bytes, int]]]:
    """The same from decode_batch, each field written back from its own column."""
    rows = {}
    for type_byte, table in decode_batch(data).items():
        fields = DEFINITIONS[type_byte].codec.fields
        tail = next((f"{batch.column_name(field)}_bytes" for field in fields if field.is_tail), None)
        heads = [b""] * len(table)
        for field in fields:
            if not field.is_tail:
                column = table[batch.column_name(field)].tobytes()
                assert len(column) == field.size * len(table)
                for place in range(len(table)):
                    heads[place] += column[place * field.size : (place + 1) * field.size]
        tails = table[tail].tolist() if tail else [0] * len(table)
        rows[type_byte] = list(zip(table["seq"].tolist(), table["offset"].tolist(), heads, tails, strict=True))
    return rows


@pytest.fixture(params=[1, 64])
def fewest_rows(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With 1 every run takes the vectorised way, and blocks of 7 rows have many edges."""
    monkeypatch.setattr(batch, "_FEWEST_ROWS", request.param)
    if request.param == 1:
        monkeypatch.setattr(batch, "_MOST_ROWS", 7)


def _payload(type_byte: int) -> st.SearchStrategy[bytes]:
    codec = DEFINITIONS[type_byte].codec
    size = codec.head.size
    fixed = st.binary(min_size=size, max_size=size) | st.lists(
        st.sampled_from([0, 0, 0, 1, 0x41, 0xC3, 0xA9, 0xFF]), min_size=size, max_size=size
    ).map(bytes)
    tails = st.binary(max_size=300) if codec.has_tail else st.just(b"")
    if codec.has_tail and (record := codec.fields[-1].record) is not None:
        tails |= st.builds(
            lambda count, octets: struct.pack("<" + record.count_code, count) + octets * count,
            st.integers(0, 4),
            st.sampled_from([0, 1, 0x41, 0xC3, 0xFF]).map(lambda octet: bytes([octet]) * record.size),
        )
    return st.tuples(fixed, tails).map(b"".join)


any_frame = st.sampled_from(sorted(DEFINITIONS)).flatmap(
    lambda type_byte: st.builds(
        encode_frame,
        st.just(type_byte),
        st.integers(0, 0xFFFF),
        _payload(type_byte),
        trailer=st.none() | st.none() | st.binary(min_size=12, max_size=12),
    )
)
foreign_frame = st.builds(encode_frame, st.integers(0, 255), st.integers(0, 0xFFFF), st.binary(max_size=70))
noise = st.binary(max_size=30) | st.sampled_from([b"\xaa" * 600, b"\0" * 9, b"\x01\0" * 5])


@st.composite
def damaged_streams(draw: st.DrawFn) -> bytes:
    pieces = draw(st.lists(any_frame | any_frame | foreign_frame | noise, max_size=10))
    stream = bytearray(b"".join(piece * draw(st.sampled_from([1, 1, 1, 3])) for piece in pieces))
    for kind in draw(st.lists(st.sampled_from(["flip", "cut", "insert", "repeat"]), max_size=4)):
        start = draw(st.integers(0, len(stream)))
        end = min(len(stream), start + draw(st.integers(1, 8)))
        if kind == "flip" and start < len(stream):
            stream[start] ^= 1 << draw(st.integers(0, 7))
        elif kind == "cut":
            del stream[start:end]
        elif kind == "insert":
            stream[start:start] = draw(st.binary(max_size=4))
        else:
            stream[start:start] = stream[start:end]
    edges = sorted(draw(st.tuples(st.integers(0, len(stream)), st.integers(0, len(stream)))))
    return bytes(stream[edges[0] : edges[1]] if draw(st.booleans()) else stream)


@pytest.mark.parametrize("fewest", [1, 64])
def test_a_damaged_stream_gives_exactly_what_the_stream_decoder_accepts(fewest: int) -> None:
    @settings(max_examples=200, deadline=None)
    @given(damaged_streams())
    def holds(stream: bytes) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(batch, "_FEWEST_ROWS", fewest)
            patch.setattr(batch, "_MOST_ROWS", 7)
            assert batched(stream) == seen(stream)

    holds()


@pytest.mark.usefixtures("fewest_rows")
def test_a_long_recording_with_one_frame_in_twenty_damaged_gives_the_same_rows() -> None:
    rng = np.random.default_rng(7)
    pieces = []
    for number in range(3000):
        frame = bytearray(encode_frame(0xC0, number, rng.bytes(35)) if number % 3 else encode(Ack(), seq=number))
        place = int(rng.integers(len(frame)))
        match int(rng.integers(80)):
            case 0:
                frame[place] ^= 1 << int(rng.integers(8))
            case 1:
                del frame[place]
            case 2:
                frame[place:place] = rng.bytes(1)
            case 3:
                frame += frame[place:]
        pieces.append(bytes(frame))
    stream = b"".join(pieces)
    rows = batched(stream)
    assert rows == seen(stream)
    assert 1900 < len(rows[0xC0]) < 2000


@pytest.mark.usefixtures("fewest_rows")
@pytest.mark.parametrize("size", [*range(20), 239, 240, 241, 242, 243, 244, 245, 246, 247, 484])
@pytest.mark.parametrize("fill", [b"\0", b"\x55", b"\xff"])
def test_tails_of_every_critical_length_are_counted(size: int, fill: bytes) -> None:
    stream = encode_frame(0x90, 5, fill * (28 + size)) * 70
    table = decode_batch(stream)[0x90]
    assert table["canonical_bytes"].tolist() == [size] * 70
    assert batched(stream) == seen(stream)


@pytest.mark.usefixtures("fewest_rows")
def test_every_single_bit_flip_of_a_frame_is_refused_as_by_the_stream_decoder() -> None:
    frame = encode(Telemetry(1, 0, 7, 10**9, 77777, 240.0, 36.5, 3000, 0), seq=1)
    stream = b"".join(
        bytes([*frame[:place], frame[place] ^ 1 << bit, *frame[place + 1 :]])
        for place in range(len(frame))
        for bit in range(8)
    )
    assert batched(stream) == seen(stream)


@pytest.mark.usefixtures("fewest_rows")
def test_the_payload_bits_of_a_nan_survive() -> None:
    payload = bytearray(33)
    struct.pack_into("<Q", payload, 9, QUIET_NAN_WITH_PAYLOAD)
    volume = decode_batch(encode_frame(0x93, 1, bytes(payload)) * 70)[0x93]["delivered_low_ul"]
    assert set(volume.copy().view("<u8").tolist()) == {QUIET_NAN_WITH_PAYLOAD}


@pytest.mark.usefixtures("fewest_rows")
def test_records_are_counted_in_bytes_and_checked() -> None:
    right = ProposeFlex(7, 0, (FlexStep(1, 60, 2.0),) * 3)
    three = encode(right, seq=1)
    four_announced = encode_frame(0x19, 1, encode_payload(right)[:9] + b"\x04" + encode_payload(right)[10:])
    table = decode_batch((three + four_announced) * 70)[0x19]
    assert table["steps_bytes"].tolist() == [1 + 3 * 11] * 70
    assert batched((three + four_announced) * 70) == seen((three + four_announced) * 70)


def test_a_field_called_as_a_column_of_the_frame_keeps_its_own_column() -> None:
    row = decode_batch(encode(BulkRead(1, 77, 100), seq=5))[0x25]
    assert row.dtype.names == ("seq", "offset", "snapshot_id", "message_offset", "length")
    assert row.tolist() == [(5, 1, 1, 77, 100)]


@pytest.mark.usefixtures("fewest_rows")
def test_columns_hold_the_values_of_the_messages() -> None:
    messages = [Telemetry(1, 2, number, 10**12 + number, 5 * number, 0.25, 36.5, 3000, 4) for number in range(100)]
    table = decode_batch(b"".join(encode(message, seq=9) for message in messages))[0xC0]
    assert table.dtype.names == ("seq", "offset", *Telemetry.__struct_fields__)
    assert [tuple(row)[2:] for row in table.tolist()] == [
        tuple(getattr(message, name) for name in Telemetry.__struct_fields__) for message in messages
    ]


@pytest.mark.usefixtures("fewest_rows")
def test_texts_lose_their_padding_and_keep_their_utf8() -> None:
    naks = b"".join(encode(Nak(4, text), seq=1) for text in ["busy", "zu groß", ""] * 30)
    assert decode_batch(naks)[0xA1]["detail"].tolist() == [b"busy", "zu groß".encode(), b""] * 30


@pytest.mark.usefixtures("fewest_rows")
def test_fixed_bytes_keep_their_zeros() -> None:
    stream = encode(Proposal(1, 2, b"\0ab\0\0cd\0", 3, b"xyz"), seq=1) * 70
    assert {bytes(digest) for digest in decode_batch(stream)[0x90]["digest"]} == {b"\0ab\0\0cd\0"}


def test_rows_may_be_written_to_whichever_way_they_came() -> None:
    for copies in (1, 100):
        table = decode_batch(encode(Ack(), seq=1) * copies)[0xA0]
        table["seq"] += 1
        assert table["seq"].tolist() == [2] * copies


@pytest.mark.parametrize("data", [b"", b"\0", b"\0" * 100, b"\x01", b"\xaa" * 1000, encode(StatusRequest())[:-1]])
def test_nothing_whole_gives_no_rows(data: bytes) -> None:
    assert decode_batch(data) == {}


def test_types_come_in_order_and_only_those_that_occur() -> None:
    stream = encode(Ack(), seq=1) + encode(StatusRequest(), seq=2) + encode(Ack(), seq=3)
    tables = decode_batch(stream)
    assert list(tables) == [0x02, 0xA0]
    assert tables[0xA0]["seq"].tolist() == [1, 3]


@pytest.mark.parametrize("type_byte", sorted(DEFINITIONS))
def test_the_row_has_each_field_where_the_walk_found_it(type_byte: int) -> None:
    dtype = batch.row_dtype(type_byte)
    assert dtype.names is not None
    for field in DEFINITIONS[type_byte].codec.fields:
        if not field.is_tail:
            column, place = dtype.fields[batch.column_name(field)][:2]
            assert (column.itemsize, place) == (field.size, 6 + field.offset)


def test_importing_protocol_does_not_import_numpy() -> None:
    code = "import sys, protocol; assert 'numpy' not in sys.modules; assert protocol.decode_batch(b'') == {}"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert "decode_batch" in protocol.__all__
