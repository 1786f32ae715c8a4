"""How an authenticated session begins: proof of the key, no downgrade, no session ended by a stranger, a rate limit."""

from dataclasses import replace

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from protocol import (
    TEST_KEY,
    Ack,
    Capability,
    CommandResultRequest,
    DeviceSession,
    Handshake,
    HandshakeConfirm,
    HandshakeFailed,
    HandshakeRequest,
    Hello,
    HelloRequest,
    HostHandshake,
    Nak,
    NakReason,
    SessionError,
    SessionKeys,
    StatusRequest,
    Stop,
    StreamDecoder,
    encode,
    encode_frame,
    encode_payload,
)
from protocol.device_session import REPLIES_KEPT

OTHER_KEY = bytes(range(16))
STRANGERS = HandshakeRequest(b"S" * 16)


def confirm(keys: SessionKeys, trailer_of, *, counter: int = 1, seq: int = 9) -> bytes:
    """A confirmation made outside our code."""
    content = bytes([0x11, HandshakeConfirm.TYPE, seq, 0, 0, 0])
    return encode_frame(HandshakeConfirm.TYPE, seq, b"", trailer=trailer_of(content, counter, to_device=True))


def naks(data: bytes) -> list[tuple[NakReason | int, str]]:
    return [(nak.reason, nak.detail) for frame in StreamDecoder().feed(data) if isinstance(nak := frame.message, Nak)]


def test_both_sides_come_to_the_keys_of_the_second_implementation(pair, second_keys) -> None:
    handshake = pair.handshake()
    answer = pair.ask(handshake.request())
    assert isinstance(answer, Handshake)
    hello = encode_payload(handshake.hello_request) + encode_payload(handshake.hello)
    second = second_keys(TEST_KEY, handshake.host_nonce, answer.device_nonce, hello)
    keys = handshake.accept(answer)
    assert (keys.session_id, keys.to_device, keys.to_host) == (second.session_id, second.to_device, second.to_host)
    assert answer.proof == second.proof
    data = pair.device.hears(confirm(keys, second.trailer))
    (frame,) = StreamDecoder().feed(data)
    assert (frame.message, frame.seq) == (Ack(), 9)
    assert frame.trailer == second.trailer(bytes([0x11, Ack.TYPE, 9, 0, 0, 0]), 1, to_device=False)


def test_the_confirmation_is_handed_up_once_and_from_then_on_the_session_is_sealed(pair) -> None:
    assert not pair.device.session.is_sealed
    pair.open()
    assert pair.device.session.is_sealed
    assert pair.host.session.is_secured
    handed = [each.is_sealed for each in pair.device.acted if isinstance(each.message, HandshakeConfirm)]
    assert handed == [True]
    assert pair.works()


def test_a_host_with_another_key_finds_out_before_it_sends_anything_that_depends_on_it(pair) -> None:
    pair.host.key = OTHER_KEY
    handshake = pair.handshake()
    answer = pair.ask(handshake.request())
    with pytest.raises(HandshakeFailed, match="the device did not prove our key"):
        handshake.accept(answer)
    assert pair.host.session.data_to_send() == b""


texts = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=16)
OTHER_HELLOS = {
    "protocol_major": st.integers(0, 255),
    "protocol_minor": st.integers(0, 255),
    "schema_hash": st.binary(min_size=8, max_size=8),
    "capabilities": st.integers(0, 2**32 - 1),
    "mtu": st.integers(0, 2**16 - 1),
    "boot_id": st.integers(0, 2**32 - 1),
    "last_command_id": st.integers(0, 2**64 - 1),
    "model": texts,
    "serial_number": texts,
    "firmware_version": texts,
}


@pytest.mark.parametrize("field", Hello.__struct_fields__)
@given(data=st.data())
def test_whatever_is_changed_in_hello_on_the_line_makes_the_handshake_fail(data, field: str, new_pair) -> None:
    pair = new_pair()
    handshake = pair.handshake()
    answer = pair.ask(handshake.request())
    changed = msgspec.structs.replace(handshake.hello, **{field: data.draw(OTHER_HELLOS[field])})
    assume(encode_payload(changed) != encode_payload(handshake.hello))
    with pytest.raises(HandshakeFailed):
        replace(handshake, hello=changed).accept(answer)


@given(
    request=st.builds(HelloRequest, st.integers(0, 255), st.integers(0, 255), st.integers(0, 2**64 - 1)),
)
def test_whatever_is_changed_in_the_hello_request_makes_the_handshake_fail(request, new_pair) -> None:
    pair = new_pair()
    handshake = pair.handshake()
    answer = pair.ask(handshake.request())
    assume(request != handshake.hello_request)
    with pytest.raises(HandshakeFailed):
        replace(handshake, hello_request=request).accept(answer)


@given(place=st.integers(0, 23), bit=st.integers(0, 7))
def test_a_changed_handshake_fails(place: int, bit: int, new_pair) -> None:
    pair = new_pair()
    handshake = pair.handshake()
    octets = bytearray(encode_payload(pair.ask(handshake.request())))
    octets[place] ^= 1 << bit
    with pytest.raises(HandshakeFailed):
        handshake.accept(Handshake(bytes(octets[:16]), bytes(octets[16:])))


def test_without_the_bit_of_authentication_the_host_would_have_seen_another_hello(pair) -> None:
    handshake = pair.handshake()
    assert handshake.hello.capabilities & Capability.AUTHENTICATION
    answer = pair.ask(handshake.request())
    stripped = msgspec.structs.replace(handshake.hello, capabilities=Capability.CONTINUOUS)
    with pytest.raises(HandshakeFailed):
        replace(handshake, hello=stripped).accept(answer)


def test_an_answer_to_an_earlier_handshake_is_not_taken_with_a_fresh_nonce(pair) -> None:
    first = pair.handshake()
    answer = pair.ask(first.request())
    first.accept(answer)
    with pytest.raises(HandshakeFailed):
        replace(first, host_nonce=pair.host.nonce()).accept(answer)


def test_a_recorded_opening_does_not_open_again_since_the_device_draws_its_nonce_afresh(opened) -> None:
    opening = list(opened.to_device)
    opened.device.reset()
    for wire in opening:
        opened.device.hears(wire)
    assert not opened.device.session.is_sealed
    assert opened.device.session.forged == 1


def test_a_device_whose_random_numbers_repeat_does_not_take_up_the_session_in_force_again(opened) -> None:
    """The nonces of both are the same, and so is HELLO: the keys come out the same, their counters stay."""
    opened.device.guard._random_bytes = lambda size: nonce
    nonce = StreamDecoder().feed(opened.to_host[1])[0].payload[:16]
    opened.device.hears(encode(HelloRequest(1, 0, 3), seq=4))
    before = len(opened.device.acted)
    for wire in opened.to_device:
        opened.device.hears(wire)
    assert opened.device.session.replayed == 1
    assert [type(each.message) for each in opened.device.acted[before:]] == [HelloRequest]
    assert opened.works()


def test_the_same_nonces_behind_another_hello_give_other_keys(pair) -> None:
    handshake = pair.handshake()
    answer = pair.ask(handshake.request())
    pair.device.guard._random_bytes = lambda size: answer.device_nonce
    pair.device.reset()
    pair.host.session.request(handshake.hello_request, pair.now)
    pair.carry()
    again = pair.ask(handshake.request())
    assert again.device_nonce == answer.device_nonce
    assert again.proof != answer.proof


def test_the_retry_of_a_handshake_request_gets_the_same_answer(pair) -> None:
    handshake = pair.handshake()
    pair.host.session.request(handshake.request(), pair.now)
    wire = pair.host.session.data_to_send()
    assert pair.device.hears(wire) == pair.device.hears(wire)
    assert pair.device.session.replays == 1


@pytest.mark.parametrize("lost", ["there", "back"])
def test_a_lost_confirmation_is_sent_again_with_a_fresh_counter_and_opens_once(pair, counters, lost: str) -> None:
    handshake = pair.handshake()
    pair.host.session.secure(handshake.accept(pair.ask(handshake.request())))
    pair.host.session.request(HandshakeConfirm(), 0.0)
    first = pair.host.session.data_to_send()
    if lost == "back":
        pair.device.hears(first)
    assert pair.host.session.poll(1.0) == []
    (event,) = pair.carry()
    assert event.message == Ack()
    assert (counters(first), counters(pair.to_device[-1])) == ([1], [2])
    assert len([each for each in pair.device.acted if isinstance(each.message, HandshakeConfirm)]) == 1
    assert pair.works()


def test_a_handshake_comes_behind_a_hello_that_was_answered(pair) -> None:
    session = pair.device.session
    session.receive(encode(STRANGERS, seq=1), 0.0)
    assert naks(session.data_to_send()) == [(NakReason.WRONG_STATE, "a handshake comes behind HELLO")]
    pair.handshake()
    session.receive(encode(HelloRequest(1, 0, 1), seq=2) + encode(STRANGERS, seq=3), 0.0)
    assert naks(session.data_to_send()) == [(NakReason.WRONG_STATE, "a handshake comes behind HELLO")]


def test_a_device_without_a_key_does_not_shake_hands(new_pair) -> None:
    pair = new_pair()
    pair.device.guard.key = None
    for message in (STRANGERS, HandshakeConfirm()):
        pair.host.session.request(message, 0.0)
        (event,) = pair.carry()
        assert event.nak == Nak(NakReason.UNSUPPORTED, "this device has no key")


def test_a_confirmation_in_the_open_is_refused(pair) -> None:
    pair.ask(pair.handshake().request())
    assert naks(pair.device.hears(encode(HandshakeConfirm(), seq=7))) == [
        (NakReason.UNAUTHENTICATED, "only in a session opened with the key")
    ]
    assert not pair.device.session.is_sealed


@pytest.mark.parametrize("message", [HandshakeConfirm(), STRANGERS])
def test_a_session_that_is_open_is_not_opened_again_from_within(opened, message) -> None:
    host = opened.host.session
    seq = 40_000
    wire = host._sealer.frame(message.TYPE, seq, encode_payload(message))
    answer = opened.device.hears(wire)
    assert naks(answer) == [(NakReason.WRONG_STATE, "this session is open already")]
    assert opened.works()


def test_a_new_session_of_the_same_host_takes_the_place_of_the_old(opened, counters) -> None:
    late = opened.host.session._sealer.frame(Stop.TYPE, 77, b"")
    opened.open()
    assert counters(opened.to_host[-1]) == [1]
    assert opened.device.hears(late) == b""
    assert opened.device.session.forged == 1
    assert opened.works()


def test_the_cache_of_the_session_before_is_gone_after_the_confirmation(opened) -> None:
    seq = opened.host.session.request(CommandResultRequest(1), 0.0)
    opened.carry()
    opened.open()
    opened.host.session._next_seq = seq
    before = len(opened.device.acted)
    opened.ask(CommandResultRequest(1))
    assert [each.message for each in opened.device.acted[before:]] == [CommandResultRequest(1)]


def test_a_reply_to_the_session_before_is_dropped(opened) -> None:
    session = opened.device.session
    seq = opened.host.session.request(Stop(), 0.0)
    session.receive(opened.host.session.data_to_send(), 0.0)
    opened.host.session.abandon()
    opened.open()
    session.reply(seq, Nak(NakReason.BUSY, ""))
    assert (session.dropped_replies, session.data_to_send()) == (1, b"")


def test_a_confirmation_with_counter_0_opens_nothing(pair, second_keys) -> None:
    handshake = pair.handshake()
    answer = pair.ask(handshake.request())
    hello = encode_payload(handshake.hello_request) + encode_payload(handshake.hello)
    second = second_keys(TEST_KEY, handshake.host_nonce, answer.device_nonce, hello)
    assert pair.device.hears(confirm(handshake.accept(answer), second.trailer, counter=0)) == b""
    assert not pair.device.session.is_sealed


def test_a_hello_in_the_sealed_session_is_not_the_one_that_a_handshake_refers_to(opened) -> None:
    sealer = opened.host.session._sealer
    opened.host.session.secure(None)
    handshake = opened.handshake()
    opened.device.boot_id += 1
    assert opened.device.hears(sealer.frame(HelloRequest.TYPE, 9, encode_payload(HelloRequest(1, 0, 8))))
    opened.host.session.secure(handshake.accept(opened.ask(handshake.request())))
    assert opened.ask(HandshakeConfirm()) == Ack()


def test_the_host_shakes_hands_in_the_open_alone_and_changes_keys_between_requests(opened) -> None:
    for message in (HelloRequest(1, 0, 1), STRANGERS):
        with pytest.raises(SessionError, match=r"opens another session; leave this one first: secure\(None\)"):
            opened.host.session.request(message, 0.0)
    opened.host.session.request(StatusRequest(), 0.0)
    with pytest.raises(SessionError, match="StatusRequest is outstanding; keys change between requests"):
        opened.host.session.secure(None)
    opened.host.session.abandon()
    opened.host.session.secure(None)
    assert not opened.host.session.is_secured
    opened.ask(StatusRequest())
    assert not opened.device.acted[-1].is_sealed


def test_many_plain_requests_push_no_handshake_out_of_its_session(pair) -> None:
    handshake = pair.handshake()
    answer = pair.ask(handshake.request())
    for _ in range(2 * REPLIES_KEPT):
        pair.ask(StatusRequest())
    pair.host.session.secure(handshake.accept(answer))
    assert pair.ask(HandshakeConfirm()) == Ack()


def test_a_session_without_a_guard_hands_handshakes_up_like_any_request() -> None:
    session = DeviceSession()
    assert [each.message for each in session.receive(encode(STRANGERS, seq=1), 0.0)] == [STRANGERS]
    assert not session.is_sealed


def test_host_handshakes_ask_with_their_nonce(pair) -> None:
    handshake = pair.handshake()
    assert isinstance(handshake, HostHandshake)
    assert handshake.request() == HandshakeRequest(handshake.host_nonce)
