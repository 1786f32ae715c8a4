"""The device's session: each request acted on once, retries from the cache, and what it refuses by itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import (
    Ack,
    CommandResultRequest,
    DeviceRequest,
    DeviceSession,
    EncodeError,
    Event,
    Frame,
    Hello,
    HelloRequest,
    Message,
    Nak,
    NakReason,
    Proposal,
    ProposeContinuous,
    SessionError,
    StatusRequest,
    Stop,
    Stopped,
    StreamDecoder,
    Subscribe,
    Subscription,
    encode,
    encode_frame,
)
from protocol.device_session import REPLIES_KEPT

STOPPED = Stopped(1, 2, 3.0)
HELLO = Hello(1, 0, bytes(8), 0, 512, 1, 0, "", "", "")


def sent(session: DeviceSession) -> list[tuple[int, Message]]:
    return [(frame.seq, frame.message) for frame in StreamDecoder().feed(session.data_to_send())]


def test_a_request_is_handed_up_and_its_reply_goes_out() -> None:
    session = DeviceSession()
    assert session.receive(encode(Stop(), seq=7), 0.0) == [DeviceRequest(7, Stop())]
    session.reply(7, STOPPED)
    assert session.data_to_send() == encode(STOPPED, seq=7)
    assert session.data_to_send() == b""


def test_a_retry_gets_the_same_bytes_and_is_not_handed_up() -> None:
    session = DeviceSession()
    session.receive(encode(Stop(), seq=7), 0.0)
    session.reply(7, STOPPED)
    first = session.data_to_send()
    for attempt in range(1, 4):
        assert session.receive(encode(Stop(), seq=7), float(attempt)) == []
        assert session.data_to_send() == first
    assert session.replays == 3


def test_a_retry_with_another_trailer_is_the_same_request() -> None:
    session = DeviceSession()
    session.receive(encode_frame(Stop.TYPE, 7, b"", trailer=b"\1" * 12), 0.0)
    session.reply(7, STOPPED)
    assert session.receive(encode_frame(Stop.TYPE, 7, b"", trailer=b"\2" * 12), 1.0) == []
    assert session.replays == 1


def test_a_retry_before_the_reply_is_ignored() -> None:
    session = DeviceSession()
    assert len(session.receive(encode(Stop(), seq=7) * 2, 0.0)) == 1
    assert (session.repeats_pending, session.data_to_send()) == (1, b"")


def test_the_same_seq_with_other_content_is_refused_and_the_cache_stays() -> None:
    session = DeviceSession()
    session.receive(encode(CommandResultRequest(1), seq=7), 0.0)
    session.reply(7, Nak(NakReason.BUSY, ""))
    session.data_to_send()
    assert session.receive(encode(CommandResultRequest(2), seq=7), 0.0) == []
    assert sent(session) == [(7, Nak(NakReason.SEQ_REUSED, "this seq was used for another request"))]
    session.receive(encode(CommandResultRequest(1), seq=7), 0.0)
    assert sent(session) == [(7, Nak(NakReason.BUSY, ""))]


def test_hello_opens_a_session_and_clears_the_cache() -> None:
    session = DeviceSession()
    session.receive(encode(StatusRequest(), seq=7), 0.0)
    session.reply(7, Nak(NakReason.WRONG_STATE, ""))
    session.receive(encode(HelloRequest(1, 0, 1), seq=2), 1.0)
    assert session.receive(encode(StatusRequest(), seq=7), 2.0) == [DeviceRequest(7, StatusRequest())]


def test_a_hello_may_take_a_seq_of_the_old_session() -> None:
    session = DeviceSession()
    session.receive(encode(Stop(), seq=2), 0.0)
    session.reply(2, STOPPED)
    assert session.receive(encode(HelloRequest(1, 0, 1), seq=2), 1.0) == [DeviceRequest(2, HelloRequest(1, 0, 1))]


def test_the_cache_forgets_the_oldest_and_seq_may_come_round() -> None:
    session = DeviceSession()
    for seq in range(1, REPLIES_KEPT + 2):
        session.receive(encode(Stop(), seq=seq), 0.0)
        session.reply(seq, STOPPED)
    assert session.receive(encode(Stop(), seq=2), 0.0) == []
    assert session.receive(encode(StatusRequest(), seq=1), 0.0) == [DeviceRequest(1, StatusRequest())]


def test_a_reply_after_its_session_ended_is_dropped_and_counted() -> None:
    session = DeviceSession()
    requests = session.receive(encode(Stop(), seq=7) + encode(HelloRequest(1, 0, 6), seq=7), 0.0)
    assert [type(request.message) for request in requests] == [Stop, HelloRequest]
    session.reply(7, STOPPED)
    assert (session.dropped_replies, session.data_to_send()) == (1, b"")
    session.reply(7, HELLO)
    assert sent(session) == [(7, HELLO)]


def test_requests_of_two_sessions_with_one_seq_in_one_batch_are_not_mixed_up() -> None:
    session = DeviceSession()
    hello = HelloRequest(1, 0, 6)
    batch = encode(Stop(), seq=8) + encode(hello, seq=7) + encode(Stop(), seq=8)
    assert [(r.seq, r.message) for r in session.receive(batch, 0.0)] == [(8, Stop()), (7, hello), (8, Stop())]
    session.reply(8, STOPPED)
    session.reply(7, HELLO)
    session.reply(8, Stopped(4, 5, 6.0))
    assert session.dropped_replies == 1
    assert sent(session) == [(7, HELLO), (8, Stopped(4, 5, 6.0))]


def test_a_reply_from_two_sessions_ago_is_dropped_and_counted() -> None:
    session = DeviceSession()
    two_hellos = encode(HelloRequest(1, 0, 6), seq=2) + encode(HelloRequest(1, 0, 7), seq=3)
    assert len(session.receive(encode(Stop(), seq=1) + two_hellos, 0.0)) == 3
    session.reply(1, STOPPED)
    session.reply(2, HELLO)
    assert (session.dropped_replies, session.data_to_send()) == (2, b"")
    session.reply(3, HELLO)
    assert sent(session) == [(3, HELLO)]


def test_a_reply_whose_place_in_the_cache_is_gone_is_dropped_and_counted() -> None:
    session = DeviceSession()
    for seq in range(1, REPLIES_KEPT + 2):
        session.receive(encode(Stop(), seq=seq), 0.0)
    session.reply(1, STOPPED)
    assert (session.dropped_replies, session.data_to_send()) == (1, b"")
    with pytest.raises(SessionError, match="Stopped answers no request that waits with seq 1"):
        session.reply(1, STOPPED)


@pytest.mark.parametrize(("seq", "message"), [(8, STOPPED), (7, Ack()), (7, Event(1, 2, 3, 4)), (7, Stop())])
def test_a_reply_to_nothing_or_of_another_type_is_refused(seq: int, message: Message) -> None:
    session = DeviceSession()
    session.receive(encode(Stop(), seq=7), 0.0)
    with pytest.raises(SessionError, match=f"{type(message).__name__} answers no request that waits with seq {seq}"):
        session.reply(seq, message)


def test_a_request_is_answered_once() -> None:
    session = DeviceSession()
    session.receive(encode(Stop(), seq=7), 0.0)
    session.reply(7, STOPPED)
    with pytest.raises(SessionError, match="Stopped answers no request that waits with seq 7"):
        session.reply(7, STOPPED)


def test_a_reply_that_cannot_be_encoded_leaves_the_request_waiting() -> None:
    session = DeviceSession()
    session.receive(encode(ProposeContinuous(1, 2.0, 0), seq=7), 0.0)
    with pytest.raises(EncodeError):
        session.reply(7, Proposal(1, 2, bytes(8), 3, bytes(500)))
    session.reply(7, Proposal(1, 2, bytes(8), 3, bytes(16)))
    assert len(sent(session)) == 1


def test_notifications_have_seq_zero_and_replies_are_none() -> None:
    session = DeviceSession()
    session.notify(Event(1, 2, 3, 4))
    assert sent(session) == [(0, Event(1, 2, 3, 4))]
    with pytest.raises(SessionError, match="Ack is not a notification"):
        session.notify(Ack())


def test_what_only_a_device_sends_is_never_answered(wire) -> None:
    session = DeviceSession()
    for content in ("10 A0 01 00 00 00", "10 BF 01 00 00 00", "10 A0 01 00 01 00", "20 82 01 00 00 00"):
        assert session.receive(wire(content), 0.0) == []
    assert (session.echoes, session.data_to_send()) == (4, b"")


def test_requests_and_refusals_keep_their_order(wire) -> None:
    session = DeviceSession()
    stream = wire("10 7F 01 00 00 00") + encode(Stop(), seq=2) + b"\x05noise\0" + wire("10 14 03 00 00 00")
    assert session.receive(stream, 0.0) == [DeviceRequest(2, Stop())]
    assert [(seq, message.reason) for seq, message in sent(session) if isinstance(message, Nak)] == [
        (1, NakReason.UNKNOWN_TYPE),
        (3, NakReason.MALFORMED),
    ]


def test_it_says_when_it_last_heard_an_intact_frame(wire) -> None:
    session = DeviceSession()
    session.receive(b"\x05noise\0", 1.0)
    assert session.last_heard_s is None
    session.receive(wire("10 7F 01 00 00 00"), 2.0)
    assert session.last_heard_s == 2.0


@given(st.lists(st.binary(max_size=60), max_size=20))
def test_no_bytes_make_it_raise_and_noise_is_not_answered(chunks: list[bytes]) -> None:
    session = DeviceSession()
    for chunk in chunks:
        assert session.receive(chunk, 0.0) == []
    assert session.data_to_send() == b""


contents = st.sampled_from([Stop(), StatusRequest(), Subscribe(1, 1), Subscribe(1, 2)])
answer_to = {Stop: STOPPED, StatusRequest: Nak(NakReason.BUSY, "status"), Subscribe: Subscription(1, 1, 1)}


@given(st.lists(st.tuples(st.integers(1, 3), contents), max_size=REPLIES_KEPT))
def test_each_seq_is_acted_on_once_and_every_frame_is_answered(history: list[tuple[int, Message]]) -> None:
    session = DeviceSession()
    first: dict[int, Message] = {}
    for seq, message in history:
        requests = session.receive(encode(message, seq=seq), 0.0)
        known = first.setdefault(seq, message)
        expected = answer_to[type(message)]
        if requests:
            session.reply(seq, expected)
        (reply,) = sent(session)
        if known == message:
            assert reply == (seq, expected)
        else:
            assert requests == []
            assert reply[1].reason is NakReason.SEQ_REUSED  # type: ignore[attr-defined]


def test_frames_are_what_the_decoder_gives() -> None:
    assert DeviceSession().decoder.feed(encode(Stop(), seq=1)) == [Frame(Stop.TYPE, 1, b"", 1)]
