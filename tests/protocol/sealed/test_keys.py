"""Keys and tags against the RFCs and against a second implementation; and that no repr shows a key."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import (
    KEY_BYTES,
    NONCE_BYTES,
    READ_ONLY_TYPES,
    TEST_KEY,
    CounterExhausted,
    DeviceGuard,
    EncodeError,
    Handshake,
    HandshakeFailed,
    Hello,
    HelloRequest,
    HostHandshake,
    PairRequest,
    ProtocolError,
    SecurityError,
    SessionKeys,
    StreamDecoder,
    derive_session_keys,
    encode,
    encode_frame,
    encode_payload,
    key_check,
)
from protocol.registry import DEFINITIONS
from protocol.security import Direction, Sealer, Verdict, Verifier, device_proof

RFC_4493_KEY = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
RFC_4493_MESSAGE = bytes.fromhex(
    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
    "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
)

keys16 = st.binary(min_size=16, max_size=16)


@pytest.mark.parametrize(
    ("size", "mac"),
    [
        (0, "bb1d6929e95937287fa37d129b756746"),
        (16, "070a16b46b4d4144f79bdd9dd04a287c"),
        (40, "dfa66747de9ae63030ca32611497c827"),
        (64, "51f0bebf7e3b9d92fc49741779363cfe"),
    ],
)
def test_the_second_cmac_gives_the_examples_of_rfc_4493_and_sp_800_38b(second_cmac, size: int, mac: str) -> None:
    assert second_cmac(RFC_4493_KEY, RFC_4493_MESSAGE[:size]).hex() == mac


@pytest.mark.parametrize(
    ("key", "salt", "info", "size", "okm"),
    [
        (
            b"\x0b" * 22,
            bytes(range(13)),
            bytes(range(0xF0, 0xFA)),
            42,
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
        ),
        (
            bytes(range(80)),
            bytes(range(0x60, 0xB0)),
            bytes(range(0xB0, 0x100)),
            82,
            (
                "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09"
                "da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87"
            ),
        ),
        (
            b"\x0b" * 22,
            b"",
            b"",
            42,
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
        ),
    ],
)
def test_the_second_hkdf_gives_the_examples_of_rfc_5869(
    second_hkdf, key: bytes, salt: bytes, info: bytes, size: int, okm: str
) -> None:
    assert second_hkdf(key, salt, info, size).hex() == okm


@given(keys16, keys16, keys16, st.binary(max_size=120))
def test_session_keys_and_proof_are_those_of_the_second_implementation(
    second_keys, key: bytes, host_nonce: bytes, device_nonce: bytes, hello: bytes
) -> None:
    ours = derive_session_keys(key, host_nonce=host_nonce, device_nonce=device_nonce, hello=hello)
    theirs = second_keys(key, host_nonce, device_nonce, hello)
    assert (ours.session_id, ours.to_device, ours.to_host) == (theirs.session_id, theirs.to_device, theirs.to_host)
    assert device_proof(ours, hello) == theirs.proof


@given(keys16, st.text(max_size=24))
def test_the_check_of_a_key_is_that_of_the_second_implementation(second_cmac, key: bytes, serial_number: str) -> None:
    assert key_check(key, serial_number) == second_cmac(key, b"check" + serial_number.encode())[:8]


@given(
    seed=keys16,
    type_byte=st.integers(0, 255),
    seq=st.integers(0, 65535),
    payload=st.binary(max_size=512),
    skipped=st.integers(0, 5),
    to_device=st.booleans(),
)
def test_a_sealed_frame_is_that_of_the_second_implementation(
    second_keys, framed, seed: bytes, type_byte: int, seq: int, payload: bytes, skipped: int, to_device: bool
) -> None:
    keys = derive_session_keys(seed, host_nonce=seed, device_nonce=bytes(16), hello=b"")
    sealer = Sealer(keys, Direction.TO_DEVICE if to_device else Direction.TO_HOST)
    for _ in range(skipped):
        sealer.frame(1, 1, b"")
    header = bytes([0x11, type_byte]) + seq.to_bytes(2, "little") + len(payload).to_bytes(2, "little")
    second = second_keys(seed, seed, bytes(16), b"")
    trailer = second.trailer(header + payload, skipped + 1, to_device=to_device)
    assert sealer.frame(type_byte, seq, payload) == framed(header + payload + trailer)


def test_what_seals_and_what_verifies_agree_once_per_frame_and_direction() -> None:
    keys = derive_session_keys(TEST_KEY, host_nonce=bytes(16), device_nonce=bytes(16), hello=b"")
    (frame,) = StreamDecoder().feed(Sealer(keys, Direction.TO_DEVICE).frame(0x15, 1, b""))
    verifier = Verifier(keys, Direction.TO_DEVICE)
    assert [verifier.verdict(frame) for _ in range(2)] == [Verdict.GENUINE, Verdict.REPLAYED]
    assert Verifier(keys, Direction.TO_HOST).verdict(frame) is Verdict.FORGED


def test_with_one_key_for_both_directions_the_direction_would_still_tell() -> None:
    same = SessionKeys(bytes(8), bytes(16), bytes(16))
    (frame,) = StreamDecoder().feed(Sealer(same, Direction.TO_DEVICE).frame(0x15, 1, b""))
    assert Verifier(same, Direction.TO_HOST).verdict(frame) is Verdict.FORGED


def test_counters_end_without_beginning_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("protocol.security.LAST_COUNTER", 3)
    sealer = Sealer(SessionKeys(bytes(8), bytes(16), bytes(16)), Direction.TO_HOST)
    lefts = [sealer.left]
    for _ in range(3):
        sealer.frame(0xC1, 0, b"")
        lefts.append(sealer.left)
    assert lefts == [3, 2, 1, 0]
    for _ in range(2):
        with pytest.raises(CounterExhausted, match="used up its counters; open it anew"):
            sealer.frame(0xC1, 0, b"")


def test_a_payload_that_no_frame_holds_uses_up_no_counter() -> None:
    sealer = Sealer(SessionKeys(bytes(8), bytes(16), bytes(16)), Direction.TO_HOST)
    left = sealer.left
    for size in (513, 70_000):
        with pytest.raises(EncodeError, match=f"at most 512 bytes, not {size}"):
            sealer.frame(0xA0, 1, bytes(size))
    assert sealer.left == left


@pytest.mark.parametrize("size", [0, 15, 17, 32])
def test_keys_and_nonces_of_another_size_are_refused(size: int) -> None:
    wrong, right = bytes(size), bytes(16)
    with pytest.raises(ValueError, match=f"a key has 16 bytes, not {size}"):
        key_check(wrong, "SIM-P-1")
    with pytest.raises(ValueError, match=f"a key has 16 bytes, not {size}"):
        DeviceGuard(bytes, wrong)
    with pytest.raises(ValueError, match=f"a key has 16 bytes, not {size}"):
        derive_session_keys(wrong, host_nonce=right, device_nonce=right, hello=b"")
    with pytest.raises(ValueError, match=f"a host nonce has 16 bytes, not {size}"):
        derive_session_keys(right, host_nonce=wrong, device_nonce=right, hello=b"")
    with pytest.raises(ValueError, match=f"a device nonce has 16 bytes, not {size}"):
        derive_session_keys(right, host_nonce=right, device_nonce=wrong, hello=b"")


def test_the_public_sizes_are_those_of_the_messages() -> None:
    assert len(TEST_KEY) == KEY_BYTES
    assert len(encode_payload(PairRequest(TEST_KEY))) == KEY_BYTES
    assert len(encode_payload(Handshake(bytes(16), bytes(8)))) == NONCE_BYTES + 8


def test_no_repr_and_no_error_shows_a_key() -> None:
    secret = bytes(range(0x41, 0x51))
    keys = derive_session_keys(secret, host_nonce=bytes(16), device_nonce=bytes(16), hello=b"")
    handshake = HostHandshake(secret, HelloRequest(1, 0, 1), Hello(1, 0, bytes(8), 0, 512, 1, 0, "", "", ""), bytes(16))
    with pytest.raises(HandshakeFailed) as failed:
        handshake.accept(Handshake(bytes(16), bytes(8)))
    decoder = StreamDecoder()
    (frame,) = decoder.feed(encode(PairRequest(secret)))
    decoder.feed(encode_frame(PairRequest.TYPE, 1, secret + b"A"))
    things = (keys, handshake, PairRequest(secret), DeviceGuard(bytes, secret), failed.value, frame, *decoder.rejects)
    texts = [repr(each) for each in things]
    assert "payload=…" in texts[-1]
    for part in (secret, keys.session_id, keys.to_device, keys.to_host):
        for text in texts:
            assert repr(part)[2:-1] not in text
            assert part.hex() not in text.lower()


def test_every_error_with_keys_is_a_protocol_error() -> None:
    assert all(issubclass(kind, SecurityError) for kind in (HandshakeFailed, CounterExhausted))
    assert issubclass(SecurityError, ProtocolError)


def test_what_changes_anything_is_not_for_reading_only() -> None:
    reads = {DEFINITIONS[number].message.__name__ for number in READ_ONLY_TYPES}
    assert reads == {
        "AlarmsRequest",
        "BulkOpen",
        "BulkRead",
        "CalibrationRequest",
        "ClockRequest",
        "DescribeRequest",
        "FirmwareInformationRequest",
        "HandshakeConfirm",
        "HandshakeRequest",
        "HelloRequest",
        "LeaseStatusRequest",
        "PairRequest",
        "PatientBolusLimitsRequest",
        "StatusRequest",
        "TherapyClockRequest",
        "TherapyRequest",
    }
