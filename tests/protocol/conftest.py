"""The wire a second time, from the reference and not from our code: bitwise CRC-32C and COBS in a few lines each."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

REFLECTED_POLYNOMIAL = 0x82F63B78
Wire = Callable[[str], bytes]


def bitwise_crc32c(data: bytes) -> int:
    """CRC-32C, one bit at a time."""
    register = 0xFFFFFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = (register >> 1) ^ (REFLECTED_POLYNOMIAL if register & 1 else 0)
    return register ^ 0xFFFFFFFF


def stuffed(raw: bytes) -> bytes:
    """COBS as Cheshire and Baker describe it: pieces between zeros, each behind its length plus one."""
    out, piece, after_full = b"", b"", False
    for byte in raw:
        if byte == 0:
            out += bytes([len(piece) + 1]) + piece
            piece, after_full = b"", False
            continue
        piece += bytes([byte])
        after_full = len(piece) == 254
        if after_full:
            out += b"\xff" + piece
            piece = b""
    return out if after_full else out + bytes([len(piece) + 1]) + piece


@pytest.fixture(scope="session")
def crc32c() -> Callable[[bytes], int]:
    """The independent CRC-32C."""
    return bitwise_crc32c


@pytest.fixture(scope="session")
def wire() -> Wire:
    """The wire bytes of a frame from its content in hex, without the CRC; blanks and bars are for the reader."""

    def from_content(content: str) -> bytes:
        raw = bytes.fromhex(content.replace("|", ""))
        return b"\0" + stuffed(raw + bitwise_crc32c(raw).to_bytes(4, "little")) + b"\0"

    return from_content


@pytest.fixture(scope="session")
def reference() -> str:
    """docs/protocol.md."""
    return (Path(__file__).parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def documented_messages(reference: str) -> dict[str, tuple[int, str, list[tuple[int, str, str]]]]:
    """The message tables of the reference: name to type byte, role, and (offset, field, type) rows."""
    found = {}
    sections = re.split(r"^### ", reference, flags=re.MULTILINE)[1:]
    for section in sections:
        heading = re.match(r"0x([0-9A-F]{2}) (\w+) — (.+)\n", section)
        if heading:
            rows = re.findall(r"^\| (\d+) \| (\w+) \| (\w+) \|", section, flags=re.MULTILINE)
            fields = [(int(offset), name, kind) for offset, name, kind in rows]
            found[heading[2]] = (int(heading[1], 16), heading[3], fields)
    return found
