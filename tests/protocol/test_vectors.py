"""Messages as bytes, written by hand from docs/protocol.md; our encoder had no part in them."""

import math

import pytest

from protocol import (
    Ack,
    AcknowledgeAlarms,
    Alarm,
    AlarmEntry,
    Alarms,
    AlarmsRequest,
    BulkData,
    BulkInformation,
    BulkObject,
    BulkOpen,
    BulkRead,
    Calibration,
    CalibrationRequest,
    ClockReply,
    ClockRequest,
    CommandResult,
    CommandResultRequest,
    CommandState,
    Commit,
    Day,
    DescribeRequest,
    Description,
    Event,
    EventCode,
    FirmwareInformation,
    FirmwareInformationRequest,
    FlexStep,
    Handshake,
    HandshakeConfirm,
    HandshakeRequest,
    Hello,
    HelloRequest,
    Lease,
    LeaseRelease,
    LeaseRequest,
    LeaseStatusRequest,
    Message,
    Mode,
    MotorTelemetry,
    Nak,
    NakReason,
    OnLeaseLoss,
    Paired,
    PairRequest,
    PatientBolusLimits,
    PatientBolusLimitsRequest,
    PowerTelemetry,
    Proposal,
    ProposeBolus,
    ProposeBridge,
    ProposeCalibration,
    ProposeContinuous,
    ProposeFlex,
    ProposeMinimumRate,
    ProposePatientBolus,
    ProposePatientBolusLimits,
    ProposePrime,
    ProposeRefill,
    ProposeTherapyClock,
    ProposeTrial,
    ResetCause,
    SelfTestItem,
    SelfTestReport,
    SelfTestRequest,
    Severity,
    Status,
    StatusRequest,
    Stop,
    Stopped,
    Stream,
    StreamDecoder,
    Subscribe,
    Subscription,
    Telemetry,
    Therapy,
    TherapyClock,
    TherapyClockRequest,
    TherapyRequest,
    Tone,
    encode,
)
from protocol.registry import DEFINITIONS

ZEROS_7 = "00 " * 7
ZEROS_13 = "00 " * 13
ZEROS_20 = "00 " * 20
HALF = "00 00 00 00 00 00 E0 3F"  # 2⁻¹ as f64, and likewise
ONE = "00 00 00 00 00 00 F0 3F"
TWO = "00 00 00 00 00 00 00 40"

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
        CommandResult(2**64 - 1, CommandState.INTERRUPTED, 0.0, math.inf, 2),
        5,
        """10 93 05 00 21 00 | FF FF FF FF FF FF FF FF 05 00 00 00 00 00 00 00 00 00 00 00 00 00 00 F0 7F
        02 00 00 00 00 00 00 00""",
    ),
    (Calibration(0.0, 0.0, 0.0, 1), 6, f"10 96 06 00 1C 00 | {ZEROS_20} 00 00 00 00 01 00 00 00"),
    (Ack(), 7, "10 A0 07 00 00 00"),
    (Nak(NakReason.BUSY, ""), 8, f"10 A1 08 00 31 00 | 04 {ZEROS_20} {ZEROS_20} 00 00 00 00 00 00 00 00"),
    (
        Telemetry(Mode.STOPPED, 65535, 2**32 - 1, 0, 1, 0.5, -1.0, 0, Alarm(15)),
        0,
        """10 C0 00 00 23 00 | 00 FF FF FF FF FF FF 00 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00
        00 00 00 3F 00 00 80 BF 00 00 0F 00""",
    ),
    (
        Event(1, 2, EventCode.LOW_BATTERY, -(2**63)),
        0,
        "10 C1 00 00 16 00 | 01 00 00 00 02 00 00 00 00 00 00 00 08 00 00 00 00 00 00 00 00 80",
    ),
    (
        MotorTelemetry(1, 2, 3, 4, -1, 5),
        0,
        f"""10 C2 00 00 22 00 | 01 00 02 00 00 00 03 {ZEROS_7} 04 {ZEROS_7} FF FF FF FF FF FF FF FF 05 00 00 00""",
    ),
    (
        PowerTelemetry(0, 1, 2, 0x0B03, 1.0, 36.5),
        0,
        f"10 C3 00 00 18 00 | 00 00 01 00 00 00 02 {ZEROS_7} 03 0B 00 00 80 3F 00 00 12 42",
    ),
    (DescribeRequest(0x01020304), 9, "10 03 09 00 04 00 | 04 03 02 01"),
    (Description(3, 1, b"bc"), 9, "10 83 09 00 0A 00 | 03 00 00 00 01 00 00 00 62 63"),
    (FirmwareInformationRequest(), 9, "10 04 09 00 00 00"),
    (
        FirmwareInformation(b"\xab" * 32, -1, "1.0", "", "A", 3, 4, ResetCause.WATCHDOG),
        9,
        f"""10 84 09 00 61 00 | {"AB" * 32} FF FF FF FF FF FF FF FF 31 2E 30 {ZEROS_13} {ZEROS_13} 00 00 00
        41 {ZEROS_13} 00 00 03 00 00 00 04 00 00 00 02""",
    ),
    (ClockRequest(5), 10, f"10 05 0A 00 08 00 | 05 {ZEROS_7}"),
    (ClockReply(5, 6, 7, 8), 10, f"10 85 0A 00 1C 00 | 05 {ZEROS_7} 06 {ZEROS_7} 07 {ZEROS_7} 08 00 00 00"),
    (TherapyClockRequest(), 11, "10 06 0B 00 00 00"),
    (
        TherapyClock(-2, -3600, 1, 2),
        11,
        f"10 86 0B 00 18 00 | FE FF FF FF FF FF FF FF F0 F1 FF FF 01 {ZEROS_7} 02 00 00 00",
    ),
    (AlarmsRequest(), 12, "10 07 0C 00 00 00"),
    (Alarms(1, ()), 12, f"10 87 0C 00 09 00 | 01 {ZEROS_7} 00"),
    (
        Alarms(
            1,
            (
                AlarmEntry(Alarm.LOW_BATTERY, Severity.CRITICAL, 1, 0, 2, 3, 4, Tone.DUAL),
                AlarmEntry(0x8000, 9, 0, 1, 5, 6, 0, 7),
            ),
        ),
        12,
        f"""10 87 0C 00 35 00 | 01 {ZEROS_7} 02
        04 00 00 00 01 01 00 02 {ZEROS_7} 03 00 04 00 00 00 02
        00 80 00 00 09 00 01 05 {ZEROS_7} 06 00 00 00 00 00 07""",
    ),
    (AcknowledgeAlarms(Alarm.LEASE_LOST, 256), 13, "10 08 0D 00 08 00 | 00 04 00 00 00 01 00 00"),
    (TherapyRequest(), 14, "10 09 0E 00 00 00"),
    (Therapy(1, 0x10, b"\0\x01"), 14, f"10 89 0E 00 0B 00 | 01 {ZEROS_7} 10 00 01"),
    (PatientBolusLimitsRequest(), 15, "10 0A 0F 00 00 00"),
    (
        PatientBolusLimits(1, 1.0, 2.0, 3, 4, 5, 0.5, 6, 7),
        15,
        f"10 8A 0F 00 29 00 | 01 {ONE} {TWO} 03 00 00 00 04 00 05 00 00 00 {HALF} 06 00 00 00 07 00",
    ),
    (ProposeContinuous(1, 2.0, OnLeaseLoss.STOP), 16, f"10 10 10 00 11 00 | 01 {ZEROS_7} {TWO} 01"),
    (ProposeBolus(1, 2.0, 0.5), 16, f"10 11 10 00 18 00 | 01 {ZEROS_7} {TWO} {HALF}"),
    (ProposeMinimumRate(1, 0.0, OnLeaseLoss.CONTINUE), 16, f"10 18 10 00 11 00 | 01 {ZEROS_7} 00 {ZEROS_7} 00"),
    (
        # 0x41 is Monday and Sunday; 1439 = 0x059F
        ProposeFlex(1, OnLeaseLoss.STOP, (FlexStep(Day.MONDAY | Day.SUNDAY, 0, 1.0), FlexStep(0x80, 1439, -0.0))),
        16,
        f"10 19 10 00 20 00 | 01 {ZEROS_7} 01 02 41 00 00 {ONE} 80 9F 05 {ZEROS_7} 80",
    ),
    (ProposePrime(1, 1.0, 2.0), 16, f"10 1A 10 00 18 00 | 01 {ZEROS_7} {ONE} {TWO}"),
    (ProposeBridge(1, 1.0, 2.0, 0.5, 0), 16, f"10 1B 10 00 21 00 | 01 {ZEROS_7} {ONE} {TWO} {HALF} 00"),
    (
        ProposePatientBolusLimits(1, 0, 1.0, 2.0, 3, 4, 5, 0.5),
        16,
        f"10 1C 10 00 2B 00 | 01 {ZEROS_7} 00 {ONE} {TWO} 03 00 00 00 04 00 05 00 00 00 {HALF}",
    ),
    (ProposePatientBolus(1, 1.0, 2.0), 16, f"10 1D 10 00 18 00 | 01 {ZEROS_7} {ONE} {TWO}"),
    (ProposeTrial(1, 1.0, 0x01020304, 1), 16, f"10 1E 10 00 15 00 | 01 {ZEROS_7} {ONE} 04 03 02 01 01"),
    (ProposeRefill(1, 2.0), 16, f"10 1F 10 00 10 00 | 01 {ZEROS_7} {TWO}"),
    (ProposeTherapyClock(1, 2, -1), 16, f"10 20 10 00 14 00 | 01 {ZEROS_7} 02 {ZEROS_7} FF FF FF FF"),
    (Commit(1, 2, b"12345678"), 17, f"10 13 11 00 18 00 | 01 {ZEROS_7} 02 {ZEROS_7} 31 32 33 34 35 36 37 38"),
    (CommandResultRequest(3), 18, f"10 14 12 00 08 00 | 03 {ZEROS_7}"),
    (Stop(), 19, "10 15 13 00 00 00"),
    (Stopped(1, 2, 0.5), 19, f"10 95 13 00 18 00 | 01 {ZEROS_7} 02 {ZEROS_7} {HALF}"),
    (CalibrationRequest(), 20, "10 16 14 00 00 00"),
    (SelfTestRequest(SelfTestItem.MOTOR), 21, "10 22 15 00 04 00 | 20 00 00 00"),
    (
        SelfTestReport(1, SelfTestItem(6), 1, 0),
        21,
        f"10 A2 15 00 14 00 | 01 {ZEROS_7} 06 00 00 00 01 00 00 00 00 00 00 00",
    ),
    (LeaseRequest(1, 1000, "Ä"), 22, f"10 23 16 00 24 00 | 01 {ZEROS_7} E8 03 00 00 C3 84 {ZEROS_20} 00 00"),
    (LeaseStatusRequest(), 23, "10 26 17 00 00 00"),
    (Lease(0, 256, "B"), 23, f"10 A3 17 00 24 00 | 00 {ZEROS_7} 00 01 00 00 42 {ZEROS_20} 00 00 00"),
    (LeaseRelease(2), 24, f"10 27 18 00 08 00 | 02 {ZEROS_7}"),
    (BulkOpen(BulkObject.DOSE_HISTORY, 1), 25, "10 24 19 00 05 00 | 03 01 00 00 00"),
    (
        BulkInformation(BulkObject.EVENT_LOG, 1, 2, 3, 30, 90, b"\x5a" * 32),
        25,
        f"10 A4 19 00 33 00 | 01 01 00 00 00 02 00 00 00 03 00 00 00 1E 00 5A 00 00 00 {'5A' * 32}",
    ),
    (BulkRead(1, 2, 258), 26, "10 25 1A 00 0A 00 | 01 00 00 00 02 00 00 00 02 01"),
    (BulkData(1, 2, b"\xff"), 26, "10 A5 1A 00 09 00 | 01 00 00 00 02 00 00 00 FF"),
    (Subscribe(Stream.MOTOR, 100), 27, "10 17 1B 00 05 00 | 02 64 00 00 00"),
    (Subscription(Stream.POWER, 0, 20), 27, "10 97 1B 00 09 00 | 03 00 00 00 00 14 00 00 00"),
    (HandshakeRequest(b"\x5a" * 16), 28, f"10 28 1C 00 10 00 | {'5A' * 16}"),
    (Handshake(b"\xa5" * 16, b"\x5a" * 8), 28, f"10 A8 1C 00 18 00 | {'A5' * 16} {'5A' * 8}"),
    (HandshakeConfirm(), 29, "10 29 1D 00 00 00"),
    (PairRequest(b"\x01" + bytes(15)), 30, f"10 2A 1E 00 10 00 | 01 {ZEROS_7} 00 {ZEROS_7}"),
    (Paired(b"\xff" * 8), 30, "10 AA 1E 00 08 00 | FF FF FF FF FF FF FF FF"),
]


def test_every_message_has_a_vector() -> None:
    assert {message.TYPE for message, _, _ in VECTORS} == set(DEFINITIONS)


@pytest.mark.parametrize(("message", "seq", "content"), VECTORS, ids=lambda value: type(value).__name__)
def test_messages_are_the_bytes_the_reference_says(message: Message, seq: int, content: str, wire) -> None:
    frame_bytes = wire(content)
    assert encode(message, seq=seq) == frame_bytes
    (frame,) = StreamDecoder().feed(frame_bytes)
    assert (frame.seq, frame.message) == (seq, message)
