"""A keyed device: what it takes only sealed, what it drops, and that nothing unsealed disturbs a sealed session."""

import pytest

from protocol import (
    READ_ONLY_TYPES,
    CommandResult,
    CommandResultRequest,
    CommandState,
    DeviceSession,
    Event,
    HandshakeConfirm,
    HelloRequest,
    Nak,
    NakReason,
    StatusRequest,
    Stop,
    Stopped,
    Telemetry,
    encode,
    encode_frame,
    encode_payload,
)
from protocol.registry import DEFINITIONS, Role

REQUESTS = [number for number, entry in DEFINITIONS.items() if entry.role is Role.REQUEST]
NEED_THE_KEY = [number for number in REQUESTS if number not in READ_ONLY_TYPES]
UNAUTHENTICATED = Nak(NakReason.UNAUTHENTICATED, "only in a session opened with the key")
SAMPLE = Telemetry(0, 0, 1, 2, 3, 4.0, 5.0, 6, 0)
NOISE_TRAILER = b"\xff" * 4 + b"\x5a" * 8


def name(number: int) -> str:
    return DEFINITIONS[number].message.__name__


def least_payload(number: int) -> bytes:
    codec = DEFINITIONS[number].codec
    tail = codec.fields[-1] if codec.has_tail else None
    return bytes(codec.head.size + (1 if tail is not None and tail.record is not None else 0))


@pytest.mark.parametrize("number", NEED_THE_KEY, ids=name)
@pytest.mark.parametrize("is_open", [False, True])
def test_what_is_not_for_reading_is_refused_in_the_open_and_not_handed_up(
    number: int, is_open: bool, new_pair, frames
) -> None:
    pair = new_pair().open() if is_open else new_pair()
    wire = encode_frame(number, 9, least_payload(number))
    assert pair.device.session.receive(wire, 0.0) == []
    (frame,) = frames(pair.device.session.data_to_send())
    assert (frame.seq, frame.message, frame.trailer) == (9, UNAUTHENTICATED, None)


@pytest.mark.parametrize("number", sorted(READ_ONLY_TYPES - {HandshakeConfirm.TYPE, 0x28}), ids=name)
@pytest.mark.parametrize("is_open", [False, True])
def test_what_is_for_reading_is_handed_up_from_the_open(number: int, is_open: bool, new_pair) -> None:
    pair = new_pair().open() if is_open else new_pair()
    (request,) = pair.device.session.receive(encode_frame(number, 9, least_payload(number)), 0.0)
    assert (request.seq, request.is_sealed) == (9, False)


def test_a_device_whose_key_is_taken_away_or_that_has_none_takes_everything_and_ignores_trailers(pair, frames) -> None:
    pair.device.guard.key = None
    for session in (pair.device.session, DeviceSession()):
        for trailer in (None, NOISE_TRAILER):
            session.receive(encode(HelloRequest(1, 0, 1 if trailer else 2), seq=2), 0.0)
            (request,) = session.receive(encode_frame(Stop.TYPE, 9, b"", trailer=trailer), 0.0)
            assert (request.message, request.is_sealed) == (Stop(), False)
            session.data_to_send()
            session.reply(9, Stopped(1, 2, 3.0))
            assert [frame.trailer for frame in frames(session.data_to_send())] == [None]
        assert (session.forged, session.replayed) == (0, 0)


def test_a_reply_is_sealed_as_its_request_was(opened, frames) -> None:
    opened.ask(Stop())
    (frame,) = frames(opened.to_host[-1])
    assert frame.trailer is not None
    (frame,) = frames(opened.device.hears(encode(StatusRequest(), seq=9)))
    assert frame.trailer is None


def test_notifications_are_sealed_while_a_session_is_in_force(pair, counters) -> None:
    session = pair.device.session
    session.notify(SAMPLE)
    assert counters(session.data_to_send()) == [None]
    pair.open()
    session.notify(SAMPLE)
    session.notify(Event(1, 2, 3, 4))
    assert counters(session.data_to_send()) == [2, 3]
    pair.device.guard.end_session()
    session.notify(SAMPLE)
    assert counters(session.data_to_send()) == [None]


def test_a_retry_is_answered_from_the_cache_under_a_fresh_counter(opened, counters, frames) -> None:
    opened.host.session.request(CommandResultRequest(7), 0.0)
    first = opened.host.session.data_to_send()
    lost = opened.device.hears(first)
    opened.host.session.poll(1.0)
    second = opened.host.session.data_to_send()
    again = opened.device.hears(second)
    assert frames(first)[0].seq == frames(second)[0].seq
    assert (counters(first), counters(second)) == ([2], [3])
    assert (counters(lost), counters(again)) == ([2], [3])
    (event,) = opened.host.session.receive(again, 1.1)
    assert event.message == CommandResult(7, CommandState.DONE, 1.0, 1.0, 0)
    assert [each.message for each in opened.device.acted].count(CommandResultRequest(7)) == 1
    assert opened.device.session.replays == 1


def test_gaps_in_the_counters_are_allowed(opened) -> None:
    for _ in range(100):
        opened.host.session._sealer.frame(Stop.TYPE, 1, b"")
    assert opened.works()


def test_after_a_reset_a_sealed_frame_is_answered_at_once_that_there_is_no_session(opened, frames) -> None:
    opened.device.reset()
    assert not opened.device.session.is_sealed
    for message in (Stop(), StatusRequest(), HandshakeConfirm()):
        wire = encode_frame(message.TYPE, 9, encode_payload(message), trailer=NOISE_TRAILER)
        (frame,) = frames(opened.device.hears(wire))
        assert (frame.seq, frame.message, frame.trailer) == (9, UNAUTHENTICATED, None)
    assert opened.open().works()


def test_sealed_frames_that_it_cannot_use_are_refused_sealed(opened, frames) -> None:
    sealer = opened.host.session._sealer
    for wire, reason in (
        (sealer.frame(0x7F, 9, b"\1"), NakReason.UNKNOWN_TYPE),
        (sealer.frame(Stop.TYPE, 10, b"\1"), NakReason.MALFORMED),
        (sealer.frame(Stop.TYPE, 11, b"") * 2, None),
        (sealer.frame(StatusRequest.TYPE, 11, b""), NakReason.SEQ_REUSED),
    ):
        (answer,) = frames(opened.device.hears(wire))
        assert getattr(answer.message, "reason", None) is reason
        assert answer.trailer is not None
    assert opened.device.session.replayed == 1
    assert opened.works()


def test_forged_frames_that_nobody_could_use_are_dropped_too(opened) -> None:
    for wire in (
        encode_frame(0x7F, 9, b"\1", trailer=NOISE_TRAILER),
        encode_frame(Stop.TYPE, 9, b"\1", trailer=NOISE_TRAILER),
    ):
        assert opened.device.hears(wire) == b""
    assert opened.device.session.forged == 2


def test_a_forged_or_replayed_frame_does_not_count_as_heard(opened) -> None:
    opened.now = 5.0
    assert opened.works()
    opened.device.hears(encode_frame(Stop.TYPE, 9, b"", trailer=NOISE_TRAILER), 6.0)
    opened.device.hears(opened.to_device[-1], 7.0)
    assert (opened.device.session.forged, opened.device.session.replayed) == (1, 1)
    assert opened.device.session.last_heard_s == 5.0


def test_a_session_that_is_used_up_answers_no_more_and_a_new_one_opens(
    pair, counters, frames, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("protocol.security.LAST_COUNTER", 7)
    pair.open()
    for _ in range(4):
        pair.device.session.notify(SAMPLE)
    assert counters(pair.device.session.data_to_send()) == [2, 3, 4, 5]
    assert pair.works()
    assert pair.device.session.is_sealed
    pair.device.session.notify(SAMPLE)
    assert counters(pair.device.session.data_to_send()) == [7]
    assert not pair.device.session.is_sealed
    pair.host.session.request(Stop(), 0.0)
    assert pair.carry() == []
    assert pair.host.session.is_denied
    assert Stop() not in [each.message for each in pair.device.acted]
    pair.host.session.abandon()
    assert pair.open().works()


def test_a_reply_to_a_session_that_was_used_up_meanwhile_is_dropped(pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("protocol.security.LAST_COUNTER", 4)
    pair.open()
    session = pair.device.session
    seq = pair.host.session.request(Stop(), 0.0)
    session.receive(pair.host.session.data_to_send(), 0.0)
    for _ in range(3):
        session.notify(SAMPLE)
    session.data_to_send()
    session.reply(seq, Stopped(1, 2, 3.0))
    assert (session.dropped_replies, session.data_to_send()) == (1, b"")


def test_an_answer_is_sealed_even_where_it_is_a_refusal(opened, frames) -> None:
    seq = opened.host.session.request(Stop(), 0.0)
    opened.device.session.receive(opened.host.session.data_to_send(), 0.0)
    opened.device.session.reply(seq, Nak(NakReason.BUSY, "priming"))
    (event,) = opened.host.session.receive(opened.device.session.data_to_send(), 0.0)
    assert event.nak == Nak(NakReason.BUSY, "priming")


def test_a_hello_in_a_sealed_session_is_a_read_like_any_other(opened, counters) -> None:
    sealer = opened.host.session._sealer
    seq = opened.host.session.request(CommandResultRequest(7), 0.0)
    opened.carry()
    hello = sealer.frame(HelloRequest.TYPE, 9, encode_payload(HelloRequest(1, 0, 8)))
    assert counters(opened.device.hears(hello)) == [3]
    assert opened.device.acted[-1].is_sealed
    retry = sealer.frame(CommandResultRequest.TYPE, seq, encode_payload(CommandResultRequest(7)))
    opened.device.hears(retry)
    assert opened.device.session.replays == 1
    assert opened.works()


def test_the_first_counter_of_a_session_is_1_both_ways(opened, counters) -> None:
    assert counters(b"".join(opened.to_device)) == [None, None, 1]
    assert counters(b"".join(opened.to_host)) == [None, None, 1]
