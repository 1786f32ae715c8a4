"""A message that is registered tomorrow is exported without a change here, whatever its fields are called."""

import json
from collections.abc import Iterator
from enum import IntEnum, IntFlag
from pathlib import Path
from unittest import mock

import pytest
from construct import (
    Bytes,
    Enum,
    Float32l,
    GreedyBytes,
    Int8sl,
    Int8ul,
    Int16sl,
    Int16ul,
    Int32sl,
    Int32ul,
    PaddedString,
    PrefixedArray,
    Struct,
)

from protocol import BulkObject, LayoutError, Message, Record, StreamDecoder, encode
from protocol.export import FORMATS
from protocol.export.vectors import vectors
from protocol.registry import BULK_RECORDS, DEFINITIONS, bulk_record, decode_payload, notification


class Huge(IntEnum):
    """Values that no C int holds."""

    SMALL = 1
    HUGE = 0xFFFFFFFF


class Lamps(IntFlag):
    """Lamps, one bit each."""

    RED = 1
    GREEN = 0x8000


class Entry(Record, frozen=True):
    """An awkward record: */ ends no comment; `yield_` is this | that."""

    lamps: Lamps | int
    yield_: int
    huge: Huge | int
    label: str
    key: bytes
    humidity_pct: float


ENTRY = Struct(
    "lamps" / Enum(Int16ul, Lamps),
    "yield_" / Int16sl,
    "huge" / Enum(Int32ul, Huge),
    "label" / PaddedString(3, "utf8"),
    "key" / Bytes(2),
    "humidity_pct" / Float32l,
)
ENTRY_BYTES = 17


@pytest.fixture
def _three_more() -> Iterator[None]:
    with mock.patch.dict(DEFINITIONS), mock.patch.dict(BULK_RECORDS):
        del BULK_RECORDS[BulkObject.EVENT_LOG]
        bulk_record(BulkObject.EVENT_LOG, ENTRY)(Entry)

        @notification(0xFC, Struct("switch" / Int8sl, "entries" / PrefixedArray(Int16ul, ENTRY)))
        class Listed(Message, frozen=True):
            """A row of `entries`, counted in two bytes; `switch` is on or off."""

            switch: int
            entries: tuple[Entry, ...]

        @notification(
            0xFD,
            Struct(
                "default" / Int8sl,
                "register" / Int16sl,
                "offset_s" / Int32sl,
                "huge" / Enum(Int32ul, Huge),
                "humidity_pct" / Float32l,
                "label" / PaddedString(3, "utf8"),
                "rest" / GreedyBytes,
            ),
        )
        class Awkward(Message, frozen=True):
            """Ends a comment: */ and has a | in it; `default` is this | that."""

            default: int
            register: int
            offset_s: int
            huge: Huge | int
            humidity_pct: float
            label: str
            rest: bytes

        @notification(0xFE, Struct("all" / GreedyBytes))
        class OnlyTail(Message, frozen=True):
            """Nothing but a tail."""

            all: bytes

        yield


@pytest.mark.usefixtures("_three_more")
def test_its_struct_compiles(gcc, tmp_path: Path) -> None:
    path = tmp_path / "theca_protocol.h"
    text = FORMATS["c-header"]()
    path.write_text(text, encoding="utf-8")
    gcc("-fsyntax-only", "-x", "c", path)
    assert "int8_t default_; /* this | that */" in text
    assert "#define THECA_HUGE_HUGE 0xFFFFFFFFu" in text
    assert "#define THECA_ONLY_TAIL_ALL_MAX_BYTES 512u" in text
    assert "#define THECA_LISTED_ENTRIES_MAX 29u" in text
    assert "int8_t switch_; /* on or off */" in text
    assert "    uint16_t entries_count; /* how many entries follow */\n    struct theca_entry entries[];" in text
    assert text.count("struct theca_entry {") == 1
    assert "struct theca_bulk_event_log {\n    struct theca_entry record;\n    uint32_t crc;\n};" in text


@pytest.mark.usefixtures("_three_more")
def test_its_table_keeps_its_columns() -> None:
    page = FORMATS["markdown"]()
    assert "| 0 | 1 | `int8_t` | `default` |  | this \\| that |" in page
    assert "| 7 | 4 | `uint32_t` | `huge` |  | [Huge](#huge) |" in page
    assert "| 11 | 4 | `float` | `humidity_pct` | % |  |" in page
    assert "| 0xFE | [OnlyTail](#0xfe-onlytail) | device to host |  |  | 0 to 512 |" in page
    assert f"| device to host |  |  | 3 to {3 + 29 * ENTRY_BYTES} |" in page
    assert "| 1 | 2 | `uint16_t` | `entries_count` |  | how many `entries` follow |" in page
    assert "| 2 | 2 | `int16_t` | `yield_` |  | this \\| that |" in page
    assert f"A record has {ENTRY_BYTES + 4} B with its CRC." in page


@pytest.mark.usefixtures("_three_more")
def test_its_vectors_decode() -> None:
    document = json.loads(vectors())
    awkward = next(message for message in document["messages"] if message["name"] == "Awkward")
    by_name = {case["name"]: case for case in awkward["cases"]}
    assert by_name["minimum"]["values"]["default"] == -128
    assert by_name["maximum"]["values"]["register"] == 32767
    assert by_name["maximum"]["values"]["label"] == "µx"
    assert by_name["typical"]["values"]["offset_s"] < 0
    for case in awkward["cases"]:
        message = decode_payload(0xFD, bytes.fromhex(case["payload_hex"]))
        assert isinstance(message, Message)
        assert getattr(message, "default") == case["values"]["default"]  # noqa: B009
    listed = next(message for message in document["messages"] if message["name"] == "Listed")
    for case in listed["cases"]:
        message = decode_payload(0xFC, bytes.fromhex(case["payload_hex"]))
        assert [entry.label for entry in getattr(message, "entries")] == [  # noqa: B009
            entry["label"] for entry in case["values"]["entries"]
        ]
    assert {case["name"]: len(case["values"]["entries"]) for case in listed["cases"]}["maximum"] == 29


@pytest.mark.usefixtures("_three_more")
def test_its_rejects_are_rejected_with_its_texts_among_them() -> None:
    rejects = {case["name"]: case for case in json.loads(vectors())["rejects"]}
    assert {"Awkward.label is not UTF-8", "Listed.entries[0].label is not UTF-8"} <= set(rejects)
    assert "Listed with the highest count and no entries" in rejects
    for case in rejects.values():
        decoder = StreamDecoder()
        assert decoder.feed(bytes.fromhex(case["wire_hex"])) == []
        assert [reject.cause.name for reject in decoder.rejects] == [case["cause"]], case["name"]


@pytest.mark.usefixtures("_three_more")
def test_its_records_are_dissected_and_a_text_in_them_that_is_not_utf8_is_named(tshark) -> None:
    document = json.loads(vectors())
    listed = next(message for message in document["messages"] if message["name"] == "Listed")
    typical = next(case for case in listed["cases"] if case["name"] == "typical")
    wrong = next(case for case in document["rejects"] if case["name"] == "Listed.entries[0].label is not UTF-8")
    wires = [bytes.fromhex(typical["wire_hex"]), bytes.fromhex(wrong["wire_hex"])]
    shown, marked = tshark(FORMATS["wireshark"](), wires)
    labels = [element.get("show") for element in shown["theca.listed.entries.label"]]
    assert labels == [entry["label"] for entry in typical["values"]["entries"]]
    assert len(shown["theca.listed.entries.lamps.green"]) == 3
    assert not [name for name in shown if name.startswith("theca.reject")]
    assert "entries[0].label is not UTF-8" in marked["theca.reject.payload"][0].get("showname", "")


@pytest.mark.usefixtures("_three_more")
def test_its_ksy_compiles_and_reads_its_records(compile_ksy) -> None:
    entries = (Entry(Lamps.GREEN, -2, Huge.HUGE, "µx", b"\x00\xff", 0.5), Entry(0, 1, 7, "", b"ab", -1.5))
    listed = DEFINITIONS[0xFC].message(switch=-1, entries=entries)
    wire = encode(listed)
    (frame,) = StreamDecoder().feed(wire)
    read = compile_ksy(FORMATS["kaitai"]()).Listed.from_bytes(frame.payload)
    assert (read.switch, read.entries_count) == (-1, 2)
    assert [(entry.lamps, entry.lamps_green, entry.yield_, entry.label, entry.key) for entry in read.entries] == [
        (0x8000, True, -2, "µx", b"\x00\xff"),
        (0, False, 1, "", b"ab"),
    ]


@pytest.mark.usefixtures("_three_more")
def test_two_layouts_with_records_of_one_name_are_refused() -> None:
    notification(0xFB, Struct("entries" / PrefixedArray(Int8ul, Struct("key" / Bytes(3)))))(_other())
    with pytest.raises(LayoutError, match="two layouts have records called Entry; give one of them another class"):
        FORMATS["c-header"]()


@pytest.mark.usefixtures("_three_more")
def test_a_field_that_is_called_like_a_count_is_refused() -> None:
    class Confusing(Message, frozen=True):
        """Says twice how many."""

        entries_count: int
        entries: tuple[Entry, ...]

    notification(0xFB, Struct("entries_count" / Int8ul, "entries" / PrefixedArray(Int8ul, ENTRY)))(Confusing)
    with pytest.raises(LayoutError, match=r"Confusing\.entries_count: .* give the field another name"):
        FORMATS["markdown"]()


def _other() -> type[Message]:
    class Entry(Record, frozen=True):
        """Called like another."""

        key: bytes

    class Other(Message, frozen=True):
        """Ends with them."""

        entries: tuple[Entry, ...]

    return Other
