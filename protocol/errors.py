"""What can go wrong between a message and its bytes; one class per party at fault."""

from __future__ import annotations


class ProtocolError(Exception):
    """Base of everything `protocol` raises on purpose."""


class LayoutError(ProtocolError):
    """A message definition is one the derivation does not know, or its class differs from its layout."""


class EncodeError(ProtocolError):
    """A message holds a value that its field on the wire cannot carry; the caller is at fault."""


class DecodeError(ProtocolError):
    """Bytes do not fit the message type they claim to be; the sender is at fault."""


class SessionError(ProtocolError):
    """A session was asked for something out of turn; the caller is at fault."""


class SecurityError(ProtocolError):
    """Base of what goes wrong with keys; it never holds one."""


class HandshakeFailed(SecurityError):
    """The device did not prove our key: it holds another, or HELLO was changed on its way."""


class CounterExhausted(SecurityError):
    """An authenticated session has used up its counters and must be opened anew."""


class ProfileError(ProtocolError):
    """A pump model's file is missing or wrong; the message names file, keys and cures, all faults at once."""
