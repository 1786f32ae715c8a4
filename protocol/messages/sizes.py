"""Sizes that several messages share."""

from __future__ import annotations

from construct import PaddedString

MODEL_BYTES = 24
SERIAL_NUMBER_BYTES = 24
FIRMWARE_VERSION_BYTES = 16
HASH_BYTES = 8
KEY_BYTES = 16
NONCE_BYTES = 16


def text(size: int) -> PaddedString:
    """UTF-8, padded with zeros."""
    return PaddedString(size, "utf8")
