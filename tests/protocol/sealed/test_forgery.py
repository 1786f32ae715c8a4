"""Authenticated frames changed in any way, their CRC computed anew: none is taken, none changes anything."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from protocol import (
    Commit,
    HandshakeConfirm,
    HelloRequest,
    Message,
    Proposal,
    StatusRequest,
    Stop,
    Stopped,
    StreamDecoder,
    Subscribe,
    Telemetry,
    encode_payload,
)
from protocol.registry import FIRST_REPLY_TYPE

TRAILER_BYTES = 12
HEADER_FIELDS = {"version and flags": (0, 1), "type": (1, 2), "seq": (2, 4), "length": (4, 6)}
FIELDS = [*HEADER_FIELDS, "payload", "counter", "tag"]
REQUESTS: list[Message] = [
    Stop(),
    StatusRequest(),
    Subscribe(1, 100),
    Commit(42, 0x1122334455667788, bytes(range(8))),
    HandshakeConfirm(),
    HelloRequest(1, 0, 5),
]
REPORTS: list[Message] = [
    Stopped(1, 2, 3.0),
    Telemetry(0, 0, 1, 2, 3, 4.0, 5.0, 6, 0),
    Proposal(42, 1, bytes(8), 30_000, bytes(17)),
]


def genuine(pair, message: Message, seq: int = 500) -> bytes:
    """Header to trailer of a frame that its receiver would take."""
    is_request = message.TYPE < FIRST_REPLY_TYPE
    sealer = pair.host.session._sealer if is_request else pair.device.guard.sealer
    wire = sealer.frame(message.TYPE, seq, encode_payload(message))
    (frame,) = StreamDecoder().feed(wire)
    return (
        bytes([0x11, frame.type])
        + seq.to_bytes(2, "little")
        + len(frame.payload).to_bytes(2, "little")
        + (frame.payload + frame.trailer)
    )


def place_of(field: str, content: bytes) -> tuple[int, int]:
    ends = {
        **HEADER_FIELDS,
        "payload": (6, len(content) - TRAILER_BYTES),
        "counter": (len(content) - TRAILER_BYTES, len(content) - 8),
        "tag": (len(content) - 8, len(content)),
    }
    return ends[field]


def is_taken(pair, wire: bytes) -> bool:
    """Whether the device hands the frame up, or takes it for a request of this session."""
    session = pair.device.session
    handed = session.receive(wire, 0.0)
    answers = StreamDecoder().feed(session.data_to_send())
    return bool(handed) or any(frame.trailer is not None for frame in answers)


@pytest.mark.parametrize("message", REQUESTS, ids=lambda message: type(message).__name__)
def test_no_flipped_bit_of_a_request_is_taken_and_the_frame_itself_is_behind_all_of_them(
    message: Message, new_pair, framed
) -> None:
    pair = new_pair().open()
    content = genuine(pair, message)
    for place in range(len(content)):
        for bit in range(8):
            changed = content[:place] + bytes([content[place] ^ 1 << bit]) + content[place + 1 :]
            assert not is_taken(pair, framed(changed)), f"byte {place}, bit {bit}"
    assert is_taken(pair, framed(content))


@pytest.mark.parametrize("message", REPORTS, ids=lambda message: type(message).__name__)
def test_no_flipped_bit_of_what_a_device_sends_is_taken(message: Message, new_pair, framed) -> None:
    pair = new_pair().open()
    host = pair.host.session
    question = Stop() if isinstance(message, Stopped) else Commit(1, 2, bytes(8))
    seq = host.request(question, 0.0)
    host.data_to_send()
    content = genuine(pair, message, 0 if isinstance(message, Telemetry) else seq)
    for place in range(len(content)):
        for bit in range(8):
            changed = content[:place] + bytes([content[place] ^ 1 << bit]) + content[place + 1 :]
            assert host.receive(framed(changed), 0.0) == [], f"byte {place}, bit {bit}"
    used = host.mismatched_replies
    assert host.receive(framed(content), 0.0) or host.mismatched_replies == used + 1


@pytest.mark.parametrize("field", FIELDS)
@given(message=st.sampled_from(REQUESTS), data=st.data())
def test_a_request_with_another_field_is_not_taken(message: Message, data, field: str, new_pair, framed) -> None:
    pair = new_pair().open()
    content = genuine(pair, message)
    start, end = place_of(field, content)
    size = st.integers(0, 40) if field == "payload" else st.just(end - start)
    other = data.draw(size.flatmap(lambda length: st.binary(min_size=length, max_size=length)))
    assume(other != content[start:end])
    changed = content[:start] + other + content[end:]
    if field == "payload" and data.draw(st.booleans(), label="length field agrees"):
        changed = changed[:4] + len(other).to_bytes(2, "little") + changed[6:]
    assert not is_taken(pair, framed(changed))
    assert is_taken(pair, framed(content)), "the frame itself is taken behind it: nothing has changed"


@given(message=st.sampled_from(REQUESTS), cut=st.integers(1, 30), extra=st.binary(min_size=1, max_size=30))
def test_a_request_cut_short_or_grown_is_not_taken(message: Message, cut: int, extra: bytes, new_pair, framed) -> None:
    pair = new_pair().open()
    content = genuine(pair, message)
    for changed in (content[:-cut], content + extra, content[:6] + extra + content[6:]):
        assert not is_taken(pair, framed(changed))
    assert is_taken(pair, framed(content))


@given(messages=st.lists(st.sampled_from(REQUESTS), min_size=2, max_size=2), cut=st.integers(0, 60))
def test_a_request_spliced_from_two_is_not_taken(messages: list[Message], cut: int, new_pair, framed) -> None:
    pair = new_pair().open()
    first, second = (genuine(pair, message, 500 + number) for number, message in enumerate(messages))
    for spliced in (first[:cut] + second[cut:], first[:-TRAILER_BYTES] + second[-TRAILER_BYTES:]):
        if spliced not in (first, second):
            assert not is_taken(pair, framed(spliced))
    assert is_taken(pair, framed(first))
    assert is_taken(pair, framed(second))


@given(content=st.binary(max_size=80))
def test_no_content_made_up_without_the_key_is_taken_sealed(content: bytes, new_pair, framed) -> None:
    pair = new_pair().open()
    handed = pair.device.session.receive(framed(b"\x11" + content), 0.0)
    assert not any(request.is_sealed for request in handed)
    assert pair.works()


def test_the_trailer_taken_off_leaves_a_plain_request_that_needs_the_key(opened, framed) -> None:
    content = genuine(opened, Stop())
    assert not is_taken(opened, framed(b"\x10" + content[1:-TRAILER_BYTES]))
    assert opened.works()
