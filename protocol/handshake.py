"""The two halves of the handshake, and what a device with a key lets in; sans-IO, time and random bytes are given."""

from __future__ import annotations

import hmac
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from protocol.enums import NakReason
from protocol.errors import HandshakeFailed
from protocol.framing import Frame, RejectCause
from protocol.messages import NONCE_BYTES, Handshake, HandshakeConfirm, HandshakeRequest, Hello, HelloRequest, Nak
from protocol.registry import encode_payload
from protocol.security import (
    READ_ONLY_TYPES,
    Direction,
    Sealer,
    SessionKeys,
    Verdict,
    Verifier,
    check_key,
    derive_session_keys,
    device_proof,
)

FAILURES_ALLOWED = 5
LOCKED_S = 30.0

_SEALABLE = frozenset({None, RejectCause.UNKNOWN_TYPE, RejectCause.PAYLOAD})


@dataclass(frozen=True, slots=True)
class HostHandshake:
    """The host's half: `request()` goes out, `accept` takes the answer; then seal, and send HandshakeConfirm.

    `hello_request` and `hello` are what opened this session; `host_nonce` are 16 bytes drawn afresh for it.
    """

    key: bytes = field(repr=False)
    hello_request: HelloRequest
    hello: Hello
    host_nonce: bytes

    def request(self) -> HandshakeRequest:
        """What to ask the device."""
        return HandshakeRequest(self.host_nonce)

    def accept(self, handshake: Handshake) -> SessionKeys:
        """The keys of the session, for `HostSession.secure`.

        Raises:
            HandshakeFailed: the device did not prove the key.
            ValueError: the key or the host's nonce is not 16 bytes long.
        """
        hello = encode_payload(self.hello_request) + encode_payload(self.hello)
        keys = derive_session_keys(
            self.key, host_nonce=self.host_nonce, device_nonce=handshake.device_nonce, hello=hello
        )
        if not hmac.compare_digest(device_proof(keys, hello), handshake.proof):
            raise HandshakeFailed(
                "the device did not prove our key: it holds another one, or HELLO was changed or repeated on the line"
            )
        return keys


class Admission(Enum):
    """What a device does with a request that it received intact."""

    PLAIN = "goes on in the open"
    SEALED = "goes on in the authenticated session"
    OPENED = "has opened a new authenticated session"
    UNAUTHENTICATED = "is refused: it needs the key"
    FORGED = "is dropped: not made with the key"
    REPLAYED = "is dropped: seen before, or older than what was seen"


class DeviceGuard:
    """What a device knows of keys: its own, those of the session in force, and how often a handshake went wrong.

    `random_bytes(n)` gives n bytes that nobody can foretell. A `DeviceSession` made with a guard ends the session
    that the guard had; the count of wrong handshakes lasts as long as the guard.
    """

    def __init__(self, random_bytes: Callable[[int], bytes], key: bytes | None = None) -> None:
        self._random_bytes = random_bytes
        self._key: bytes | None = None
        self._pending: SessionKeys | None = None
        self._verifier: Verifier | None = None
        self._sealer: Sealer | None = None
        self._failures = 0
        self._locked_until_s = -math.inf
        self.key = key

    @property
    def key(self) -> bytes | None:
        """The device's key, 16 bytes, or None. Another one ends the session and takes the rate limit away.

        Raises:
            ValueError: what is set is not 16 bytes long.
        """
        return self._key

    @key.setter
    def key(self, key: bytes | None) -> None:
        if key is not None:
            check_key(key)
        if key == self._key:
            return
        self._key = key
        self._failures = 0
        self._locked_until_s = -math.inf
        self.end_session()

    @property
    def sealer(self) -> Sealer | None:
        """What seals the frames to the host; None while no authenticated session is in force."""
        return self._sealer

    def end_session(self) -> None:
        """Forget the keys of the session in force and of the handshake under way."""
        self._pending = self._verifier = self._sealer = None

    def answer(self, request: HandshakeRequest, hello: bytes | None, now: float) -> Handshake | Nak:
        """The device's half of a handshake; `hello` is the payload of HelloRequest and that of Hello behind it."""
        if self._key is None:
            return Nak(NakReason.UNSUPPORTED, "this device has no key")
        if now < self._locked_until_s:
            left_s = math.ceil(self._locked_until_s - now)
            return Nak(NakReason.RATE_LIMITED, f"no handshake for {left_s} s: too many went wrong")
        if hello is None:
            return Nak(NakReason.WRONG_STATE, "a handshake comes behind HELLO")
        device_nonce = self._random_bytes(NONCE_BYTES)
        keys = derive_session_keys(self._key, host_nonce=request.host_nonce, device_nonce=device_nonce, hello=hello)
        self._pending = keys
        return Handshake(device_nonce, device_proof(keys, hello))

    def admit(self, frame: Frame, cause: RejectCause | None, now: float) -> Admission:
        """What to do with a request; `cause` says why it is intact and yet of no use, None that it is of use."""
        if self._key is None:
            return Admission.PLAIN
        if frame.trailer is not None:
            return self._admit_sealed(frame, cause, now)
        if cause is None and (frame.type == HandshakeConfirm.TYPE or not self.takes(frame.type, is_sealed=False)):
            return Admission.UNAUTHENTICATED
        return Admission.PLAIN

    def takes(self, type_byte: int, *, is_sealed: bool) -> bool:
        """Whether a request that was let in may be acted on now; another key may be in force than when it came."""
        if self._key is None:
            return True
        return self._sealer is not None if is_sealed else type_byte in READ_ONLY_TYPES

    def _admit_sealed(self, frame: Frame, cause: RejectCause | None, now: float) -> Admission:
        # Of another cause, flags or length are not those that the tag would be computed over.
        if self._verifier is not None and cause in _SEALABLE:
            match self._verifier.verdict(frame):
                case Verdict.GENUINE:
                    return Admission.SEALED
                case Verdict.REPLAYED:
                    return Admission.REPLAYED
        if frame.type == HandshakeConfirm.TYPE and cause is None and self._pending is not None:
            return self._confirm(self._pending, frame, now)
        return Admission.UNAUTHENTICATED if self._verifier is None else Admission.FORGED

    def _confirm(self, pending: SessionKeys, frame: Frame, now: float) -> Admission:
        self._pending = None
        verifier = Verifier(pending, Direction.TO_DEVICE)
        if verifier.verdict(frame) is not Verdict.GENUINE:
            self._failures += 1
            if self._failures == FAILURES_ALLOWED:
                self._failures = 0
                self._locked_until_s = now + LOCKED_S
            return Admission.FORGED
        self._failures = 0
        self._verifier, self._sealer = verifier, Sealer(pending, Direction.TO_HOST)
        return Admission.OPENED
