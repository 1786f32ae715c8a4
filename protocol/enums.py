"""The numbers with names: every enumeration that travels on the wire."""

from __future__ import annotations

from enum import IntEnum, IntFlag


class Mode(IntEnum):
    """What the pump's motor is doing."""

    STOPPED = 0
    CONTINUOUS = 1
    BOLUS = 2


class Alarm(IntFlag):
    """Conditions the pump reports in every status and telemetry message, one bit each."""

    LOW_RESERVOIR = 1
    EMPTY_RESERVOIR = 2
    LOW_BATTERY = 4
    MEMORY_ERROR = 8


class CommandState(IntEnum):
    """What became of a dosing command.

    UNKNOWN: the pump never saw this id, which is above the highest it has seen.
    FORGOTTEN: the id is below the highest, and its result is no longer stored: the dose is uncertain.
    STOPPED: ended early by STOP; part of it was delivered. INTERRUPTED: ended by a reset.
    """

    UNKNOWN = 0
    FORGOTTEN = 1
    RUNNING = 2
    DONE = 3
    STOPPED = 4
    INTERRUPTED = 5


class Stream(IntEnum):
    """What a host can subscribe to."""

    TELEMETRY = 1


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
