"""What the exports know of a message beside its layout: units, meanings, C types."""

import pytest

from protocol import CommandState, LayoutError
from protocol.export import FORMATS, frame
from protocol.export.description import (
    c_type_of,
    describe_bulk,
    describe_messages,
    describe_records,
    field_meanings,
    unit_of,
    value_meanings,
)
from protocol.export.values import message_sets, record_sets
from protocol.framing import TRAILER_BYTES, encode_frame
from protocol.registry import BULK_RECORDS, DEFINITIONS


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("rate_ul_per_h", "µL/h"),
        ("delivered_low_ul", "µL"),
        ("step_volume_nl", "nL"),
        ("device_time_us", "µs"),
        ("expires_in_ms", "ms"),
        ("battery_mv", "mV"),
        ("head_temperature_c", "°C"),
        ("start_min", "min"),
        ("battery_used_j", "J"),
        ("steps", ""),
        ("model", ""),
        ("c", ""),
    ],
)
def test_the_suffix_of_a_name_is_its_unit(name: str, unit: str) -> None:
    assert unit_of(name) == unit


def test_a_clause_that_begins_with_a_field_is_its_meaning() -> None:
    text = """One sample: `first` is this,
    in two lines; `second` counts `first`, since boot. `third` and `fourth` are alike, `fifth` for people.
    Says nothing of `sixth`; but much else."""
    assert field_meanings(text) == {
        "first": "this, in two lines",
        "second": "counts `first`, since boot",
        "third": "alike",
        "fourth": "alike",
        "fifth": "for people",
    }


def test_of_several_clauses_about_a_field_the_one_that_says_what_it_is_counts() -> None:
    text = "Gives: `volume_ul` at a rate, `steps` to go. `volume_ul` is what the vessel holds. `steps` count up."
    assert field_meanings(text) == {"volume_ul": "what the vessel holds", "steps": "to go"}


def test_the_docstring_of_an_enumeration_names_its_values() -> None:
    meanings = value_meanings(CommandState)
    assert meanings["STOPPED"] == "ended early by STOP; part of it was delivered"
    assert meanings["INTERRUPTED"] == "ended by a reset"
    assert "RUNNING" not in meanings


@pytest.mark.parametrize(
    ("kind", "c_type", "count"),
    [
        ("u8", "uint8_t", None),
        ("i64", "int64_t", None),
        ("f32", "float", None),
        ("bytes8", "uint8_t", 8),
        ("text48", "char", 48),
        ("tail", "uint8_t", 0),
    ],
)
def test_every_kind_has_its_c_type(kind: str, c_type: str, count: int | None) -> None:
    assert c_type_of(kind) == (c_type, count)


def test_a_kind_that_the_exports_do_not_know_is_refused_with_its_cure() -> None:
    with pytest.raises(LayoutError, match=r"kind u24 .*description\.py"):
        c_type_of("u24")


def test_every_registered_message_is_described_with_every_field() -> None:
    described = describe_messages()
    assert [message.type_byte for message in described] == sorted(DEFINITIONS)
    for message in described:
        codec = DEFINITIONS[message.type_byte].codec
        assert [(field.name, field.offset, field.size) for field in message.fields] == [
            (field.name, field.offset, field.size) for field in codec.fields
        ]
        assert all(
            (field.values is None) == (known.names is None)
            for field, known in zip(message.fields, codec.fields, strict=True)
        )


def test_a_count_is_a_field_of_its_own_where_the_fields_are_shown_as_they_lie() -> None:
    flex = next(message for message in describe_messages() if message.name == "ProposeFlex")
    assert [(field.name, field.kind, field.offset, field.c_type_text) for field in flex.wire_fields] == [
        ("command_id", "u64", 0, "uint64_t"),
        ("on_lease_loss", "u8", 8, "uint8_t"),
        ("steps_count", "u8", 9, "uint8_t"),
        ("steps", "records", 10, "struct theca_flex_step[]"),
    ]
    assert (flex.least_bytes, flex.most_records, flex.most_bytes) == (10, 45, 10 + 45 * 11)
    assert flex.records is not None
    assert [(field.name, field.kind, field.offset) for field in flex.records.fields] == [
        ("days", "u8", 0),
        ("start_min", "u16", 1),
        ("rate_ul_per_h", "f64", 3),
    ]


def test_every_bulk_object_is_described_with_every_field_and_its_size_with_the_crc() -> None:
    assert [bulk.object for bulk in describe_bulk()] == sorted(BULK_RECORDS)
    for bulk in describe_bulk():
        codec = BULK_RECORDS[bulk.object].codec
        assert bulk.record_bytes == codec.head.size + 4
        assert [(field.name, field.offset, field.size) for field in bulk.record.fields] == [
            (field.name, field.offset, field.size) for field in codec.fields
        ]
    names = [record.name for record in describe_records()]
    assert names == ["FlexStep", "AlarmEntry", "EventRecord", "CalibrationRecord", "DoseRecord"]


def test_every_message_has_values_at_zero_at_the_boundaries_and_between() -> None:
    for message in describe_messages():
        names = [name for name, _ in message_sets(message)]
        assert names == ["empty"] or names[:4] == ["zero", "minimum", "maximum", "typical"]
        assert ("without records" in names) == (message.records is not None)
    for record in describe_records():
        assert [name for name, _ in record_sets(record)][:4] == ["zero", "minimum", "maximum", "typical"]


def test_a_message_has_as_many_records_as_fit_at_its_maximum_and_several_that_differ_between() -> None:
    flex = next(message for message in describe_messages() if message.name == "ProposeFlex")
    steps = {name: getattr(message, "steps") for name, message in message_sets(flex)}  # noqa: B009
    assert {name: len(records) for name, records in steps.items()} == {
        "zero": 1, "minimum": 1, "maximum": 45, "typical": 3, "small": 3, "infinite": 3, "nan": 3, "without records": 0,
    }  # fmt: skip
    assert len(set(steps["typical"])) == 3
    assert {str(step.rate_ul_per_h) for step in steps["infinite"]} == {"inf", "-inf"}


def test_the_stated_figures_of_the_frame_are_the_encoders() -> None:
    full = bytes(1 + step % 255 for step in range(512))
    shortest = encode_frame(0xFF, 0xFFFF, b"")
    longest = encode_frame(0xFF, 0x0101, full, trailer=b"\x01" * TRAILER_BYTES)
    assert len(shortest) == frame.MIN_FRAME_BYTES + 3
    assert len(longest) == frame.MAX_WIRE_BYTES == 539
    assert (frame.MAX_FRAME_BYTES, frame.MAX_ENCODED_BYTES) == (534, 537)


def test_the_figures_of_the_crc_belong_together(crc32c) -> None:
    assert crc32c(frame.CRC_CHECK_TEXT.encode()) == frame.CRC_CHECK
    assert int(f"{frame.CRC_POLYNOMIAL:032b}"[::-1], 2) == frame.CRC_POLYNOMIAL_REFLECTED


@pytest.mark.parametrize("name", FORMATS)
def test_every_export_is_the_same_text_at_every_call_and_ends_with_one_line_feed(name: str) -> None:
    text = FORMATS[name]()
    assert text == FORMATS[name]()
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    assert "\r" not in text
