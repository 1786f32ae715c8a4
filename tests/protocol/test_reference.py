"""docs/protocol.md says what the code does: every table, every value, the schema's lines, and the worked frame."""

import re
from enum import IntEnum, IntFlag
from typing import get_args

import pytest
from msgspec.structs import fields as message_fields

from protocol import (
    BULK_RECORDS,
    Capability,
    OnLeaseLoss,
    ProposeContinuous,
    Record,
    RejectCause,
    StreamDecoder,
    Telemetry,
    encode,
    enums,
    own_schema,
)
from protocol.layout import FieldLayout
from protocol.registry import DEFINITIONS, Message, Role
from protocol.schema import enums_of

ENUMS = [
    kind
    for kind in vars(enums).values()
    if isinstance(kind, type) and issubclass(kind, IntEnum | IntFlag) and kind not in (IntEnum, IntFlag)
]
COUNTS = {"B": "u8", "H": "u16"}


def test_every_message_is_documented_and_every_documented_one_is_there(documented) -> None:
    messages = {name: section.number for name, section in documented.items() if section.number.startswith("0x")}
    assert messages == {entry.message.__name__: f"0x{number:02X}" for number, entry in DEFINITIONS.items()}


@pytest.mark.parametrize("type_byte", DEFINITIONS, ids=lambda number: DEFINITIONS[number].message.__name__)
def test_a_message_is_documented_as_it_is_laid_out(type_byte: int, documented) -> None:
    entry = DEFINITIONS[type_byte]
    section = documented[entry.message.__name__]
    assert section.role == role(type_byte)
    assert section.fields == [(each.offset, each.name, kind(each, entry.message)) for each in entry.codec.fields]
    records = [each for each in entry.codec.fields if each.record is not None]
    assert bool(section.record) == bool(records)
    for each in records:
        assert section.record == record_class(each, entry.message).__name__
        assert section.record_bytes == each.record.size
        assert section.record_fields == [(inner.offset, inner.name, inner.kind) for inner in each.record.fields]


def test_every_bulk_record_is_documented_as_it_is_laid_out(documented) -> None:
    sections = {name: section for name, section in documented.items() if not section.number.startswith("0x")}
    assert set(sections) == {entry.record.__name__ for entry in BULK_RECORDS.values()}
    for number, entry in BULK_RECORDS.items():
        section = sections[entry.record.__name__]
        assert (section.number, section.role) == (f"{int(number)}", f"record of {number.name}")
        assert section.fields == [(each.offset, each.name, each.kind) for each in entry.codec.fields]


def role(type_byte: int) -> str:
    entry = DEFINITIONS[type_byte]
    if entry.role is not Role.REPLY:
        return entry.role.name.lower()
    requests = {other for other, candidate in DEFINITIONS.items() if candidate.role is Role.REQUEST}
    if entry.answers == requests:
        return "reply to any request"
    return "reply to " + ", ".join(DEFINITIONS[other].message.__name__ for other in sorted(entry.answers))


def kind(layout: FieldLayout, message: type[Message]) -> str:
    """A field's type as the tables write it."""
    if layout.record is None:
        return layout.kind
    return f"{COUNTS[layout.record.count_code]}*{record_class(layout, message).__name__}"


def record_class(layout: FieldLayout, message: type[Message]) -> type[Record]:
    declared = next(info.type for info in message_fields(message) if info.name == layout.name)
    return next(each for each in get_args(declared) if isinstance(each, type) and issubclass(each, Record))


@pytest.mark.parametrize("enum", ENUMS)
def test_every_named_value_is_documented(enum: type[IntEnum], reference: str) -> None:
    assert re.findall(r"^\| (\d+) \| (\w+) \|", value_section(reference, enum.__name__), re.MULTILINE) == [
        (f"{int(member)}", member.name) for member in enum
    ]


def test_no_named_values_are_documented_that_do_not_exist(reference: str) -> None:
    chapter = re.search(r"^## Named values\n(.*?)^## ", reference, re.MULTILINE | re.DOTALL)
    assert chapter
    assert set(re.findall(r"^### (\w+)$", chapter[1], re.MULTILINE)) == {enum.__name__ for enum in ENUMS}


@pytest.mark.parametrize("enum", ENUMS)
def test_values_are_called_bits_where_several_may_apply(enum: type[IntEnum], reference: str) -> None:
    assert ("Bits, as many as apply." in value_section(reference, enum.__name__)) == issubclass(enum, IntFlag)


def test_capabilities_name_only_requests_that_exist(reference: str) -> None:
    section = value_section(reference, Capability.__name__)
    named = set(re.findall(r"\b(?:Propose|Lease|SelfTest|Bulk|TherapyClock|PatientBolusLimits)\w*[a-z]\b", section))
    assert named
    assert named <= {entry.message.__name__ for entry in DEFINITIONS.values() if entry.role is Role.REQUEST}


def value_section(reference: str, name: str) -> str:
    section = re.search(rf"^### {name}\n(.*?)^##", reference, re.MULTILINE | re.DOTALL)
    assert section, name
    return section[1]


def test_sections_link_the_named_values_of_their_fields_and_no_others(documented) -> None:
    names = {enum.__name__ for enum in ENUMS}
    owners = [entry.message for entry in DEFINITIONS.values()] + [entry.record for entry in BULK_RECORDS.values()]
    for owner in owners:
        used = set(enums_of(owner).values())
        for layout in message_fields(owner):
            for record in get_args(layout.type):
                if isinstance(record, type) and issubclass(record, Record):
                    used |= set(enums_of(record).values())
        linked = set(re.findall(r"\[(\w+)\]\(#\w+\)", documented[owner.__name__].text)) & names
        assert linked == {enum.__name__ for enum in used}, owner.__name__


def test_the_lines_of_the_schema_text_are_as_the_hash_takes_them(reference: str) -> None:
    section = re.search(r"^## Schema hash\n(.*?)^## ", reference, re.MULTILINE | re.DOTALL)
    assert section
    block = re.search(r"^```\n(.*?)^```", section[1], re.MULTILINE | re.DOTALL)
    assert block
    shown = [line for line in block[1].splitlines() if line != "…"]
    text = own_schema().text.splitlines()
    assert len(shown) >= 4
    assert [line for line in text if line in shown] == shown


def test_the_schema_text_can_be_made_from_the_tables_alone(documented) -> None:
    lines = []
    for name, section in sorted(documented.items(), key=lambda item: (len(item[1].number), item[1].number)):
        inner = ",".join(f"{field}:{kind}" for _, field, kind in section.record_fields)
        fields = [f"{field}:{kind.replace('*' + section.record, f'*({inner})') if section.record else kind}"
                  for _, field, kind in section.fields]  # fmt: skip
        number = int(section.number, 0)
        first = f"{number:02x}" if section.number.startswith("0x") else f"bulk{number:02x}"
        lines.append((first.startswith("bulk"), number, " ".join([first, name, *fields])))
    assert "".join(f"{line}\n" for _, _, line in sorted(lines)) == own_schema().text


def test_every_reject_cause_is_documented(reference: str) -> None:
    section = re.search(r"^### Rejects\n(.*?)^##", reference, re.MULTILINE | re.DOTALL)
    assert section
    assert set(re.findall(r"^\| ([A-Z_]+) \|", section[1], re.MULTILINE)) == {cause.name for cause in RejectCause}


def test_the_worked_frame_is_what_the_encoder_makes(reference: str, crc32c) -> None:
    section = re.search(r"^### A frame, byte by byte\n(.*?)^## ", reference, re.MULTILINE | re.DOTALL)
    assert section
    content, _, wire = section[1].partition("COBS cuts")
    message = ProposeContinuous(command_id=42, rate_ul_per_h=20.0, on_lease_loss=OnLeaseLoss.CONTINUE)
    raw = first_column(content)
    assert crc32c(raw[:-4]) == int.from_bytes(raw[-4:], "little") == 0xAAA860A3
    assert first_column(wire) == encode(message, seq=3)
    (frame,) = StreamDecoder().feed(first_column(wire))
    assert (frame.seq, frame.message) == (3, message)


def first_column(table: str) -> bytes:
    return bytes.fromhex("".join(re.findall(r"^\| `([0-9A-F ]+)` \|", table, re.MULTILINE)))


def test_a_sample_of_telemetry_is_as_long_as_the_reference_says(reference: str) -> None:
    stated = re.search(r"A sample of the stream TELEMETRY: (\d+) bytes, (\d+) on the wire", reference)
    assert stated
    wire = encode(Telemetry(1, 0, 1, 1, 1, 20.0, 37.0, 3000, 0))
    assert (len(wire) - 13, len(wire)) == (int(stated[1]), int(stated[2]))


def test_every_link_within_the_reference_leads_somewhere(reference: str) -> None:
    anchors = {heading.lower().replace(" ", "-") for heading in re.findall(r"^##+ (.+)$", reference, re.MULTILINE)}
    targets = set(re.findall(r"\]\(#([\w-]+)\)", reference))
    assert targets
    assert targets <= anchors


def test_the_reference_says_that_it_is_never_clinical(reference: str) -> None:
    assert "**never for clinical use**" in reference.partition("\n## ")[0]
