"""The C header compiles without a warning, and a compiler's view of a payload is what Python's encoder wrote."""

import re
import subprocess
from pathlib import Path

import pytest

from protocol import (
    BULK_RECORDS,
    SCHEMA_HASH,
    Alarm,
    AlarmEntry,
    Alarms,
    BulkObject,
    CalibrationRecord,
    Capability,
    CommandResult,
    CommandState,
    Day,
    DoseRecord,
    Event,
    EventCode,
    EventRecord,
    FlexStep,
    Hello,
    Message,
    Mode,
    MotorTelemetry,
    OnLeaseLoss,
    Proposal,
    ProposeFlex,
    ProposeTherapyClock,
    Record,
    Severity,
    Status,
    Telemetry,
    Tone,
    encode_frame,
    encode_payload,
)
from protocol.export.c_header import c_header
from protocol.export.description import snake_case
from protocol.registry import DEFINITIONS

# Values by hand. Each C expression is true of the payload that its message has when Python encodes it.
CHECKS: list[tuple[Message, str, list[str]]] = [
    (
        Event(0xFFFFFFFE, 0x0102030405060708, EventCode.LOW_BATTERY, -5),
        "event",
        [
            "m->sequence == 4294967294u",
            "m->device_time_us == UINT64_C(72623859790382856)",
            "m->code == THECA_EVENT_CODE_LOW_BATTERY",
            "m->argument == -5",
            "m->argument < 0",
        ],
    ),
    (
        Event(1, 2, 0xFFFF, -(2**63)),
        "event",
        ["m->code == 65535", "m->argument == INT64_MIN"],
    ),
    (
        Telemetry(200, 65535, 7, 2**64 - 1, 3, -0.5, 36.5, 2800, Alarm.LOW_RESERVOIR | Alarm.MEMORY_ERROR),
        "telemetry",
        [
            "m->mode == 200 && m->mode > 0",
            "m->overflow == 65535",
            "m->sequence == 7",
            "m->device_time_us == UINT64_MAX && m->device_time_us > 0",
            "m->steps == 3",
            "m->rate_ul_per_h == -0.5f",
            "m->head_temperature_c == 36.5f",
            "m->battery_mv == 2800",
            "m->alarms == (THECA_ALARM_LOW_RESERVOIR | THECA_ALARM_MEMORY_ERROR)",
        ],
    ),
    (
        Status(1, 0xDEADBEEF, Mode.BOLUS, 0x80000000, 125.0, 1000, 0.5, 19875.0, 65535, -9.75, 0.1, 7, 2**63),
        "status",
        [
            "m->device_time_us == 1",
            "m->boot_id == 0xDEADBEEFu",
            "m->mode == THECA_MODE_BOLUS",
            "m->alarms == 0x80000000u && m->alarms > 0",
            "m->rate_ul_per_h == 125.0",
            "m->steps == 1000",
            "m->delivered_ul == 0.5",
            "m->reservoir_ul == 19875.0",
            "m->battery_mv == 65535",
            "m->head_temperature_c == -9.75",
            "m->step_volume_nl == 0.1",
            "m->last_command_id == 7",
            "m->active_command_id == UINT64_C(1) << 63",
        ],
    ),
    (
        CommandResult(2**64 - 1, CommandState.INTERRUPTED, -1.5, 1e300, 2**64 - 1),
        "command_result",
        [
            "m->command_id == UINT64_MAX",
            "m->state == THECA_COMMAND_STATE_INTERRUPTED",
            "m->delivered_low_ul == -1.5",
            "m->delivered_high_ul == 1e300",
        ],
    ),
    (
        Proposal(1, 2, b"\x81234567\xff", 30000, b"\xc3tail"),
        "proposal",
        [
            "m->digest[0] == 0x81 && m->digest[7] == 0xFF",
            "m->expires_in_ms == 30000",
            "sizeof payload == THECA_PROPOSAL_BYTES + 5",
            "m->canonical[0] == 0xC3 && m->canonical[4] == 'l'",
        ],
    ),
    (
        Hello(
            1,
            2,
            b"\x08\x07\x06\x05\x04\x03\x02\x01",
            Capability.BOLUS | Capability.FLEX,
            512,
            3,
            4,
            "implantable-20ml",
            "x" * 24,
            "1.0",
        ),
        "hello",
        [
            "m->protocol_major == 1 && m->protocol_minor == 2",
            "m->schema_hash[0] == 8 && m->schema_hash[7] == 1",
            "m->capabilities == (THECA_CAPABILITY_BOLUS | THECA_CAPABILITY_FLEX)",
            "m->mtu == 512 && m->boot_id == 3 && m->last_command_id == 4",
            'strcmp(m->model, "implantable-20ml") == 0',
            "m->serial_number[0] == 'x' && m->serial_number[23] == 'x'",
            'strcmp(m->firmware_version, "1.0") == 0',
        ],
    ),
    (
        ProposeFlex(
            2**64 - 1,
            OnLeaseLoss.STOP,
            (
                FlexStep(Day.MONDAY | Day.SUNDAY, 0x0102, -0.25),
                FlexStep(0xFF, 65535, 1e300),
                FlexStep(0, 1439, 125.5),
            ),
        ),
        "propose_flex",
        [
            "m->command_id == UINT64_MAX",
            "m->on_lease_loss == THECA_ON_LEASE_LOSS_STOP",
            "m->steps_count == 3",
            "sizeof payload == THECA_PROPOSE_FLEX_BYTES + m->steps_count * THECA_FLEX_STEP_BYTES",
            "m->steps[0].days == (THECA_DAY_MONDAY | THECA_DAY_SUNDAY)",
            "m->steps[0].start_min == 258 && m->steps[0].rate_ul_per_h == -0.25",
            "m->steps[1].days == 255 && m->steps[1].days > 0",
            "m->steps[1].start_min == 65535 && m->steps[1].start_min > 0",
            "m->steps[1].rate_ul_per_h == 1e300",
            "m->steps[2].start_min == 1439 && m->steps[2].rate_ul_per_h == 125.5",
        ],
    ),
    (
        ProposeFlex(1, 200, ()),
        "propose_flex",
        [
            "m->on_lease_loss == 200 && m->on_lease_loss > 0",
            "m->steps_count == 0 && sizeof payload == sizeof *m",
            "THECA_PROPOSE_FLEX_STEPS_MAX == 45 && THECA_PROPOSE_FLEX_STEPS_MAX_BYTES == 495",
        ],
    ),
    (
        Alarms(
            7,
            (
                AlarmEntry(Alarm.LEASE_LOST, Severity.CRITICAL, 1, 0, 2**63, 65535, 2**32 - 1, Tone.DUAL),
                AlarmEntry(2**31, 77, 0, 1, 3, 4, 5, 200),
            ),
        ),
        "alarms",
        [
            "m->device_time_us == 7 && m->entries_count == 2",
            "m->entries[0].alarm == THECA_ALARM_LEASE_LOST",
            "m->entries[0].severity == THECA_SEVERITY_CRITICAL",
            "m->entries[0].active == 1 && m->entries[0].acknowledged == 0",
            "m->entries[0].raised_at_us == UINT64_C(1) << 63",
            "m->entries[0].times == 65535 && m->entries[0].times > 0",
            "m->entries[0].silent_for_s == 4294967295u && m->entries[0].silent_for_s > 0",
            "m->entries[0].tone == THECA_TONE_DUAL && m->entries[1].tone == 200 && m->entries[1].tone > 0",
            "m->entries[1].alarm == 0x80000000u && m->entries[1].alarm > 0",
            "m->entries[1].severity == 77 && m->entries[1].acknowledged == 1",
            "m->entries[1].raised_at_us == 3 && m->entries[1].times == 4 && m->entries[1].silent_for_s == 5",
        ],
    ),
    (
        ProposeTherapyClock(9, -1, -3600),
        "propose_therapy_clock",
        ["m->command_id == 9", "m->utc_s == -1 && m->utc_s < 0", "m->utc_offset_s == -3600 && m->utc_offset_s < 0"],
    ),
    (
        MotorTelemetry(1, 2, 3, 4, -5, 6),
        "motor_telemetry",
        [
            "m->overflow == 1 && m->sequence == 2 && m->device_time_us == 3 && m->steps == 4",
            "m->encoder_steps == -5 && m->encoder_steps < 0",
            "m->step_period_us == 6",
        ],
    ),
]

# The same for a record of a bulk object as it lies in a snapshot, with its CRC behind.
BULK_CHECKS: list[tuple[BulkObject, Record, list[str]]] = [
    (
        BulkObject.EVENT_LOG,
        EventRecord(0xFFFFFFFE, 7, 0x0102030405060708, EventCode.BRIDGE_DONE, -5),
        [
            "m->record.index == 4294967294u && m->record.boot_id == 7",
            "m->record.device_time_us == UINT64_C(72623859790382856)",
            "m->record.code == THECA_EVENT_CODE_BRIDGE_DONE",
            "m->record.argument == -5 && m->record.argument < 0",
            "sizeof *m == 30 && THECA_BULK_EVENT_LOG_BYTES == 30 && THECA_EVENT_RECORD_BYTES == 26",
        ],
    ),
    (
        BulkObject.CALIBRATION_HISTORY,
        CalibrationRecord(1, 2, 3, 2**64 - 1, 0.1),
        [
            "m->record.index == 1 && m->record.boot_id == 2 && m->record.device_time_us == 3",
            "m->record.command_id == UINT64_MAX",
            "m->record.step_volume_nl == 0.1",
            "sizeof *m == 36",
        ],
    ),
    (
        BulkObject.DOSE_HISTORY,
        DoseRecord(1, 2, 0x1E, CommandState.STOPPED, -0.5, 1e300),
        [
            "m->record.index == 1 && m->record.command_id == 2",
            "m->record.propose_type == THECA_TYPE_PROPOSE_TRIAL",
            "m->record.state == THECA_COMMAND_STATE_STOPPED",
            "m->record.delivered_low_ul == -0.5 && m->record.delivered_high_ul == 1e300",
            "sizeof *m == 34",
        ],
    ),
]


def test_the_header_compiles_without_a_warning(gcc, header: Path) -> None:
    gcc("-fsyntax-only", "-x", "c", header)


def test_a_c_program_reads_what_python_wrote(gcc, header: Path, tmp_path: Path, crc32c) -> None:
    overlays = [(encode_payload(message), name, expressions) for message, name, expressions in CHECKS]
    for number, record, expressions in BULK_CHECKS:
        octets = BULK_RECORDS[number].codec.encode(record)
        crc = crc32c(octets)
        octets += crc.to_bytes(4, "little")
        overlays.append((octets, f"bulk_{number.name.lower()}", [*expressions, f"m->crc == 0x{crc:08X}u"]))
    source = tmp_path / "reads.c"
    source.write_text(_program(overlays), encoding="utf-8")
    program = tmp_path / "reads"
    gcc(f"-I{header.parent}", source, "-o", program)
    done = subprocess.run([program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert done.stdout == f"{sum(len(expressions) for _, _, expressions in overlays)} checks\n"


def _program(overlays: list[tuple[bytes, str, list[str]]]) -> str:
    blocks = []
    for payload, name, expressions in overlays:
        octets = ", ".join(f"0x{byte:02X}" for byte in payload)
        checks = "\n".join(f"        CHECK({expression});" for expression in expressions)
        blocks.append(
            f"    {{\n        static const unsigned char payload[] = {{{octets}}};\n"
            f"        const struct theca_{name} *m = (const void *)payload;\n{checks}\n    }}"
        )
    return (
        "#include <stdio.h>\n#include <string.h>\n"
        '#include "theca_protocol.h"\n'
        '#include "theca_protocol.h"\n'
        '#define CHECK(e) do { ++checks; if (!(e)) { puts("wrong: " #e); ++wrong; } } while (0)\n'
        "int main(void)\n{\n    int checks = 0, wrong = 0;\n"
        + "\n".join(blocks)
        + '\n    printf("%d checks\\n", checks);\n    return wrong != 0;\n}\n'
    )


FRAME_CONTENT = "11 15 34 12 02 00 | AA BB | EF BE AD DE 01 02 03 04 05 06 07 08"
FRAME_PROGRAM = r"""
#include <stdio.h>
#include "theca_protocol.h"
#define CHECK(e) do { if (!(e)) { puts("wrong: " #e); ++wrong; } } while (0)
static uint32_t crc32c(const unsigned char *data, size_t size)
{
    uint32_t crc = THECA_CRC32C_INITIAL;
    while (size--) {
        crc ^= *data++;
        for (int bit = 0; bit < 8; ++bit)
            crc = (crc >> 1) ^ (crc & 1u ? THECA_CRC32C_POLYNOMIAL_REFLECTED : 0u);
    }
    return crc ^ THECA_CRC32C_FINAL_XOR;
}
int main(void)
{
    static const unsigned char body[] = {@};
    static const unsigned char hash[THECA_SCHEMA_HASH_BYTES] = THECA_SCHEMA_HASH;
    const struct theca_frame_header *header = (const void *)body;
    const struct theca_frame_trailer *trailer =
        (const void *)(body + THECA_FRAME_HEADER_BYTES + header->length);
    int wrong = 0;
    CHECK(header->version_flags == (THECA_FRAME_VERSION_FLAGS | THECA_FRAME_FLAG_TRAILER));
    CHECK(header->type == THECA_TYPE_STOP);
    CHECK(header->seq == 0x1234);
    CHECK(header->length == 2);
    CHECK(trailer->counter == 0xDEADBEEFu);
    CHECK(trailer->tag[0] == 1 && trailer->tag[7] == 8);
    CHECK(sizeof body == THECA_FRAME_HEADER_BYTES + 2 + THECA_FRAME_TRAILER_BYTES);
    CHECK(crc32c((const unsigned char *)THECA_CRC32C_CHECK_TEXT, 9) == THECA_CRC32C_CHECK);
    printf("%08X ", (unsigned)crc32c(body, sizeof body));
    for (size_t at = 0; at < sizeof hash; ++at)
        printf("%02x", hash[at]);
    return wrong != 0;
}
"""


def test_a_c_program_reads_header_and_trailer_and_computes_the_crc(
    gcc, header: Path, tmp_path: Path, wire, crc32c
) -> None:
    body = bytes.fromhex(FRAME_CONTENT.replace("|", ""))
    assert encode_frame(0x15, 0x1234, b"\xaa\xbb", trailer=body[-12:]) == wire(FRAME_CONTENT)
    source = tmp_path / "frame.c"
    source.write_text(FRAME_PROGRAM.replace("@", ", ".join(map(str, body))), encoding="utf-8")
    program = tmp_path / "frame"
    gcc(f"-I{header.parent}", source, "-o", program)
    done = subprocess.run([program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert done.stdout == f"{crc32c(body):08X} {SCHEMA_HASH.hex()}"


def test_the_compiler_refuses_a_header_whose_field_has_moved(gcc, header: Path) -> None:
    text = header.read_text(encoding="utf-8")
    swapped = text.replace("    uint8_t state;", "    uint8_t state, moved;")
    assert swapped != text
    header.write_text(swapped, encoding="utf-8")
    with pytest.raises(AssertionError, match=r"theca_command_result\.delivered_low_ul"):
        gcc("-fsyntax-only", "-x", "c", header)


def test_every_field_has_its_size_and_offset_asserted() -> None:
    text = c_header()
    frame_fields, bulk_fields = 6, 2 * len(BULK_RECORDS)
    layouts = [entry.codec.fields for entry in DEFINITIONS.values()]
    tails = [fields[-1].record for fields in layouts if fields and fields[-1].record is not None]
    assert tails
    asserted = [*layouts, *(tail.fields for tail in tails), *(entry.codec.fields for entry in BULK_RECORDS.values())]
    counts = len(tails)
    assert text.count("_Static_assert(offsetof(") == sum(map(len, asserted)) + counts + frame_fields + bulk_fields
    for entry in DEFINITIONS.values():
        if entry.codec.fields and not entry.codec.has_tail:
            name = f"theca_{snake_case(entry.message.__name__)}"
            assert f"_Static_assert(sizeof(struct {name}) == {entry.codec.head.size}, " in text
    assert "_Static_assert(offsetof(struct theca_propose_flex, steps_count) == 9, " in text
    assert "_Static_assert(offsetof(struct theca_propose_flex, steps) == 10, " in text
    assert "_Static_assert(sizeof(struct theca_propose_flex) == 10, " in text
    assert "_Static_assert(sizeof(struct theca_alarm_entry) == 22, " in text


def test_every_name_in_the_header_is_defined_once() -> None:
    text = c_header()
    names = re.findall(r"#define (\w+)", text) + re.findall(r"^    (THECA_\w+) = ", text, re.MULTILINE)
    assert len(names) == len(set(names))
    for type_byte in DEFINITIONS:
        assert len(re.findall(rf"#define THECA_TYPE_\w+ 0x{type_byte:02X}u", text)) == 1


def test_the_header_states_its_byte_order_and_its_purpose() -> None:
    top = c_header().partition("#ifndef")[0]
    assert "LITTLE-ENDIAN" in top
    assert "NEVER FOR CLINICAL USE" in top
