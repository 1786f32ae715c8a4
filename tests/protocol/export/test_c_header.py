"""The C header compiles without a warning, and a compiler's view of a payload is what Python's encoder wrote."""

import re
import subprocess
from pathlib import Path

import pytest

from protocol import (
    SCHEMA_HASH,
    Alarm,
    CommandResult,
    CommandState,
    Event,
    EventCode,
    Hello,
    Message,
    Mode,
    Proposal,
    Status,
    Telemetry,
    encode_frame,
    encode_payload,
)
from protocol.export.c_header import c_header
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
        Telemetry(1, 200, 65535, 7, 2**64 - 1, 3, -0.5, 36.5, 2800, Alarm.LOW_RESERVOIR | Alarm.MEMORY_ERROR),
        "telemetry",
        [
            "m->stream == THECA_STREAM_TELEMETRY",
            "m->mode == 200 && m->mode > 0",
            "m->overflow == 65535",
            "m->sequence == 7",
            "m->device_time_us == UINT64_MAX && m->device_time_us > 0",
            "m->steps == 3",
            "m->rate_ul_per_h == -0.5",
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
        CommandResult(2**64 - 1, CommandState.INTERRUPTED, -1.5, 1e300),
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
        Hello(1, 2, b"\x08\x07\x06\x05\x04\x03\x02\x01", 5, 512, 3, 4, "implantable-20ml", "x" * 24, "1.0"),
        "hello",
        [
            "m->protocol_major == 1 && m->protocol_minor == 2",
            "m->schema_hash[0] == 8 && m->schema_hash[7] == 1",
            "m->capabilities == 5 && m->mtu == 512 && m->boot_id == 3 && m->last_command_id == 4",
            'strcmp(m->model, "implantable-20ml") == 0',
            "m->serial_number[0] == 'x' && m->serial_number[23] == 'x'",
            'strcmp(m->firmware_version, "1.0") == 0',
        ],
    ),
]


def test_the_header_compiles_without_a_warning(gcc, header: Path) -> None:
    gcc("-fsyntax-only", "-x", "c", header)


def test_a_c_program_reads_what_python_wrote(gcc, header: Path, tmp_path: Path) -> None:
    source = tmp_path / "reads.c"
    source.write_text(_program(), encoding="utf-8")
    program = tmp_path / "reads"
    gcc(f"-I{header.parent}", source, "-o", program)
    done = subprocess.run([program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert done.stdout == f"{sum(len(expressions) for _, _, expressions in CHECKS)} checks\n"


def _program() -> str:
    blocks = []
    for message, name, expressions in CHECKS:
        octets = ", ".join(f"0x{byte:02X}" for byte in encode_payload(message))
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
    asserts = text.count("_Static_assert(offsetof(")
    frame_fields = 6
    with_struct = [entry for entry in DEFINITIONS.values() if entry.codec.head.size]
    assert asserts == frame_fields + sum(len(entry.codec.fields) for entry in with_struct)
    for entry in DEFINITIONS.values():
        if entry.codec.head.size:
            assert f") == {entry.codec.head.size}, " in text


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
