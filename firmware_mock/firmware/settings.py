"""Settings that a committed command writes: calibration, filling, therapy clock, limits of patient boluses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from firmware_mock.firmware.accounts import Accounts
from firmware_mock.firmware.clock import DeviceClock
from firmware_mock.firmware.logs import Logs
from firmware_mock.firmware.memory import BolusLimits, Memory, Result
from firmware_mock.firmware.nvram import Nvram
from protocol import (
    CommandState,
    EventCode,
    Message,
    ProposeCalibration,
    ProposePatientBolusLimits,
    ProposeRefill,
    ProposeTherapyClock,
)


class Settings:
    """Carries out accepted commands; `announce` is told of each with the command's id.

    `on_clock_set` is called when the therapy clock shows another time.
    """

    def __init__(
        self,
        nvram: Nvram,
        accounts: Accounts,
        clock: DeviceClock,
        logs: Logs,
        announce: Callable[[EventCode, int], None],
        on_clock_set: Callable[[], None],
    ) -> None:
        self._nvram = nvram
        self._accounts = accounts
        self._clock = clock
        self._logs = logs
        self._announce = announce
        self._on_clock_set = on_clock_set

    def calibrate(self, command_id: int, token: int, step_volume_nl: float) -> None:
        """Write a step volume; the motor stands still."""
        self._write(ProposeCalibration, command_id, token, self._accounts.calibrated(step_volume_nl))
        self._logs.add_calibration(command_id, step_volume_nl)
        self._announce(EventCode.CALIBRATION_WRITTEN, command_id)

    def refill(self, command_id: int, token: int, volume_ul: float) -> None:
        """Take a volume as what the reservoir now holds; it may be primed again unless that is under way."""
        self._write(ProposeRefill, command_id, token, self._accounts.refilled(volume_ul))
        self._announce(EventCode.REFILLED, command_id)

    def set_therapy_clock(self, command_id: int, token: int, utc_s: int, utc_offset_s: int) -> None:
        """Let the therapy clock show this time now."""
        memory = self._nvram.memory
        memory = replace(
            memory,
            clock_utc_s=utc_s,
            clock_set_at_us=self._clock.running_us(),
            clock_offset_s=utc_offset_s,
            clock_generation=memory.clock_generation + 1,
        )
        self._write(ProposeTherapyClock, command_id, token, memory)
        self._announce(EventCode.CLOCK_SET, command_id)
        self._on_clock_set()

    def limit_patient_boluses(self, command_id: int, token: int, limits: BolusLimits) -> None:
        """Let patient-activated boluses be within these limits; those given before count."""
        memory = replace(self._nvram.memory, limits=limits)
        self._write(ProposePatientBolusLimits, command_id, token, memory)
        self._announce(EventCode.LIMITS_WRITTEN, command_id)

    def _write(self, proposed: type[Message], command_id: int, token: int, memory: Memory) -> None:
        done = Result(command_id, token, proposed.TYPE, CommandState.DONE)
        self._nvram.write(replace(memory, last_command_id=command_id).ended(done))
