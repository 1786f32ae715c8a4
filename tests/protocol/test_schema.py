"""The schema document, its hash, and what of another device's schema stays usable."""

import json
import zlib
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import (
    SCHEMA_HASH,
    CalibrationRequest,
    DecodeError,
    Hello,
    HelloRequest,
    Mode,
    Nak,
    ProposeBolus,
    ProposeFlex,
    Schema,
    Status,
    StatusRequest,
    Stop,
    Stopped,
    Telemetry,
    own_schema,
    read_schema,
    schema_document,
    usable_records,
    usable_types,
)
from protocol.messages import THERAPY_TYPES
from protocol.registry import DEFINITIONS
from protocol.schema import FROZEN_TYPES, FieldSchema, MessageSchema

Change = Callable[[MessageSchema], MessageSchema | None]


def changed(type_byte: int, change: Change) -> Schema:
    """A device's schema, like ours but for one message."""
    ours = own_schema()
    messages = [change(entry) if entry.type == type_byte else entry for entry in ours.messages]
    return Schema(tuple(entry for entry in messages if entry is not None), ours.records, ours.values)


def with_one_field_more(entry: MessageSchema) -> MessageSchema:
    return MessageSchema(entry.type, entry.name, (*entry.fields, FieldSchema("added", "u8")))


def document(schema: Any) -> bytes:
    return zlib.compress(msgspec.json.encode(schema))


def test_the_document_is_read_back_whole() -> None:
    assert read_schema(schema_document(), SCHEMA_HASH) == own_schema()
    plain = json.loads(zlib.decompress(schema_document()))
    assert plain["values"]["Mode"] == {mode.name: mode.value for mode in Mode}
    (flex,) = (entry for entry in plain["messages"] if entry["name"] == "ProposeFlex")
    assert flex["fields"][-1]["kind"] == "u8*(days:u8,start_min:u16,rate_ul_per_h:f64)"


def test_a_new_name_for_a_value_is_no_new_schema() -> None:
    ours = own_schema()
    more = Schema(ours.messages, ours.records, {**ours.values, "Mode": {**ours.values["Mode"], "DREAMING": 99}})
    assert read_schema(document(more), SCHEMA_HASH).values["Mode"]["DREAMING"] == 99


def test_all_of_an_equal_schema_is_usable() -> None:
    assert usable_types(own_schema()) == set(DEFINITIONS)
    assert usable_records(own_schema()) == {1, 2, 3}


@pytest.mark.parametrize("type_byte", sorted(set(DEFINITIONS) - FROZEN_TYPES - THERAPY_TYPES - {Nak.TYPE}))
@pytest.mark.parametrize("change", [with_one_field_more, lambda entry: None], ids=["changed", "missing"])
def test_another_layout_costs_that_message_and_the_requests_it_answers(type_byte: int, change: Change) -> None:
    usable = usable_types(changed(type_byte, change))
    lost = {type_byte, *DEFINITIONS[type_byte].answers}
    assert usable == set(DEFINITIONS) - lost


@pytest.mark.parametrize("type_byte", sorted(THERAPY_TYPES))
def test_therapy_is_usable_as_a_whole_or_not_at_all_and_stop_stays(type_byte: int) -> None:
    usable = usable_types(changed(type_byte, with_one_field_more))
    assert not usable & THERAPY_TYPES
    assert {Stop.TYPE, Stopped.TYPE, StatusRequest.TYPE, Status.TYPE, CalibrationRequest.TYPE} <= usable


def test_without_a_nak_that_can_be_read_only_the_frozen_messages_are_left() -> None:
    assert usable_types(changed(Nak.TYPE, with_one_field_more)) == FROZEN_TYPES


def test_the_frozen_messages_stay_whatever_a_device_says_of_them() -> None:
    for type_byte in (HelloRequest.TYPE, Hello.TYPE):
        assert usable_types(changed(type_byte, with_one_field_more)) >= FROZEN_TYPES


def test_another_name_at_the_same_type_byte_is_another_message() -> None:
    usable = usable_types(changed(Telemetry.TYPE, lambda entry: MessageSchema(entry.type, "Weather", entry.fields)))
    assert Telemetry.TYPE not in usable


def test_a_message_we_do_not_know_harms_nothing() -> None:
    ours = own_schema()
    more = Schema((*ours.messages, MessageSchema(0x70, "Dance", ())), ours.records, ours.values)
    assert usable_types(more) == set(DEFINITIONS)


def test_a_step_of_a_flex_therapy_laid_out_differently_is_another_layout() -> None:
    def other_step(entry: MessageSchema) -> MessageSchema:
        kinds = FieldSchema("steps", "u8*(days:u8,start_min:u16,rate_ul_per_h:f32)")
        return MessageSchema(entry.type, entry.name, (*entry.fields[:-1], kinds))

    assert ProposeBolus.TYPE not in usable_types(changed(ProposeFlex.TYPE, other_step))


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"no zlib", "is not zlib data"),
        (schema_document()[:-10], "ends early"),
        (zlib.compress(b"{}"), "is no schema document"),
        (zlib.compress(b"[" * 10_000), "is no schema document"),
        (zlib.compress(b'{"messages": "\xff"}'), "is no schema document|is not UTF-8"),
        (zlib.compress(bytes(10_000_000)), "larger than 262144 bytes"),
        (document(changed(0x16, with_one_field_more)), "HELLO announced"),
    ],
)
def test_a_document_that_cannot_be_right_is_refused_in_one_sentence(data: bytes, sentence: str) -> None:
    with pytest.raises(DecodeError, match=sentence):
        read_schema(data, SCHEMA_HASH)


def test_what_is_listed_twice_is_refused_whatever_its_hash() -> None:
    ours = own_schema()
    twice = Schema((*ours.messages, with_one_field_more(ours.messages[-1])), ours.records, ours.values)
    with pytest.raises(DecodeError, match="lists a message type twice"):
        read_schema(document(twice), twice.hash)
    twice = Schema(ours.messages, (*ours.records, ours.records[0]), ours.values)
    with pytest.raises(DecodeError, match="lists a bulk object twice"):
        read_schema(document(twice), twice.hash)


@given(st.binary(max_size=300))
def test_no_bytes_make_it_raise_anything_else(data: bytes) -> None:
    for attempt in (data, zlib.compress(data)):
        with pytest.raises(DecodeError):
            read_schema(attempt, SCHEMA_HASH)
