"""The numbers with names: every enumeration that travels on the wire."""

from __future__ import annotations

from enum import IntEnum, IntFlag


class Capability(IntFlag):
    """What a device can do beyond answering HELLO, DESCRIBE, status and STOP, one bit each.

    AUTHENTICATION: it takes part in the handshake of keyed frames; without it the trailer is ignored.
    """

    CONTINUOUS = 1
    BOLUS = 2
    MINIMUM_RATE = 4
    FLEX = 8
    PATIENT_BOLUS = 16
    PRIMING = 32
    BRIDGE = 64
    TRIAL = 128
    CONTROL_LEASE = 256
    EVENT_LOG = 512
    SELF_TEST = 1024
    THERAPY_CLOCK = 2048
    REFILL = 4096
    AUTHENTICATION = 8192


class Mode(IntEnum):
    """What the pump's motor is doing.

    TELEMETRY: infusion is suspended by a magnet at the telemetry switch, and has to be handed back.
    """

    STOPPED = 0
    CONTINUOUS = 1
    BOLUS = 2
    FLEX = 3
    MINIMUM_RATE = 4
    PATIENT_BOLUS = 5
    PRIMING = 6
    BRIDGE = 7
    TRIAL = 8
    TELEMETRY = 9


class OnLeaseLoss(IntEnum):
    """What a therapy does when the control lease it was started under runs out."""

    CONTINUE = 0
    STOP = 1


class Day(IntFlag):
    """Days of the week of the therapy clock, on which a step of a flex therapy applies."""

    MONDAY = 1
    TUESDAY = 2
    WEDNESDAY = 4
    THURSDAY = 8
    FRIDAY = 16
    SATURDAY = 32
    SUNDAY = 64


class Alarm(IntFlag):
    """Conditions the pump reports in every status and telemetry message, one bit each.

    STOPPED_TOO_LONG: the motor has stood for more than 48 h. PROGRAMMING_INTERRUPTED: a change was begun and never
    finished, and the pump stands. LEASE_LOST: the control lease ran out under a therapy that had to stop then.
    UNDER_INFUSION, OVER_INFUSION: the rotor made fewer or more steps than due, beyond the limit of the model.
    NOT_RESUMED: infusion was suspended for telemetry and not handed back in time.
    """

    LOW_RESERVOIR = 1
    EMPTY_RESERVOIR = 2
    LOW_BATTERY = 4
    MEMORY_ERROR = 8
    MOTOR_STALL = 16
    ELECTIVE_REPLACEMENT = 32
    END_OF_SERVICE = 64
    STOPPED_TOO_LONG = 128
    SELF_TEST_FAILED = 256
    PROGRAMMING_INTERRUPTED = 512
    LEASE_LOST = 1024
    UNDER_INFUSION = 2048
    OVER_INFUSION = 4096
    NOT_RESUMED = 8192


class Severity(IntEnum):
    """How urgent an alarm is: NON_CRITICAL: one tone. CRITICAL: two tones."""

    NON_CRITICAL = 0
    CRITICAL = 1


class Tone(IntEnum):
    """How an alarm sounds now, at the model's intervals. SINGLE: one tone each time. DUAL: two."""

    SILENT = 0
    SINGLE = 1
    DUAL = 2


class CommandState(IntEnum):
    """What became of a dosing command.

    UNKNOWN: the pump never accepted this id: nothing was done, and of an id not above the highest nothing ever will be.
    FORGOTTEN: it may have accepted this id, and no longer has its result: the dose is uncertain.
    STOPPED: ended early by STOP; part of it was delivered. INTERRUPTED: ended by a reset. FAILED: ended, or not given
    in full, because the pump saw a fault of its own, a stalled motor.
    """

    UNKNOWN = 0
    FORGOTTEN = 1
    RUNNING = 2
    DONE = 3
    STOPPED = 4
    INTERRUPTED = 5
    FAILED = 6


class Stream(IntEnum):
    """What a host can subscribe to.

    TELEMETRY: `Telemetry`, the delivery. MOTOR: `MotorTelemetry`. POWER: `PowerTelemetry`.
    """

    TELEMETRY = 1
    MOTOR = 2
    POWER = 3


class BulkObject(IntEnum):
    """What a host can read in bulk; each is a row of records of one layout, oldest first."""

    EVENT_LOG = 1
    CALIBRATION_HISTORY = 2
    DOSE_HISTORY = 3


class SelfTestItem(IntFlag):
    """The parts of a self-test. MOTOR checks the motor's coils and encoder; it runs only while the pump is stopped."""

    FIRMWARE_IMAGE = 1
    MEMORY = 2
    CLOCK = 4
    BATTERY = 8
    THERMOMETER = 16
    MOTOR = 32


class ResetCause(IntEnum):
    """Why the device last started."""

    UNKNOWN = 0
    POWER_ON = 1
    WATCHDOG = 2
    BROWN_OUT = 3
    SOFTWARE = 4


class NakReason(IntEnum):
    """Why a request was refused; nothing was done."""

    UNKNOWN_TYPE = 1
    MALFORMED = 2
    OUT_OF_RANGE = 3
    BUSY = 4
    BAD_TOKEN = 5
    EXPIRED = 6
    STALE_COMMAND_ID = 7
    WRONG_STATE = 8
    SEQ_REUSED = 9
    VERSION = 10
    UNSUPPORTED = 11
    LEASE_HELD = 12
    NO_LEASE = 13
    NO_SNAPSHOT = 14
    UNAUTHENTICATED = 15
    RATE_LIMITED = 16
    NOT_PAIRING = 17


class EventCode(IntEnum):
    """What happened in the pump."""

    BOOT = 1
    STARTED = 2
    STOPPED = 3
    BOLUS_DONE = 4
    CALIBRATION_WRITTEN = 5
    LOW_RESERVOIR = 6
    EMPTY_RESERVOIR = 7
    LOW_BATTERY = 8
    MEMORY_ERROR = 9
    ALARM_ACKNOWLEDGED = 10
    LEASE_GRANTED = 11
    LEASE_RELEASED = 12
    LEASE_EXPIRED = 13
    SELF_TEST = 14
    CLOCK_SET = 15
    REFILLED = 16
    LIMITS_WRITTEN = 17
    BRIDGE_DONE = 18
    TRIAL_DONE = 19
    STOPPED_TOO_LONG = 20
    MOTOR_STALL = 21
    MOTOR_RESTARTED = 22
    COMMAND_FAILED = 23
    PAIRED = 24
    ELECTIVE_REPLACEMENT = 25
    END_OF_SERVICE = 26
    SELF_TEST_FAILED = 27
    PROGRAMMING_INTERRUPTED = 28
    UNDER_INFUSION = 29
    OVER_INFUSION = 30
    NOT_RESUMED = 31
    SUSPENDED = 32
    RESUMED = 33
    ALARM_ESCALATED = 34
    PATIENT_BOLUS_REFUSED = 35
