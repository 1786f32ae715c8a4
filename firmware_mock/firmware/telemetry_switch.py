"""The telemetry switch: a magnet closes it, infusion waits, and must be handed back when it opens."""

from __future__ import annotations

from collections.abc import Callable

from firmware_mock.firmware.nvram import Nvram
from firmware_mock.firmware.patient_bolus import PatientBoluses
from firmware_mock.firmware.therapy import Therapy
from firmware_mock.firmware.tokens import Tokens
from protocol import EventCode, Mode, NakReason


class TelemetrySwitch:
    """Acts on the edges: one that was closed before the firmware started, or before anything ran, does nothing.

    A patient's bolus that waited and would now fill a window of time above its limit is not handed back.
    `sticks`: what is wrong with it, so that the firmware never sees it open; a reset resumes infusion then, and STOP
    ends what waits.
    """

    def __init__(
        self,
        nvram: Nvram,
        therapy: Therapy,
        patient: PatientBoluses,
        tokens: Tokens,
        announce: Callable[[EventCode, int], None],
    ) -> None:
        self.sticks = False
        self._nvram = nvram
        self._therapy = therapy
        self._patient = patient
        self._tokens = tokens
        self._announce = announce

    def close(self) -> None:
        """A magnet is there: what runs waits, and no waiting token starts anything."""
        memory = self._nvram.memory
        if memory.in_hand is None or memory.conditions.suspended_since_us is not None:
            return
        self._tokens.kill()
        self._therapy.suspend()
        self._announce(EventCode.SUSPENDED, self._therapy.active_command_id)

    def open(self) -> None:
        """It is gone: infusion is handed back to what waits."""
        memory = self._nvram.memory
        if self.sticks or memory.conditions.suspended_since_us is None:
            return
        bolus = memory.bolus
        if bolus is not None and bolus.mode is Mode.PATIENT_BOLUS and not self._patient.may_go_on(bolus):
            self._therapy.give_up_bolus()
            self._announce(EventCode.PATIENT_BOLUS_REFUSED, NakReason.WRONG_STATE)
        self._therapy.hand_back()
        self._announce(EventCode.RESUMED, self._therapy.active_command_id)
