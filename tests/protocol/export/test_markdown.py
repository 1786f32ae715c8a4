"""docs/messages.md is the export of today, and the export says what the registry says."""

import functools
import re
import struct
from pathlib import Path

from protocol import BULK_RECORDS, Alarm, Capability, Day, NakReason
from protocol.export.markdown import markdown
from protocol.layout import FieldLayout
from protocol.registry import DEFINITIONS

PAGE = Path(__file__).parents[3] / "docs" / "messages.md"


def test_the_page_that_is_checked_in_is_not_stale() -> None:
    assert PAGE.read_text(encoding="utf-8") == markdown(), (
        "docs/messages.md is stale; run: thecabench protocol export markdown > docs/messages.md"
    )


_page = functools.cache(markdown)


def _section(heading: str) -> str:
    found = re.search(rf"^### {heading}\n(.*?)(?=^##|\Z)", _page(), re.MULTILINE | re.DOTALL)
    assert found, heading
    return found[1]


def test_every_field_of_every_message_has_its_row() -> None:
    for type_byte, entry in DEFINITIONS.items():
        section = _section(f"0x{type_byte:02X} {entry.message.__name__}")
        assert _rows(section) == _expected_rows(entry.codec.fields)


def test_every_field_of_every_bulk_record_has_its_row_and_the_crc_is_the_last() -> None:
    assert "## Bulk records" in markdown()
    for number, entry in BULK_RECORDS.items():
        section = _section(entry.record.__name__)
        size = entry.codec.head.size
        assert f"Of [{number.name}](#bulkobject), {int(number)}. A record has {size + 4} B with its CRC." in section
        assert _rows(section) == [*_expected_rows(entry.codec.fields), (str(size), "4", "crc")]


def _rows(section: str) -> list[tuple[str, ...]]:
    return re.findall(r"^\| (\d+) \| (\d+|rest) \| `[^`]+` \| `(\w+)` \|", section, re.MULTILINE)


def _expected_rows(fields: tuple[FieldLayout, ...]) -> list[tuple[str, ...]]:
    """A row for each field; records have one for their count before them, and a table of their own behind."""
    rows: list[tuple[str, ...]] = []
    for field in fields:
        if field.record is None:
            rows.append((str(field.offset), "rest" if field.is_tail else str(field.size), field.name))
            continue
        size = struct.calcsize(field.record.count_code)
        rows.append((str(field.offset), str(size), f"{field.name}_count"))
        rows.append((str(field.offset + size), "rest", field.name))
        rows += _expected_rows(field.record.fields)
    return rows


def test_the_records_of_a_message_have_a_table_of_their_own() -> None:
    flex = _section("0x19 ProposeFlex")
    assert "Payload: 10 to 505 B." in flex
    assert "| 9 | 1 | `uint8_t` | `steps_count` |  | how many `steps` follow |" in flex
    assert "| 10 | rest | `struct theca_flex_step[]` | `steps` |  |  |" in flex
    assert "Each of `steps` is a **FlexStep** of 11 B, of which a payload holds at most 45. From `start_min`" in flex
    assert "| 0 | 1 | `uint8_t` | `days` |  | [Day](#day) |" in flex
    assert "| 3 | 8 | `double` | `rate_ul_per_h` | µL/h |  |" in flex


def test_rows_say_type_unit_and_meaning() -> None:
    status = _section("0x82 Status")
    assert "| 12 | 1 | `uint8_t` | `mode` |  | [Mode](#mode) |" in status
    assert "| 17 | 8 | `double` | `rate_ul_per_h` | µL/h | programmed now, 0 when stopped |" in status
    assert "| 28 | rest | `uint8_t[]` | `canonical` |  | the PROPOSE payload with" in _section("0x90 Proposal")
    assert "| 1 | 48 | `char[48]` | `detail` |  | for people |" in _section("0xA1 Nak")


def test_messages_say_who_sends_them_and_what_they_answer() -> None:
    assert "Request, host to device. Answered by Hello, Nak. Payload: 10 B." in _section("0x01 HelloRequest")
    assert "Reply, device to host. Answers Commit, CommandResultRequest." in _section("0x93 CommandResult")
    assert "Notification, device to host." in _section("0xC0 Telemetry")


def test_named_values_are_listed_with_their_numbers() -> None:
    assert re.findall(r"^\| (\d+) \| (\w+) \|", _section("NakReason"), re.MULTILINE) == [
        (str(int(member)), member.name) for member in NakReason
    ]
    for flags in (Alarm, Capability, Day):
        assert re.findall(r"^\| 0x(\w+) \| (\w+) \|", _section(flags.__name__), re.MULTILINE) == [
            (f"{int(member):X}", member.name) for member in flags
        ]
    assert "FlexStep.days (`uint8_t`)" in _section("Day")
    assert "EventRecord.code (`uint16_t`)" in _section("EventCode")


def test_every_link_inside_the_page_has_its_heading() -> None:
    page = markdown()
    anchors = {
        re.sub(r"[^\w -]", "", line).lower().replace(" ", "-") for line in re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    }
    links = set(re.findall(r"\]\(#([^)]+)\)", page))
    assert links
    assert links <= anchors


def test_every_row_of_a_table_has_as_many_cells_as_its_head() -> None:
    for table in re.findall(r"(?:^\|.*\n)+", markdown(), re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1, table
