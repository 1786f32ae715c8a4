"""Strangers who shake hands, the rate limit on wrong confirmations, and what another key of the device ends."""

import pytest

from protocol import (
    TEST_KEY,
    Ack,
    Handshake,
    HandshakeConfirm,
    HandshakeFailed,
    HandshakeRequest,
    HelloRequest,
    Nak,
    NakReason,
    StatusRequest,
    Stop,
    StreamDecoder,
    encode,
    encode_frame,
)
from protocol.handshake import FAILURES_ALLOWED, LOCKED_S

OTHER_KEY = bytes(range(16))
STRANGERS = HandshakeRequest(b"S" * 16)


def naks(data: bytes) -> list[tuple[NakReason | int, str]]:
    return [(nak.reason, nak.detail) for frame in StreamDecoder().feed(data) if isinstance(nak := frame.message, Nak)]


def test_a_stranger_who_shakes_hands_and_confirms_wrongly_ends_no_session(opened) -> None:
    device = opened.device
    device.hears(encode(HelloRequest(1, 0, 3), seq=4))
    assert isinstance(StreamDecoder().feed(device.hears(encode(STRANGERS, seq=5)))[0].message, Handshake)
    assert device.session.is_sealed
    assert opened.works()
    assert device.hears(encode_frame(HandshakeConfirm.TYPE, 6, b"", trailer=b"\1" + bytes(11))) == b""
    assert device.session.forged == 1
    assert opened.works()


def test_a_strangers_hello_between_hello_and_handshake_is_noticed(pair) -> None:
    handshake = pair.handshake()
    pair.device.hears(encode(HelloRequest(1, 0, 3), seq=4))
    with pytest.raises(HandshakeFailed, match="HELLO was changed or repeated"):
        handshake.accept(pair.ask(handshake.request()))
    assert pair.open().works()


def test_a_strangers_hello_between_handshake_and_confirmation_changes_nothing(pair) -> None:
    handshake = pair.handshake()
    pair.host.session.secure(handshake.accept(pair.ask(handshake.request())))
    pair.device.hears(encode(HelloRequest(1, 0, 3), seq=4))
    assert pair.ask(HandshakeConfirm()) == Ack()
    assert pair.works()


def fail_once(pair) -> None:
    """A handshake of a stranger, who guesses the confirmation."""
    pair.device.hears(encode(HelloRequest(1, 0, 3), seq=4), pair.now)
    pair.device.hears(encode(STRANGERS, seq=5), pair.now)
    pair.device.hears(encode_frame(HandshakeConfirm.TYPE, 6, b"", trailer=b"\1" + bytes(11)), pair.now)
    pair.device.hears(encode(HelloRequest(1, 0, 4), seq=5), pair.now)


def test_after_five_wrong_confirmations_in_a_row_no_handshake_for_30_s(pair) -> None:
    for _ in range(FAILURES_ALLOWED - 1):
        fail_once(pair)
    pair.open()
    for _ in range(FAILURES_ALLOWED - 1):
        fail_once(pair)
    assert pair.open().works()
    for _ in range(FAILURES_ALLOWED):
        fail_once(pair)
    pair.device.hears(encode(HelloRequest(1, 0, 5), seq=6), pair.now)
    detail = "no handshake for {} s: too many went wrong"
    answer = pair.device.hears(encode(STRANGERS, seq=7), 0.0)
    assert naks(answer) == [(NakReason.RATE_LIMITED, detail.format(30))]
    answer = pair.device.hears(encode(STRANGERS, seq=8), LOCKED_S - 0.001)
    assert naks(answer) == [(NakReason.RATE_LIMITED, detail.format(1))]
    assert pair.works(), "the session in force goes on"
    pair.now = LOCKED_S
    for _ in range(FAILURES_ALLOWED):
        fail_once(pair)
    pair.device.hears(encode(HelloRequest(1, 0, 6), seq=6), pair.now)
    answer = pair.device.hears(encode(STRANGERS, seq=9), pair.now)
    assert naks(answer) == [(NakReason.RATE_LIMITED, detail.format(30))]
    pair.now = 2 * LOCKED_S
    assert pair.open().works()


def test_handshakes_that_are_replaced_or_never_confirmed_are_no_failures(pair) -> None:
    for number in range(3 * FAILURES_ALLOWED):
        pair.device.hears(encode(HelloRequest(1, 0, number), seq=1 + number))
        pair.device.hears(encode(STRANGERS, seq=100 + number))
        pair.device.hears(encode(HandshakeRequest(b"T" * 16), seq=200 + number))
    assert pair.open().works()


def test_one_wrong_confirmation_is_all_that_a_handshake_allows(pair) -> None:
    handshake = pair.handshake()
    keys = handshake.accept(pair.ask(handshake.request()))
    pair.device.hears(encode_frame(HandshakeConfirm.TYPE, 6, b"", trailer=b"\1" + bytes(11)))
    pair.host.session.secure(keys)
    pair.host.session.request(HandshakeConfirm(), 0.0)
    assert pair.carry() == []
    assert pair.host.session.is_denied
    assert not pair.device.session.is_sealed


def test_a_confirmation_that_is_malformed_leaves_the_handshake_under_way(pair) -> None:
    handshake = pair.handshake()
    pair.host.session.secure(handshake.accept(pair.ask(handshake.request())))
    pair.device.hears(encode_frame(HandshakeConfirm.TYPE, 6, b"\1", trailer=b"\1" + bytes(11)))
    assert pair.ask(HandshakeConfirm()) == Ack()


def test_the_wrong_confirmations_stay_counted_through_a_reset_as_long_as_the_guard_lives(pair) -> None:
    for _ in range(FAILURES_ALLOWED):
        fail_once(pair)
        pair.device.reset()
    pair.device.hears(encode(HelloRequest(1, 0, 5), seq=6))
    assert [reason for reason, _ in naks(pair.device.hears(encode(STRANGERS, seq=7)))] == [NakReason.RATE_LIMITED]


def test_a_new_key_ends_the_session_the_handshake_and_the_rate_limit(opened) -> None:
    for _ in range(FAILURES_ALLOWED):
        fail_once(opened)
    opened.device.guard.key = OTHER_KEY
    assert not opened.device.session.is_sealed
    opened.host.key = OTHER_KEY
    assert opened.open().works()


def test_what_was_let_in_under_another_key_is_not_taken_any_more(pair) -> None:
    guard = pair.device.guard
    guard.key = None
    assert guard.takes(Stop.TYPE, is_sealed=False)
    guard.key = TEST_KEY
    assert (guard.takes(Stop.TYPE, is_sealed=False), guard.takes(StatusRequest.TYPE, is_sealed=False)) == (False, True)
    pair.open()
    assert guard.takes(Stop.TYPE, is_sealed=True)
    guard.key = OTHER_KEY
    assert not guard.takes(Stop.TYPE, is_sealed=True)


def test_the_same_key_once_more_changes_nothing(opened) -> None:
    opened.device.guard.key = bytes(TEST_KEY)
    assert opened.works()


def test_a_handshake_under_the_old_key_is_not_confirmed_under_the_new(pair) -> None:
    handshake = pair.handshake()
    pair.host.session.secure(handshake.accept(pair.ask(handshake.request())))
    pair.device.guard.key = OTHER_KEY
    pair.host.session.request(HandshakeConfirm(), 0.0)
    assert pair.carry() == []
    assert not pair.device.session.is_sealed
