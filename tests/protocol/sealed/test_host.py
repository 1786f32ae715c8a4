"""A host with a key: everything it sends is sealed afresh, and only what the device sealed is taken."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import (
    Ack,
    CounterExhausted,
    Event,
    Nak,
    NakReason,
    Notification,
    StatusRequest,
    Stop,
    Stopped,
    Telemetry,
    TimedOut,
    encode,
    encode_frame,
    encode_payload,
)
from protocol.security import Direction, Sealer

STOPPED = Stopped(1, 2, 3.0)
SAMPLE = Telemetry(0, 0, 1, 2, 3, 4.0, 5.0, 6, 0)
NOISE_TRAILER = b"\xff" * 4 + b"\x5a" * 8


def test_every_attempt_has_the_same_seq_and_a_counter_of_its_own(opened, frames) -> None:
    host = opened.host.session
    seq = host.request(Stop(), 0.0)
    attempts = [host.data_to_send()]
    for now in (1.0, 2.0):
        assert host.poll(now) == []
        attempts.append(host.data_to_send())
    sent = [frames(wire)[0] for wire in attempts]
    assert {(frame.type, frame.seq, frame.payload) for frame in sent} == {(Stop.TYPE, seq, b"")}
    assert [frame.trailer[:4] for frame in sent] == [bytes([counter, 0, 0, 0]) for counter in (2, 3, 4)]
    assert len({frame.trailer[4:] for frame in sent}) == 3
    assert host.poll(3.0) == [TimedOut(seq, Stop())]


@pytest.mark.parametrize("message", [STOPPED, Nak(NakReason.BUSY, ""), Nak(NakReason.BAD_TOKEN, "")])
def test_a_plain_reply_is_never_taken(opened, message) -> None:
    host = opened.host.session
    seq = host.request(Stop(), 0.0)
    assert host.receive(encode(message, seq=seq), 0.1) == []
    assert (host.forged_frames, host.is_denied) == (1, False)
    (event,) = opened.carry()
    assert event.message == STOPPED


def test_plain_and_forged_notifications_are_dropped(opened) -> None:
    host = opened.host.session
    plain = encode(SAMPLE)
    forged = encode_frame(SAMPLE.TYPE, 0, encode_payload(SAMPLE), trailer=NOISE_TRAILER)
    assert host.receive(plain + forged, 0.1) == []
    assert host.forged_frames == 2
    opened.device.session.notify(SAMPLE)
    opened.device.session.notify(Event(1, 2, 3, 4))
    stream = opened.device.session.data_to_send()
    assert host.receive(plain + stream + forged, 0.2) == [Notification(SAMPLE), Notification(Event(1, 2, 3, 4))]
    assert host.receive(stream, 0.3) == []
    assert (host.forged_frames, host.replayed_frames) == (4, 2)


def test_the_refusal_of_a_device_without_the_session_is_a_hint_and_no_answer(opened) -> None:
    host = opened.host.session
    seq = host.request(Stop(), 0.0)
    denial = Nak(NakReason.UNAUTHENTICATED, "")
    assert host.receive(encode(denial, seq=seq + 1), 0.1) == []
    assert not host.is_denied, "of another request"
    assert host.receive(encode_frame(denial.TYPE, seq, encode_payload(denial), trailer=NOISE_TRAILER), 0.1) == []
    assert not host.is_denied, "forged"
    assert host.receive(encode(denial, seq=seq), 0.1) == []
    assert host.is_denied
    assert host.next_deadline() == 1.0, "the request goes on"
    (event,) = opened.carry()
    assert event.message == STOPPED
    opened.open()
    assert not host.is_denied


def test_a_denial_that_nobody_waits_for_is_no_hint(opened) -> None:
    opened.host.session.receive(encode(Nak(NakReason.UNAUTHENTICATED, ""), seq=9), 0.1)
    assert not opened.host.session.is_denied


def test_an_answer_is_taken_once_and_in_its_own_session(opened) -> None:
    host = opened.host.session
    opened.ask(Stop())
    first = opened.to_host[-1]
    seq = host.request(Stop(), 0.0)
    assert host.receive(first, 0.1) == []
    assert host.replayed_frames == 1
    host.abandon()
    opened.open()
    host._next_seq = seq
    host.request(Stop(), 0.2)
    assert host.receive(first, 0.2) == []
    assert host.forged_frames == 1


def test_what_the_host_sent_is_not_taken_for_an_answer(opened, frames, framed) -> None:
    host = opened.host.session
    seq = host.request(Stop(), 0.0)
    own = host.data_to_send()
    assert host.receive(own, 0.1) == []
    assert host.echoes == 1
    wrong_way = Sealer(opened.host.keys, Direction.TO_DEVICE).frame(Ack.TYPE, seq, b"")
    assert host.receive(wrong_way, 0.1) == []
    assert host.forged_frames == 1


def test_a_forged_highest_counter_locks_the_device_not_out(opened) -> None:
    host = opened.host.session
    host.request(Stop(), 0.0)
    host.receive(encode_frame(SAMPLE.TYPE, 0, encode_payload(SAMPLE), trailer=NOISE_TRAILER), 0.1)
    (event,) = opened.carry()
    assert event.message == STOPPED


def test_only_what_is_proven_counts_as_heard(opened) -> None:
    host = opened.host.session
    opened.now = 5.0
    assert opened.works()
    host.receive(encode(SAMPLE), 6.0)
    assert host.last_heard_s == 5.0


def test_a_request_that_might_run_out_of_counters_is_refused(pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("protocol.security.LAST_COUNTER", 7)
    pair.open()
    assert pair.works()
    host = pair.host.session
    host.request(Stop(), 0.0)
    assert [host.poll(now) for now in (1.0, 2.0)] == [[], []]
    (event,) = pair.carry()
    assert event.message == STOPPED
    for message in (Stop(), StatusRequest()):
        with pytest.raises(CounterExhausted, match="used up its counters; open it anew"):
            host.request(message, 3.0)
    assert (host.next_deadline(), host.data_to_send()) == (None, b"")
    assert pair.open().works()


@given(
    chunks=st.lists(st.binary(max_size=60) | st.integers(0, 9).map(lambda seq: encode(STOPPED, seq=seq)), max_size=20)
)
def test_no_bytes_make_a_secured_host_raise_and_no_answer_is_invented(chunks: list[bytes], new_pair) -> None:
    host = new_pair().open().host.session
    host.request(Stop(), 0.0)
    for chunk in chunks:
        assert host.receive(chunk, 0.1) == []


def test_a_host_that_was_not_secured_ignores_trailers(pair) -> None:
    seq = pair.host.session.request(Stop(), 0.0)
    wire = encode_frame(STOPPED.TYPE, seq, encode_payload(STOPPED), trailer=NOISE_TRAILER)
    (event,) = pair.host.session.receive(wire, 0.1)
    assert event.message == STOPPED
    assert pair.host.session.forged_frames == 0
