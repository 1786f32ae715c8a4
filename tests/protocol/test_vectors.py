"""Messages as bytes, written by hand from docs/protocol.md; our encoder had no part in them."""

import math

import pytest

from protocol import (
    Ack,
    Alarm,
    Calibration,
    CommandResult,
    CommandState,
    Event,
    EventCode,
    Hello,
    HelloRequest,
    Message,
    Mode,
    Nak,
    NakReason,
    Proposal,
    ProposeCalibration,
    Status,
    StatusRequest,
    StreamDecoder,
    Telemetry,
    encode,
)

ZEROS_20 = "00 " * 20

VECTORS = [
    (HelloRequest(1, 0, 0x1122334455667788), 1, "10 01 01 00 0A 00 | 01 00 88 77 66 55 44 33 22 11"),
    (
        Hello(1, 2, b"\x08\x07\x06\x05\x04\x03\x02\x01", 0x80000001, 512, 3, 2**63, "Mößbauer", "äöü", "1"),
        2,
        """10 81 02 00 5C 00 | 01 02 08 07 06 05 04 03 02 01 01 00 00 80 00 02 03 00 00 00 00 00 00 00 00 00 00 80
        4D C3 B6 C3 9F 62 61 75 65 72 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        C3 A4 C3 B6 C3 BC 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        31 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00""",
    ),
    (StatusRequest(), 0xFFFF, "10 02 FF FF 00 00"),
    (
        # 125 = 1.953125 · 2⁶, 0.5 = 2⁻¹, 19875 = 1.21307373046875 · 2¹⁴, 36.5 = 1.140625 · 2⁵, 9.75 = 1.21875 · 2³
        Status(
            device_time_us=0x0102030405060708,
            boot_id=0xDEADBEEF,
            mode=Mode.CONTINUOUS,
            alarms=Alarm.LOW_RESERVOIR | Alarm.MEMORY_ERROR,
            rate_ul_per_h=125.0,
            steps=1000,
            delivered_ul=0.5,
            reservoir_ul=19875.0,
            battery_mv=2800,
            head_temperature_c=36.5,
            step_volume_nl=9.75,
            last_command_id=7,
            active_command_id=6,
        ),
        0x0109,
        """10 82 09 01 53 00 | 08 07 06 05 04 03 02 01 EF BE AD DE 01 09 00 00 00 00 00 00 00 00 40 5F 40
        E8 03 00 00 00 00 00 00 00 00 00 00 00 00 E0 3F 00 00 00 00 C0 68 D3 40 F0 0A 00 00 00 00 00 40 42 40
        00 00 00 00 00 80 23 40 07 00 00 00 00 00 00 00 06 00 00 00 00 00 00 00""",
    ),
    (
        # −0.0 is the sign bit alone.
        ProposeCalibration(0xFF, -0.0),
        3,
        "10 12 03 00 10 00 | FF 00 00 00 00 00 00 00 00 00 00 00 00 00 00 80",
    ),
    (
        Proposal(1, 2, b"12345678", 0, b""),
        4,
        """10 90 04 00 1C 00 | 01 00 00 00 00 00 00 00 02 00 00 00 00 00 00 00 31 32 33 34 35 36 37 38 00 00 00 00""",
    ),
    (
        # Infinity: exponent 0x7FF, fraction 0.
        CommandResult(2**64 - 1, CommandState.INTERRUPTED, 0.0, math.inf),
        5,
        "10 93 05 00 19 00 | FF FF FF FF FF FF FF FF 05 00 00 00 00 00 00 00 00 00 00 00 00 00 00 F0 7F",
    ),
    (Calibration(0.0, 0.0, 0.0, 1), 6, f"10 96 06 00 1C 00 | {ZEROS_20} 00 00 00 00 01 00 00 00"),
    (Ack(), 7, "10 A0 07 00 00 00"),
    (Nak(NakReason.BUSY, ""), 8, f"10 A1 08 00 31 00 | 04 {ZEROS_20} {ZEROS_20} 00 00 00 00 00 00 00 00"),
    (
        Telemetry(1, Mode.STOPPED, 65535, 2**32 - 1, 0, 1, 0.0, -1.0, 0, Alarm(15)),
        0,
        """10 C0 00 00 28 00 | 01 00 FF FF FF FF FF FF 00 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 00 00 00 80 BF 00 00 0F 00""",
    ),
    (
        Event(1, 2, EventCode.LOW_BATTERY, -(2**63)),
        0,
        "10 C1 00 00 16 00 | 01 00 00 00 02 00 00 00 00 00 00 00 08 00 00 00 00 00 00 00 00 80",
    ),
]


@pytest.mark.parametrize(("message", "seq", "content"), VECTORS, ids=lambda value: type(value).__name__)
def test_messages_are_the_bytes_the_reference_says(message: Message, seq: int, content: str, wire) -> None:
    frame_bytes = wire(content)
    assert encode(message, seq=seq) == frame_bytes
    (frame,) = StreamDecoder().feed(frame_bytes)
    assert (frame.seq, frame.message) == (seq, message)
