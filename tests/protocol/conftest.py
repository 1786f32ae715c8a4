"""The wire a second time, from the reference and not from our code: bitwise CRC-32C and COBS in a few lines each."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
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


@dataclass(frozen=True)
class Section:
    """One message or bulk record of the reference: its number and role in the heading, its rows, those of its tail."""

    text: str
    number: str
    role: str
    fields: list[tuple[int, str, str]]
    record: str = ""
    record_bytes: int = 0
    record_fields: list[tuple[int, str, str]] = field(default_factory=list)


@pytest.fixture(scope="session")
def documented(reference: str) -> dict[str, Section]:
    """The sections of the reference that lay something out, by the name in their headings."""
    found = {}
    for section in re.split(r"^##+ ", reference, flags=re.MULTILINE)[1:]:
        if heading := re.match(r"(0x[0-9A-F]{2}|\d+) (\w+) — (.+)\n", section):
            head, *tail = re.split(r"^(\w+), (\d+) bytes:\n", section, flags=re.MULTILINE)
            assert len(tail) in (0, 3), f"{heading[2]}: at most one tail"
            entry = Section(section, heading[1], heading[3], table_rows(head))
            if tail:
                entry = replace(entry, record=tail[0], record_bytes=int(tail[1]), record_fields=table_rows(tail[2]))
            assert heading[2] not in found, f"{heading[2]} is there twice"
            found[heading[2]] = entry
    return found


def table_rows(text: str) -> list[tuple[int, str, str]]:
    """Offset, field and type of the rows of a table."""
    rows = re.findall(r"^\| (\d+) \| (\w+) \| ([\w*]+) \|", text, flags=re.MULTILINE)
    return [(int(offset), name, kind) for offset, name, kind in rows]
