"""What can be read at any time: it decodes, it makes sense, and no two messages contradict each other."""

from __future__ import annotations

from math import isfinite

from bench.conformance.check import Violation, check
from bench.conformance.device import Device
from protocol import (
    SCHEMA_HASH,
    Ack,
    AcknowledgeAlarms,
    Alarm,
    AlarmEntry,
    Alarms,
    AlarmsRequest,
    Calibration,
    CalibrationRequest,
    Capability,
    ClockReply,
    ClockRequest,
    CommandResult,
    CommandResultRequest,
    CommandState,
    DecodeError,
    DescribeRequest,
    Description,
    FirmwareInformation,
    FirmwareInformationRequest,
    PatientBolusLimits,
    PatientBolusLimitsRequest,
    SelfTestItem,
    SelfTestReport,
    SelfTestRequest,
    StatusRequest,
    Therapy,
    TherapyClock,
    TherapyClockRequest,
    TherapyRequest,
    own_schema,
    read_schema,
)

MOST_DESCRIPTION_BYTES = 256 * 1024
CLOCK_EXCHANGES = 5
ALIKE = (
    "What several messages tell of one thing (boot, versions, highest command id, step volume, alarms), they tell "
    "alike."
)
STANDING_STILL = SelfTestItem(sum(SelfTestItem) & ~SelfTestItem.MOTOR)


def description(device: Device) -> bytes:
    """The whole document that DESCRIBE gives.

    Raises:
        Violation: it does not come to an end, or its parts contradict each other.
    """
    document = b""
    total_bytes = None
    while total_bytes is None or len(document) < total_bytes:
        part = device.line.ask(DescribeRequest(len(document)), Description)
        if part.offset != len(document) or part.total_bytes != (total_bytes or part.total_bytes):
            raise Violation(f"asked for offset {len(document)}, it gives {part.offset}, of {part.total_bytes} in all")
        if not part.data or part.total_bytes > MOST_DESCRIPTION_BYTES:
            raise Violation(f"at offset {len(document)} of {part.total_bytes} there are {len(part.data)} bytes")
        total_bytes = part.total_bytes
        document += part.data
    if len(document) > total_bytes:
        raise Violation(f"{len(document)} bytes came, {total_bytes} were announced")
    return document


@check(
    "layouts-described", "The host computes the schema hash from the document; one that is not HELLO's is thrown away."
)
def layouts_described(device: Device) -> None:
    document = description(device)
    try:
        schema = read_schema(document, device.hello.schema_hash)
    except DecodeError as error:
        raise Violation(str(error)) from None
    if device.hello.schema_hash == SCHEMA_HASH and schema.text != own_schema().text:
        raise Violation("another schema has the same hash")
    end = device.line.ask(DescribeRequest(len(document)), Description)
    beyond = device.line.ask(DescribeRequest(len(document) + 1), Description)
    if end.data or beyond.data:
        raise Violation("there is data at the end of the document, or behind it")
    middle = len(document) // 2
    part = device.line.ask(DescribeRequest(middle), Description)
    if not part.data or document[middle : middle + len(part.data)] != part.data:
        raise Violation(f"from offset {middle} it gives other bytes than before")


@check("status-read", ALIKE, uses=(StatusRequest,))
def status_read(device: Device) -> None:
    status, later = device.status(), device.status()
    if (status.boot_id, status.last_command_id) != (device.hello.boot_id, device.hello.last_command_id):
        raise Violation(
            f"HELLO says boot {device.hello.boot_id} and command {device.hello.last_command_id}, "
            f"the status {status.boot_id} and {status.last_command_id}"
        )
    figures = (status.rate_ul_per_h, status.delivered_ul, status.reservoir_ul, status.step_volume_nl)
    if not all(isfinite(value) and value >= 0.0 for value in figures) or not isfinite(status.head_temperature_c):
        raise Violation(f"rate, delivered, reservoir, step volume are {figures}, {status.head_temperature_c} °C")
    if later.device_time_us <= status.device_time_us:
        raise Violation(f"device time went from {status.device_time_us} to {later.device_time_us} µs")


@check("calibration-read", ALIKE, uses=(CalibrationRequest, StatusRequest))
def calibration_read(device: Device) -> None:
    read = device.line.ask(CalibrationRequest(), Calibration)
    volumes = (read.step_volume_nl, read.previous_step_volume_nl, read.nominal_step_volume_nl)
    if not all(isfinite(value) and value > 0.0 for value in volumes):
        raise Violation(f"the step volumes are {volumes} nL")
    status = device.status()
    if status.step_volume_nl != read.step_volume_nl:
        raise Violation(f"the status says {status.step_volume_nl} nL, the calibration {read.step_volume_nl} nL")


@check("firmware-read", ALIKE, uses=(FirmwareInformationRequest,))
def firmware_read(device: Device) -> None:
    read = device.line.ask(FirmwareInformationRequest(), FirmwareInformation)
    if (read.firmware_version, read.boot_id) != (device.hello.firmware_version, device.hello.boot_id):
        raise Violation(
            f"HELLO says firmware {device.hello.firmware_version!r} and boot {device.hello.boot_id}, "
            f"this {read.firmware_version!r} and {read.boot_id}"
        )


@check(
    "therapy-read",
    "The therapy in force, which is what a bolus hands back to: a host that joins later learns here what was "
    "programmed.",
    uses=(TherapyRequest, StatusRequest),
)
def therapy_read(device: Device) -> None:
    therapy = device.line.ask(TherapyRequest(), Therapy)
    if device.is_stopped() and therapy != Therapy(0, 0, b""):
        raise Violation(f"it is stopped and says that {therapy} is in force")


@check(
    "unknown-command",
    "never accepted: nothing was delivered.",
    uses=(CommandResultRequest, StatusRequest),
)
def unknown_command(device: Device) -> None:
    command_id = device.next_command_id()
    result = device.line.ask(CommandResultRequest(command_id), CommandResult)
    if result != CommandResult(command_id, CommandState.UNKNOWN, 0.0, 0.0, 0):
        raise Violation(f"of command {command_id}, which nobody gave, it says {result}")


@check(
    "alarms-read",
    "Alarms lists every alarm that is active or not yet acknowledged, so one that came and went is seen too.",
    uses=(AlarmsRequest, StatusRequest),
)
def alarms_read(device: Device) -> None:
    entries = device.line.ask(AlarmsRequest(), Alarms).entries
    for entry in entries:
        one_bit = entry.alarm > 0 and entry.alarm & (entry.alarm - 1) == 0
        if not one_bit or {entry.active, entry.acknowledged} - {0, 1} or (entry.acknowledged and not entry.active):
            raise Violation(f"this is no alarm that is active or not yet acknowledged: {entry}")
    active = sum(int(entry.alarm) for entry in entries if entry.active)
    status = device.status()
    if active != status.alarms or len({entry.alarm for entry in entries}) != len(entries):
        raise Violation(
            f"the status says {Alarm(status.alarms)!r}, the list {Alarm(active)!r} in {len(entries)} entries"
        )


@check(
    "acknowledging-nothing",
    "Bits of alarms that are not listed change nothing.",
    uses=(AlarmsRequest, AcknowledgeAlarms),
)
def acknowledging_nothing(device: Device) -> None:
    before = device.line.ask(AlarmsRequest(), Alarms).entries
    device.line.ask(AcknowledgeAlarms(0, 0), Ack)
    after = device.line.ask(AlarmsRequest(), Alarms).entries
    if _seen(before) != _seen(after):
        raise Violation(f"no alarm was acknowledged, and the list changed from {before} to {after}")


@check(
    "therapy-clock-read",
    "The therapy clock is what flex steps follow: UTC and an offset, together local time.",
    uses=(TherapyClockRequest,),
    needs=Capability.THERAPY_CLOCK,
)
def therapy_clock_read(device: Device) -> None:
    first = device.line.ask(TherapyClockRequest(), TherapyClock)
    again = device.line.ask(TherapyClockRequest(), TherapyClock)
    if (first.generation, first.utc_offset_s) != (again.generation, again.utc_offset_s) or again.utc_s < first.utc_s:
        raise Violation(f"nobody set the therapy clock, and it went from {first} to {again}")


@check(
    "patient-bolus-limits-read",
    "The limits in force, and what of them is used up.",
    uses=(PatientBolusLimitsRequest,),
    needs=Capability.PATIENT_BOLUS,
)
def patient_bolus_limits_read(device: Device) -> None:
    limits = device.line.ask(PatientBolusLimitsRequest(), PatientBolusLimits)
    if limits.enabled not in (0, 1) or not limits.volume_ul >= 0.0 or limits.lockout_left_s > limits.lockout_s:
        raise Violation(f"these limits contradict themselves: {limits}")


@check("clock-runs", "Device time counts microseconds since boot.", uses=(ClockRequest,))
def clock_runs(device: Device) -> None:
    latest_us = 0
    for count in range(CLOCK_EXCHANGES):
        host_us = 1_000_000 * count + 7
        reply = device.line.ask(ClockRequest(host_us), ClockReply)
        if reply.host_time_us != host_us or reply.boot_id != device.hello.boot_id:
            raise Violation(f"asked at {host_us} µs in boot {device.hello.boot_id}, it answers {reply}")
        if not latest_us < reply.received_us <= reply.sent_us:
            raise Violation(f"after {latest_us} µs it received at {reply.received_us} and sent at {reply.sent_us} µs")
        latest_us = reply.sent_us
        device.line.hear(0.01)


@check(
    "self-test-reported",
    "A known item is in exactly one of the three.",
    uses=(SelfTestRequest,),
    needs=Capability.SELF_TEST,
)
def self_test_reported(device: Device) -> None:
    report = device.line.ask(SelfTestRequest(STANDING_STILL), SelfTestReport)
    lists = (report.passed, report.failed, report.not_run)
    for item in SelfTestItem:
        if sum(bool(item & found) for found in lists) != 1:
            raise Violation(f"{item.name} is not in exactly one of passed, failed and not_run: {report}")
    if SelfTestItem.MOTOR & (report.passed | report.failed):
        raise Violation("the motor was not asked for, and was tested")


def _seen(entries: tuple[AlarmEntry, ...]) -> list[tuple[int, int]]:
    return [(int(entry.alarm), entry.acknowledged) for entry in entries]


READS = (
    layouts_described,
    status_read,
    calibration_read,
    firmware_read,
    therapy_read,
    unknown_command,
    alarms_read,
    acknowledging_nothing,
    therapy_clock_read,
    patient_bolus_limits_read,
    clock_runs,
    self_test_reported,
)
