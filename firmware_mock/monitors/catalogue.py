"""The checks that watch the safety properties."""

from __future__ import annotations

from typing import Any

from firmware_mock.monitors.commands import Confirmation, Ids, Limits, Priming
from firmware_mock.monitors.conditions import AlarmsAndDelivery, LostSteps, Magnet, TelemetryMode
from firmware_mock.monitors.delivery import Accounts, CommandedAgainstMade, Rate, StalledSteps
from firmware_mock.monitors.flex import Flex
from firmware_mock.monitors.motor import Hanging, Orders, Stalls, Stopping
from firmware_mock.monitors.patient import PatientBolus
from firmware_mock.monitors.reserves import CutOff, Reservoir
from firmware_mock.monitors.resets import Interrupted, InterruptedProgramming, StoredMemory, Times
from firmware_mock.monitors.tones import Escalation, Silence, Tones
from firmware_mock.monitors.warnings import Acknowledged, Standstill

CHECKS: tuple[Any, ...] = (
    CommandedAgainstMade,
    Rate,
    Accounts,
    StalledSteps,
    Ids,
    Limits,
    Confirmation,
    Priming,
    Stopping,
    Orders,
    Stalls,
    Hanging,
    AlarmsAndDelivery,
    Magnet,
    TelemetryMode,
    LostSteps,
    Interrupted,
    InterruptedProgramming,
    StoredMemory,
    Times,
    Reservoir,
    CutOff,
    Acknowledged,
    Standstill,
    Tones,
    Silence,
    Escalation,
    PatientBolus,
    Flex,
)
