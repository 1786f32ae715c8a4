"""Fuzz target: read_schema on documents that differ from ours in places, are no schema, no JSON, or no zlib data."""

from __future__ import annotations

import zlib
from contextlib import suppress

import msgspec

from fuzzing.choices import Choices
from protocol import DecodeError, Nak, Schema, own_schema, read_schema, usable_records, usable_types
from protocol.messages import THERAPY_TYPES
from protocol.registry import BULK_RECORDS, DEFINITIONS, Role
from protocol.schema import FROZEN_TYPES, MOST_BYTES

OWN = own_schema()
OWN_MESSAGES = [msgspec.json.encode(message) for message in OWN.messages]
OWN_RECORDS = [msgspec.json.encode(record) for record in OWN.records]
OWN_LAYOUTS = {message.type: (message.name, [(field.name, field.kind) for field in message.fields])
               for message in OWN.messages}  # fmt: skip
BOMBS = tuple(zlib.compress(b" " * size, 9) for size in (MOST_BYTES, MOST_BYTES + 1, 64 << 20))
VALUES = (b"{}", b'{"Mode":{"STOPPED":0}}', b'{"A":{"B":-1e400}}', b"[]", b'{"A":{"B":18446744073709551616}}')


def schema(data: bytes) -> None:
    """A schema, or DecodeError; a schema has the hash announced, and nothing is usable that is not laid out alike."""
    choices = Choices(data)
    document, announced = _document(choices)
    try:
        theirs = read_schema(document, announced)
    except DecodeError:
        return
    assert theirs.hash == announced, "a schema of another hash is taken"
    _check_usable(theirs)


def _document(choices: Choices) -> tuple[bytes, bytes]:
    """A document, and the hash announced for it; mostly the right one, where it has one."""
    match choices.below(8):
        case 0:
            return choices.octets(choices.below(400)), choices.octets(8)
        case 1:
            return BOMBS[choices.below(len(BOMBS))], choices.octets(8)
        case 2:
            return zlib.compress(choices.octets(choices.below(400)), 1), choices.octets(8)
    text = _edited(choices)
    document = zlib.compress(text, 1)
    announced = choices.octets(8)
    if choices.below(8):
        with suppress(msgspec.MsgspecError, UnicodeError):
            announced = msgspec.json.decode(text, type=Schema).hash
    if choices.below(8) == 1:
        place = choices.below(len(document))
        document = document[:place] + choices.octets(choices.below(4)) + document[place + choices.below(4) :]
    return document, announced


def _edited(choices: Choices) -> bytes:
    messages, records = list(OWN_MESSAGES), list(OWN_RECORDS)
    if choices.below(4) == 1:
        messages = messages[:: 1 + choices.below(20)]
    for _ in range(choices.below(4)):
        entries = records if choices.below(8) == 1 else messages
        if not entries:
            continue
        place = choices.below(len(entries))
        entry = entries[place]
        match choices.below(6):
            case 0:
                del entries[place]
            case 1:
                entries.append(entry)
            case 2:
                start = choices.below(len(entry))
                entries[place] = entry[:start] + choices.octets(choices.below(12)) + entry[start + choices.below(12) :]
            case 3:
                old, new = ((b'"u8"', b'"u16"'), (b'"type":', b'"type":1'), (b'"name":"', b'"name":"\\u0000'),
                            (b'"u32"', b'"\\ud800"'))[choices.below(4)]  # fmt: skip
                entries[place] = entry.replace(old, new, 1)
            case 4:
                entries[place] = b"[" * choices.below(2000)
            case 5:
                entries.reverse()
    values = VALUES[choices.below(len(VALUES))]
    return (b'{"messages":[' + b",".join(messages) + b'],"records":[' + b",".join(records) + b'],"values":' + values
            + b"}")  # fmt: skip


def _check_usable(theirs: Schema) -> None:
    usable = usable_types(theirs)
    assert usable >= FROZEN_TYPES, "HELLO and DESCRIBE are not usable"
    assert usable <= set(DEFINITIONS), "a type we do not know is usable"
    therapy = usable & THERAPY_TYPES
    assert not therapy or therapy == THERAPY_TYPES, "half of therapy is usable"
    if Nak.TYPE not in usable:
        assert usable == FROZEN_TYPES, "requests are usable without a NAK"
    layouts: dict[int, list[tuple[str, list[tuple[str, str]]]]] = {}
    for message in theirs.messages:
        layout = (message.name, [(field.name, field.kind) for field in message.fields])
        layouts.setdefault(message.type, []).append(layout)
    for number in usable - FROZEN_TYPES:
        assert OWN_LAYOUTS[number] in layouts[number], f"type {number} is usable and laid out otherwise"
        if DEFINITIONS[number].role is Role.REQUEST:
            replies = {other for other, entry in DEFINITIONS.items() if number in entry.answers}
            assert replies <= usable, f"request {number} is usable without its replies"
    assert usable_records(theirs) <= set(map(int, BULK_RECORDS)), "a bulk object we do not know is usable"
