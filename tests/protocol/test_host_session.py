"""The host's session: what it refuses, when it tries again, and which answers it takes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import (
    Ack,
    EncodeError,
    Hello,
    HelloRequest,
    HostSession,
    Nak,
    NakReason,
    Notification,
    ProposeBolus,
    Refused,
    Reply,
    SessionError,
    Status,
    StatusRequest,
    Stop,
    Stopped,
    Subscribe,
    Subscription,
    Telemetry,
    TimedOut,
    encode,
)

STOPPED = Stopped(1, 2, 3.0)


def test_a_second_request_is_refused_while_one_is_outstanding() -> None:
    session = HostSession()
    session.request(StatusRequest(), 0.0)
    with pytest.raises(SessionError, match=r"Stop must wait: StatusRequest \(seq 1\) is outstanding"):
        session.request(Stop(), 0.1)


def test_an_abandoned_request_makes_room_for_stop_and_its_reply_is_stale() -> None:
    session = HostSession()
    session.request(Subscribe(1, 100), 0.0)
    late = Subscription(1, 100, 20)
    session.abandon()
    assert session.next_deadline() is None
    assert session.data_to_send() == b""
    seq = session.request(Stop(), 0.1)
    assert session.data_to_send() == encode(Stop(), seq=2)
    assert session.receive(encode(late, seq=1) + encode(STOPPED, seq=2), 0.2) == [Reply(seq, STOPPED)]
    assert session.stale_replies == 1


def test_what_is_not_a_request_is_refused() -> None:
    session = HostSession()
    with pytest.raises(SessionError, match="Ack is not a request; only a device sends it"):
        session.request(Ack(), 0.0)


def test_a_request_that_cannot_be_encoded_leaves_nothing_outstanding() -> None:
    session = HostSession()
    with pytest.raises(EncodeError):
        session.request(ProposeBolus(-1, 1.0, 1.0), 0.0)
    assert session.next_deadline() is None
    assert session.request(Stop(), 0.0) == 1


@pytest.mark.parametrize(("timeout_s", "attempts"), [(0.0, 3), (-1.0, 3), (float("nan"), 3), (0.5, 0)])
def test_a_session_that_could_not_wait_or_send_is_refused(timeout_s: float, attempts: int) -> None:
    with pytest.raises(ValueError, match="timeout_s must be above 0 and attempts at least 1"):
        HostSession(timeout_s=timeout_s, attempts=attempts)


def test_attempts_are_the_same_frame_and_each_waits_the_time_out() -> None:
    session = HostSession(timeout_s=2.0, attempts=2)
    seq = session.request(Stop(), 100.0)
    first = session.data_to_send()
    assert (session.next_deadline(), session.data_to_send()) == (102.0, b"")
    assert session.poll(101.999) == []
    assert session.data_to_send() == b""
    assert session.poll(102.5) == []
    assert session.data_to_send() == first == encode(Stop(), seq=seq)
    assert session.next_deadline() == 104.5
    assert session.poll(104.5) == [TimedOut(seq, Stop())]
    assert (session.next_deadline(), session.data_to_send(), session.poll(999.0)) == (None, b"", [])


def test_a_host_that_slept_retries_once_before_it_gives_up() -> None:
    session = HostSession(timeout_s=0.5, attempts=2)
    session.request(Stop(), 0.0)
    assert session.poll(3600.0) == []
    assert session.next_deadline() == 3600.5


def test_a_late_answer_counts_as_long_as_nobody_gave_up() -> None:
    session = HostSession(timeout_s=0.5, attempts=1)
    seq = session.request(Stop(), 0.0)
    assert session.receive(encode(STOPPED, seq=seq), 7.0) == [Reply(seq, STOPPED)]
    assert session.poll(8.0) == []


def test_seq_goes_round_without_zero() -> None:
    session = HostSession()
    seqs = []
    for nonce in (65533, None, None, None):
        message = HelloRequest(1, 0, nonce) if nonce is not None else Stop()
        seqs.append(session.request(message, 0.0))
        session.abandon()
    assert seqs == [65534, 65535, 1, 2]


@given(st.integers(0, 2**64 - 1))
def test_hello_takes_its_seq_from_the_nonce(nonce: int) -> None:
    seq = HostSession().request(HelloRequest(1, 0, nonce), 0.0)
    assert 1 <= seq <= 65535
    assert (seq - 1 - nonce) % 65535 == 0


def test_a_nak_is_a_refusal_and_frees_the_session() -> None:
    session = HostSession()
    seq = session.request(ProposeBolus(1, 1.0, 1.0), 0.0)
    nak = Nak(NakReason.BUSY, "priming")
    assert session.receive(encode(nak, seq=seq), 0.1) == [Refused(seq, nak)]
    assert session.request(Stop(), 0.2) == 2


def test_the_answer_is_taken_once() -> None:
    session = HostSession()
    seq = session.request(Stop(), 0.0)
    assert session.receive(encode(STOPPED, seq=seq) * 3, 0.1) == [Reply(seq, STOPPED)]
    assert session.stale_replies == 2


def test_a_reply_of_another_type_is_not_taken_and_the_retry_goes_on() -> None:
    session = HostSession()
    seq = session.request(StatusRequest(), 0.0)
    assert session.receive(encode(STOPPED, seq=seq), 0.1) == []
    assert session.mismatched_replies == 1
    assert session.next_deadline() == 0.5


def test_notifications_come_with_and_without_a_request() -> None:
    session = HostSession()
    sample = Telemetry(0, 0, 1, 2, 3, 4.0, 5.0, 6, 0)
    assert session.receive(encode(sample), 0.0) == [Notification(sample)]
    seq = session.request(Stop(), 0.1)
    stream = encode(sample) + encode(STOPPED, seq=seq) + encode(sample)
    assert session.receive(stream, 0.2) == [Notification(sample), Reply(seq, STOPPED), Notification(sample)]


def test_a_request_that_the_device_lays_out_otherwise_is_refused_and_leaves_nothing_outstanding() -> None:
    session = HostSession()
    session.usable = frozenset({HelloRequest.TYPE, Hello.TYPE, Stop.TYPE, Stopped.TYPE, Nak.TYPE})
    with pytest.raises(
        SessionError, match="StatusRequest is not usable: its layout or a reply's differs on this device"
    ):
        session.request(StatusRequest(), 0.0)
    assert (session.next_deadline(), session.data_to_send()) == (None, b"")
    seq = session.request(Stop(), 0.0)
    assert session.receive(encode(STOPPED, seq=seq), 0.1) == [Reply(seq, STOPPED)]


def test_frames_that_the_device_lays_out_otherwise_are_dropped_and_counted() -> None:
    session = HostSession()
    session.usable = frozenset({Stop.TYPE, Stopped.TYPE})
    seq = session.request(Stop(), 0.0)
    sample = encode(Telemetry(0, 0, 1, 2, 3, 4.0, 5.0, 6, 0))
    assert session.receive(sample + encode(Nak(NakReason.BUSY, ""), seq=seq), 0.1) == []
    assert session.unusable_frames == 2
    assert session.receive(encode(STOPPED, seq=seq) + sample, 0.2) == [Reply(seq, STOPPED)]
    assert session.unusable_frames == 3


def test_it_says_when_it_last_heard_an_intact_frame() -> None:
    session = HostSession()
    session.receive(b"\x05noise\0", 1.0)
    assert session.last_heard_s is None
    session.receive(encode(Ack(), seq=9), 2.0)
    session.receive(b"\x05noise\0", 3.0)
    assert session.last_heard_s == 2.0


@given(st.lists(st.binary(max_size=60) | st.integers(0, 3).map(lambda seq: encode(Ack(), seq=seq)), max_size=20))
def test_no_bytes_make_it_raise_and_no_answer_is_invented(chunks: list[bytes]) -> None:
    session = HostSession()
    session.request(StatusRequest(), 0.0)
    for chunk in chunks:
        for event in session.receive(chunk, 0.1):
            assert isinstance(event, Reply)
            assert isinstance(event.message, Status)
