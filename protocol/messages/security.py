"""How a host and a device that share a key open an authenticated session, and how they come to share it."""

from __future__ import annotations

from construct import Bytes, Struct

from protocol.messages.sizes import HASH_BYTES, KEY_BYTES, NONCE_BYTES
from protocol.registry import Message, reply, request


@request(0x28, Struct("host_nonce" / Bytes(NONCE_BYTES)))
class HandshakeRequest(Message, frozen=True):
    """Begins a handshake, after HELLO; `host_nonce` is drawn afresh for each."""

    host_nonce: bytes


@reply(0xA8, Struct("device_nonce" / Bytes(NONCE_BYTES), "proof" / Bytes(HASH_BYTES)), to=[HandshakeRequest])
class Handshake(Message, frozen=True):
    """The device's half: a nonce of its own, and the proof that it holds the key and saw the same HELLO."""

    device_nonce: bytes
    proof: bytes


@request(0x29, Struct())
class HandshakeConfirm(Message, frozen=True):
    """Ends a handshake: the first message sealed under the new keys, which are in force from here on."""


@request(0x2A, Struct("key" / Bytes(KEY_BYTES)))
class PairRequest(Message, frozen=True):
    """Gives the device a key: done only in pairing mode and only at a cable, for it goes over the line in the open."""

    key: bytes

    def __repr__(self) -> str:
        return "PairRequest(key=…)"


@reply(0xAA, Struct("key_check" / Bytes(HASH_BYTES)), to=[PairRequest])
class Paired(Message, frozen=True):
    """The key is stored; `key_check` shows which one without showing it."""

    key_check: bytes
