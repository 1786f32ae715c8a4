"""A stranger on the line of a keyed device: old frames, plain ones, made-up ones; none of them disturbs the session."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import (
    CommandResult,
    CommandResultRequest,
    HandshakeConfirm,
    HelloRequest,
    Nak,
    NakReason,
    StatusRequest,
    Stop,
    encode,
    encode_frame,
    encode_payload,
)
from protocol.device_session import REPLIES_KEPT
from protocol.security import Direction, Sealer

NOISE_TRAILER = b"\xff" * 4 + b"\x5a" * 8
FATES = st.sampled_from(["arrives", "arrives", "lost", "damaged", "twice", "late"])
MEANWHILE = st.sampled_from(["nothing", "hello", "handshake", "wrong confirmation", "old frames", "plain stop"])


def test_frames_of_this_session_that_come_again_are_counted_and_not_answered(opened) -> None:
    for _ in range(5):
        assert opened.works()
    acted = list(opened.device.acted)
    sealed = [wire for wire in opened.to_device if wire[2] == 0x11]
    assert len(sealed) == 6
    for wire in sealed * 3:
        assert opened.device.hears(wire) == b""
    assert opened.device.session.replayed == 18
    assert opened.device.acted == acted
    assert opened.works()


def test_frames_of_an_earlier_session_or_another_device_or_host_are_forged(opened, open_pair) -> None:
    for _ in range(5):
        assert opened.works()
    earlier = [wire for wire in opened.to_device if wire[2] == 0x11]
    opened.open()
    same_key_elsewhere = open_pair(seed=1, serial_number="SIM-P-2")
    for _ in range(5):
        assert same_key_elsewhere.works()
    elsewhere = [wire for wire in same_key_elsewhere.to_device if wire[2] == 0x11]
    acted = list(opened.device.acted)
    for wire in earlier + elsewhere:
        assert opened.device.hears(wire) == b""
    assert (opened.device.session.forged, opened.device.session.replayed) == (12, 0)
    assert opened.device.acted == acted
    assert opened.works()


def test_what_the_device_sent_comes_to_nothing_when_it_is_sent_back(opened, frames, framed) -> None:
    opened.works()
    own = frames(opened.to_host[-1])[0]
    assert opened.device.hears(opened.to_host[-1]) == b""
    assert opened.device.session.echoes == 1
    as_request = bytes([0x11, own.type & 0x7F, *own.seq.to_bytes(2, "little"), len(own.payload), 0])
    assert opened.device.hears(framed(as_request + own.payload + own.trailer)) == b""
    keys = opened.host.keys
    wrong_way = Sealer(keys, Direction.TO_HOST).frame(Stop.TYPE, 9, b"")
    assert opened.device.hears(wrong_way) == b""
    assert opened.device.session.forged == 2
    assert opened.works()


def test_a_forged_highest_counter_locks_nobody_out(opened) -> None:
    for type_byte in (Stop.TYPE, StatusRequest.TYPE, HandshakeConfirm.TYPE, HelloRequest.TYPE):
        payload = encode_payload(HelloRequest(1, 0, 1)) if type_byte == HelloRequest.TYPE else b""
        assert opened.device.hears(encode_frame(type_byte, 9, payload, trailer=NOISE_TRAILER)) == b""
    assert opened.device.session.forged == 4
    assert opened.works()


@pytest.mark.parametrize("nonce", [0, 3, 8, 65534, 2**64 - 1])
def test_a_plain_hello_leaves_cache_counters_and_keys_of_the_sealed_session(opened, counters, nonce: int) -> None:
    seq = opened.host.session.request(CommandResultRequest(7), 0.0)
    opened.carry()
    sent_before = counters(opened.to_host[-1])[0]
    for hello_seq in (1 + nonce % 65535, seq):
        opened.device.hears(encode(HelloRequest(1, 0, nonce), seq=hello_seq))
    assert opened.device.session.is_sealed
    retry = opened.host.session._sealer.frame(CommandResultRequest.TYPE, seq, encode_payload(CommandResultRequest(7)))
    assert counters(opened.device.hears(retry)) == [sent_before + 1]
    assert [each.message for each in opened.device.acted].count(CommandResultRequest(7)) == 1
    assert opened.works()


def test_a_flood_of_plain_requests_pushes_nothing_out_of_the_sealed_cache(opened) -> None:
    seq = opened.host.session.request(CommandResultRequest(7), 0.0)
    opened.carry()
    for number in range(3 * REPLIES_KEPT):
        opened.device.hears(encode(StatusRequest(), seq=1 + number))
    retry = opened.host.session._sealer.frame(CommandResultRequest.TYPE, seq, encode_payload(CommandResultRequest(7)))
    assert opened.device.hears(retry)
    assert [each.message for each in opened.device.acted].count(CommandResultRequest(7)) == 1


@pytest.mark.parametrize("is_sealed_first", [False, True])
def test_one_seq_in_the_open_and_sealed_is_two_requests_each_answered_in_its_way(
    opened, frames, is_sealed_first: bool
) -> None:
    session = opened.device.session
    sealed = opened.host.session._sealer.frame(Stop.TYPE, 9, b"")
    plain = encode(StatusRequest(), seq=9)
    requests = session.receive(sealed + plain if is_sealed_first else plain + sealed, 0.0)
    assert [each.is_sealed for each in requests] == [is_sealed_first, not is_sealed_first]
    for each in requests:
        session.reply(9, Nak(NakReason.BUSY, f"{each.is_sealed}"))
    answers = frames(session.data_to_send())
    assert [(each.message.detail, each.trailer is not None) for each in answers] == [
        (f"{is_sealed_first}", is_sealed_first),
        (f"{not is_sealed_first}", not is_sealed_first),
    ]


def crossed(data: bytes, fate: str, late: list[bytes]) -> bytes:
    """What of a write arrives; what is late comes behind the next one."""
    before = b"".join(late)
    late.clear()
    match fate:
        case "lost":
            return before
        case "damaged":
            return before + data[:5] + bytes([data[5] ^ 0x40]) + data[6:] if data else before
        case "twice":
            return data + before + data
        case "late":
            late.append(data)
            return before
    return data + before


@given(
    there=st.lists(FATES, max_size=25), back=st.lists(FATES, max_size=25), strangers=st.lists(MEANWHILE, max_size=25)
)
def test_on_a_bad_line_with_a_stranger_each_command_is_done_at_most_once_and_answered_rightly(
    there: list[str], back: list[str], strangers: list[str], new_pair
) -> None:
    pair = new_pair().open()
    host, device = pair.host.session, pair.device
    fates, returns, meanwhile = iter(there), iter(back), iter(strangers)
    late_there: list[bytes] = []
    late_back: list[bytes] = []
    seen: list[bytes] = []
    now = 0.0
    for command_id in range(1, 6):
        host.request(CommandResultRequest(command_id), now)
        event = None
        while event is None:
            wire = host.data_to_send()
            seen.append(wire)
            device.hears(disturbance(next(meanwhile, "nothing"), seen), now)
            answer = device.hears(crossed(wire, next(fates, "arrives"), late_there), now)
            events = host.receive(crossed(answer, next(returns, "arrives"), late_back), now)
            now += 1.0
            event = next(iter(events or host.poll(now)), None)
        if isinstance(getattr(event, "message", None), CommandResult):
            assert event.message.command_id == command_id
    done = [each.message for each in device.acted if isinstance(each.message, CommandResultRequest)]
    assert len(done) == len(set(done))
    assert all(each.is_sealed for each in device.acted if isinstance(each.message, CommandResultRequest | Stop))
    assert host.forged_frames == 0
    assert device.session.is_sealed


def disturbance(kind: str, seen: list[bytes]) -> bytes:
    """What a stranger puts on the line, who has recorded what the host sent."""
    match kind:
        case "hello":
            return encode(HelloRequest(1, 0, len(seen)), seq=len(seen))
        case "handshake":
            return encode(HelloRequest(1, 0, 99), seq=100) + encode_frame(0x28, 101, bytes(16))
        case "wrong confirmation":
            return encode_frame(HandshakeConfirm.TYPE, 102, b"", trailer=NOISE_TRAILER)
        case "old frames":
            return b"".join(seen[:-1])
        case "plain stop":
            return encode(Stop(), seq=103)
    return b""
