"""Keys of a device and of a session, and frames sealed under them: AES-CMAC-64, HKDF-SHA256, strictly rising counters.

The rules and their reasons are in docs/protocol.md, "Authentication". Nothing here draws random bytes or reads a clock.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from enum import Enum

from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from protocol.errors import CounterExhausted, EncodeError
from protocol.framing import Frame, encode_frame
from protocol.messages import (
    KEY_BYTES,
    NONCE_BYTES,
    AlarmsRequest,
    BulkOpen,
    BulkRead,
    CalibrationRequest,
    ClockRequest,
    DescribeRequest,
    FirmwareInformationRequest,
    HandshakeConfirm,
    HandshakeRequest,
    HelloRequest,
    LeaseStatusRequest,
    PairRequest,
    PatientBolusLimitsRequest,
    StatusRequest,
    TherapyClockRequest,
    TherapyRequest,
)
from protocol.wire import FLAG_TRAILER, HEADER, MAX_PAYLOAD_BYTES, PLAIN_VERSION, TRAILER_BYTES

COUNTER_BYTES = 4
TAG_BYTES = TRAILER_BYTES - COUNTER_BYTES
SESSION_ID_BYTES = 8
LAST_COUNTER = 0xFFFFFFFF

TEST_KEY = b"NOT A SECRET KEY"
"""The key of simulated pumps, which anybody may know; a driver refuses it on every real port."""

READ_ONLY_TYPES = frozenset(
    message.TYPE
    for message in (
        HelloRequest,
        DescribeRequest,
        FirmwareInformationRequest,
        StatusRequest,
        CalibrationRequest,
        ClockRequest,
        TherapyClockRequest,
        TherapyRequest,
        PatientBolusLimitsRequest,
        AlarmsRequest,
        LeaseStatusRequest,
        BulkOpen,
        BulkRead,
        HandshakeRequest,
        HandshakeConfirm,
        PairRequest,
    )
)
"""The type bytes of requests that a device with a key answers without it; what authenticates itself is among them."""

_SESSION_LABEL = b"thecabench session 1"
_PROOF_LABEL = b"device"
_CHECK_LABEL = b"check"
_SEALED_VERSION = PLAIN_VERSION | FLAG_TRAILER


class Direction(Enum):
    """Which way a sealed frame goes; the value stands under its tag."""

    TO_DEVICE = 0
    TO_HOST = 1


class Verdict(Enum):
    """What a frame with a trailer is under the keys of a session."""

    GENUINE = "made with the key, and newer than all before it"
    FORGED = "not made with the key"
    REPLAYED = "made with the key, and not newer than what came before"


@dataclass(frozen=True, slots=True)
class SessionKeys:
    """The keys of one session, one for each direction; they show in no repr."""

    session_id: bytes = field(repr=False)
    to_device: bytes = field(repr=False)
    to_host: bytes = field(repr=False)


def derive_session_keys(key: bytes, *, host_nonce: bytes, device_nonce: bytes, hello: bytes) -> SessionKeys:
    """The keys that both sides come to; `hello` is the payload of HelloRequest and that of Hello behind it.

    Raises:
        ValueError: the key or a nonce is not 16 bytes long.
    """
    check_key(key)
    for name, nonce in (("host", host_nonce), ("device", device_nonce)):
        if len(nonce) != NONCE_BYTES:
            raise ValueError(f"a {name} nonce has {NONCE_BYTES} bytes, not {len(nonce)}")
    info = _SESSION_LABEL + hashlib.sha256(hello).digest()
    hkdf = HKDF(SHA256(), SESSION_ID_BYTES + 2 * KEY_BYTES, salt=host_nonce + device_nonce, info=info)
    octets = hkdf.derive(key)
    behind_id = SESSION_ID_BYTES + KEY_BYTES
    return SessionKeys(octets[:SESSION_ID_BYTES], octets[SESSION_ID_BYTES:behind_id], octets[behind_id:])


def device_proof(keys: SessionKeys, hello: bytes) -> bytes:
    """The 8 bytes by which a device shows that it holds the key and saw the same HELLO."""
    return _cmac64(keys.to_host, _PROOF_LABEL + hashlib.sha256(hello).digest())


def key_check(key: bytes, serial_number: str) -> bytes:
    """8 bytes by which two people compare the key of a device without showing it.

    Raises:
        ValueError: the key is not 16 bytes long.
    """
    check_key(key)
    return _cmac64(key, _CHECK_LABEL + serial_number.encode())


def check_key(key: bytes) -> None:
    """
    Raises:
        ValueError: it is not 16 bytes long.
    """
    if len(key) != KEY_BYTES:
        raise ValueError(f"a key has {KEY_BYTES} bytes, not {len(key)}")


class Sealer:
    """Makes the frames of one direction: each with the next counter and its tag."""

    __slots__ = ("_cmac", "_counter")

    def __init__(self, keys: SessionKeys, direction: Direction) -> None:
        self._cmac = _begun(keys, direction)
        self._counter = 0

    @property
    def left(self) -> int:
        """How many frames can still be sealed."""
        return LAST_COUNTER - self._counter

    def frame(self, type_byte: int, seq: int, payload: bytes) -> bytes:
        """A whole frame with its trailer, both zeros included.

        Raises:
            CounterExhausted: no counter is left.
            EncodeError: the payload is longer than 512 bytes.
        """
        if not self.left:
            raise CounterExhausted("this session has used up its counters; open it anew")
        if len(payload) > MAX_PAYLOAD_BYTES:
            raise EncodeError(f"a payload has at most {MAX_PAYLOAD_BYTES} bytes, not {len(payload)}")
        counter = (self._counter + 1).to_bytes(COUNTER_BYTES, "little")
        tag = _tag(self._cmac, _SEALED_VERSION, type_byte, seq, counter, payload)
        frame = encode_frame(type_byte, seq, payload, trailer=counter + tag)
        self._counter += 1
        return frame


class Verifier:
    """Judges the frames of one direction; only a genuine one changes anything here."""

    __slots__ = ("_cmac", "_counter")

    def __init__(self, keys: SessionKeys, direction: Direction) -> None:
        self._cmac = _begun(keys, direction)
        self._counter = 0

    def verdict(self, frame: Frame) -> Verdict:
        """What an intact frame, whose length field and flags are right, is; a genuine one is so only once.

        The tag is looked at first, in constant time: a forged counter, however high, locks nobody out.
        """
        trailer = frame.trailer
        if trailer is None:
            return Verdict.FORGED
        octets = trailer[:COUNTER_BYTES]
        version = frame.major << 4 | FLAG_TRAILER
        tag = _tag(self._cmac, version, frame.type, frame.seq, octets, frame.payload)
        if not hmac.compare_digest(tag, trailer[COUNTER_BYTES:]):
            return Verdict.FORGED
        counter = int.from_bytes(octets, "little")
        if counter <= self._counter:
            return Verdict.REPLAYED
        self._counter = counter
        return Verdict.GENUINE


def _begun(keys: SessionKeys, direction: Direction) -> CMAC:
    """A CMAC that has taken in all that is the same in every frame; each takes a copy."""
    cmac = CMAC(AES(keys.to_device if direction is Direction.TO_DEVICE else keys.to_host))
    cmac.update(keys.session_id + bytes([direction.value]))
    return cmac


def _tag(begun: CMAC, version_flags: int, type_byte: int, seq: int, counter: bytes, payload: bytes) -> bytes:
    cmac = begun.copy()
    cmac.update(HEADER.pack(version_flags, type_byte, seq, len(payload)) + counter + payload)
    return cmac.finalize()[:TAG_BYTES]


def _cmac64(key: bytes, octets: bytes) -> bytes:
    cmac = CMAC(AES(key))
    cmac.update(octets)
    return cmac.finalize()[:TAG_BYTES]
