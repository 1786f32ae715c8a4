"""Fuzz targets: StreamDecoder in any chunking, and decode_batch against it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from fuzzing.choices import Choices
from fuzzing.frames import LONGEST_FRAME_BYTES, Promises, Sent, any_piece
from protocol import Frame, Reject, StreamDecoder, batch, decode_batch, encode_frame, encode_payload
from protocol.framing import REJECTS_KEPT
from protocol.registry import DEFINITIONS, decode_payload

MOST_STREAM_BYTES = 16_384


def stream_decoder(data: bytes) -> None:
    """Whole and in chunks, by `scan` and by `feed`: the same frames and rejects, each intact frame among them, once."""
    choices = Choices(data)
    chunk_bytes = [1 + choices.number() for _ in range(3)]
    stream, promised = _stream(choices)
    chunk_bytes = [size + len(stream) // 64 for size in chunk_bytes]

    whole, chunked, fed = StreamDecoder(), StreamDecoder(), StreamDecoder()
    items = whole.scan(stream)
    for decoder in (whole, chunked, fed):
        if decoder is chunked:
            again: list[Any] = []
            for chunk in _chunks(stream, chunk_bytes):
                again += decoder.scan(chunk)
                assert retained_bytes(decoder) <= LONGEST_FRAME_BYTES, "the decoder keeps more than one frame"
            assert again == items, "the chunks changed the result"
        elif decoder is fed:
            found = [frame for chunk in _chunks(stream, [977, 640]) for frame in decoder.feed(chunk)]
            assert found == [item for item in items if isinstance(item, Frame)], "feed and scan differ"
        assert len(decoder.rejects) <= REJECTS_KEPT, "too many rejects are kept"
        assert decoder.rejects == whole.rejects, "the chunks changed the rejects"
        assert decoder.reject_counts == whole.reject_counts, "the chunks changed the counts"
    _check_items(items, whole, stream)
    check_promises(items, promised)
    frames = [item for item in items if isinstance(item, Frame)]
    for frame in {(frame.type, frame.payload): frame for frame in frames}.values():
        _check_message(frame)


def batch_decoder(data: bytes) -> None:
    """The rows of `decode_batch` are the frames of StreamDecoder, bit for bit, also where few rows go its fast way."""
    choices = Choices(data)
    fewest, most = ((1, 7), (2, 8192), (64, 8192))[choices.below(3)]
    stream, promised = _stream(choices)
    cut = choices.below(len(stream) + 1)
    frames = StreamDecoder().feed(stream[cut:])
    expected: dict[int, list[tuple[int, int, bytes, int]]] = {}
    for frame in frames:
        size = DEFINITIONS[frame.type].codec.head.size
        row = (frame.seq, frame.offset, frame.payload[:size], len(frame.payload) - size)
        expected.setdefault(frame.type, []).append(row)
    before = batch._FEWEST_ROWS, batch._MOST_ROWS
    batch._FEWEST_ROWS, batch._MOST_ROWS = fewest, most
    try:
        tables = decode_batch(stream[cut:])
    finally:
        batch._FEWEST_ROWS, batch._MOST_ROWS = before
    assert {number: _rows(number, table) for number, table in tables.items()} == expected, "batch and stream differ"
    check_promises(frames, {offset - cut: sent for offset, sent in promised.items() if offset > cut})


def retained_bytes(decoder: StreamDecoder) -> int:
    """The bytes of the stream that a decoder holds on to, in whatever attribute."""
    return sum(len(value) for value in vars(decoder).values() if isinstance(value, bytes | bytearray))


def check_promises(items: list[Any], promised: Promises) -> None:
    """Each frame that was sent intact is found at its place with its content, and none where none may be."""
    found = {item.offset: item for item in items if isinstance(item, Frame)}
    for offset, sent in promised.items():
        frame = found.get(offset)
        if sent is None:
            assert frame is None, f"the frame at {offset} is damaged or not to be used, and is found"
            continue
        assert frame is not None, f"the intact frame at {offset} is not found"
        content = Sent(frame.type, frame.seq, frame.payload, frame.trailer)
        assert content == sent, f"the frame at {offset} is another one"


def _stream(choices: Choices) -> tuple[bytes, Promises]:
    stream = b""
    promised: Promises = {}
    while choices.left and len(stream) < MOST_STREAM_BYTES:
        octets, promises = any_piece(choices)
        promised.update((len(stream) + offset, sent) for offset, sent in promises.items())
        stream += octets
    return stream, promised


def _chunks(stream: bytes, sizes: list[int]) -> Iterator[bytes]:
    place = number = 0
    while place < len(stream):
        size = sizes[number % len(sizes)]
        yield stream[place : place + size]
        place += size
        number += 1


def _check_items(items: list[Any], decoder: StreamDecoder, stream: bytes) -> None:
    offsets = [item.offset for item in items]
    assert all(earlier < later for earlier, later in pairwise(offsets)), "a run came twice"
    assert not offsets or offsets[-1] < len(stream), "an offset is beyond the stream"
    assert all(not offset or stream[offset - 1] == 0 for offset in offsets), "an offset is not behind a zero"
    rejects = [item for item in items if isinstance(item, Reject)]
    assert decoder.reject_counts == Counter(reject.cause for reject in rejects), "the rejects do not add up"
    assert decoder.rejects == rejects[-REJECTS_KEPT:], "the rejects kept are not the newest"


def _check_message(frame: Frame) -> None:
    message = frame.message
    assert repr(message) == repr(decode_payload(frame.type, frame.payload)), "the frame holds another message"
    payload = encode_payload(message)
    again = decode_payload(frame.type, payload)
    assert encode_payload(again) == payload, "encoding what was decoded does not come to rest"
    if frame.trailer is None and frame.major == 1:
        written = encode_frame(frame.type, frame.seq, frame.payload)
        assert [read.payload for read in StreamDecoder().feed(written)] == [frame.payload], "re-encoding loses it"


def _rows(type_byte: int, table: Any) -> list[tuple[int, int, bytes, int]]:
    codec = DEFINITIONS[type_byte].codec
    heads = [b""] * len(table)
    tails = [0] * len(table)
    own_names = {field.name for field in codec.fields}
    for field in codec.fields:
        if field.is_tail:
            tails = table[f"{field.name}_bytes"].tolist()
            continue
        name = "message_offset" if field.name == "offset" else field.name
        column = table[name].tobytes()
        heads = [head + column[row * field.size : (row + 1) * field.size] for row, head in enumerate(heads)]
    assert "seq" not in own_names, "the column seq is the frame's"
    return list(zip(table["seq"].tolist(), table["offset"].tolist(), heads, tails, strict=True))
