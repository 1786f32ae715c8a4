"""docs/protocol.md says what the code does: every table, every value, and the worked frame."""

import re
from enum import IntEnum

import pytest

from protocol import (
    Alarm,
    CommandState,
    EventCode,
    Mode,
    NakReason,
    ProposeContinuous,
    RejectCause,
    StreamDecoder,
    encode,
    enums,
)
from protocol.registry import DEFINITIONS, Role


def test_every_message_is_documented_as_it_is(documented_messages) -> None:
    assert set(documented_messages) == {entry.message.__name__ for entry in DEFINITIONS.values()}
    for name, (type_byte, role, fields) in documented_messages.items():
        entry = DEFINITIONS[type_byte]
        assert entry.message.__name__ == name
        assert [(field.offset, field.name, field.kind) for field in entry.codec.fields] == fields, name
        assert role == _role(type_byte)


def _role(type_byte: int) -> str:
    entry = DEFINITIONS[type_byte]
    if entry.role is not Role.REPLY:
        return entry.role.name.lower()
    requests = {other for other, candidate in DEFINITIONS.items() if candidate.role is Role.REQUEST}
    if entry.answers == requests:
        return "reply to any request"
    return "reply to " + ", ".join(DEFINITIONS[other].message.__name__ for other in sorted(entry.answers))


@pytest.mark.parametrize("enum", [Mode, Alarm, CommandState, enums.Stream, NakReason, EventCode])
def test_every_named_value_is_documented(enum: type[IntEnum], reference: str) -> None:
    section = re.search(rf"^### {enum.__name__}\n(.*?)^##", reference, re.MULTILINE | re.DOTALL)
    assert section
    rows = re.findall(r"^\| (\d+) \| (\w+) \|", section[1], re.MULTILINE)
    assert [(int(value), name) for value, name in rows] == [(int(member), member.name) for member in enum]


def test_every_reject_cause_is_documented(reference: str) -> None:
    section = re.search(r"^### Rejects\n(.*?)^##", reference, re.MULTILINE | re.DOTALL)
    assert section
    assert set(re.findall(r"^\| ([A-Z_]+) \|", section[1], re.MULTILINE)) == {cause.name for cause in RejectCause}


def test_the_worked_frame_is_what_the_encoder_makes(reference: str, crc32c) -> None:
    section = re.search(r"^### A frame, byte by byte\n(.*?)^## ", reference, re.MULTILINE | re.DOTALL)
    assert section
    content, _, wire = section[1].partition("COBS cuts")
    message = ProposeContinuous(command_id=42, rate_ul_per_h=20.0)
    raw = _first_column(content)
    assert crc32c(raw[:-4]) == int.from_bytes(raw[-4:], "little") == 0x9562A940
    assert _first_column(wire) == encode(message, seq=3)
    (frame,) = StreamDecoder().feed(_first_column(wire))
    assert (frame.seq, frame.message) == (3, message)


def _first_column(table: str) -> bytes:
    return bytes.fromhex("".join(re.findall(r"^\| `([0-9A-F ]+)` \|", table, re.MULTILINE)))


def test_the_reference_says_that_it_is_never_clinical(reference: str) -> None:
    assert "**never for clinical use**" in reference.partition("\n## ")[0]
