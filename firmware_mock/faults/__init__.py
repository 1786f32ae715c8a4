"""Faults as data: what goes wrong on a line or in a pump, when, how badly; each leaves evidence that it acted."""

from firmware_mock.faults.drawing import draw_fault
from firmware_mock.faults.host_end import HostClock
from firmware_mock.faults.kinds import DEVICE_KINDS, LINK_KINDS, Direction, Fault, FaultKind
from firmware_mock.faults.line import FaultyPort
from firmware_mock.faults.lone_pump import LonePump, Turning

__all__ = [
    "DEVICE_KINDS",
    "LINK_KINDS",
    "Direction",
    "Fault",
    "FaultKind",
    "FaultyPort",
    "HostClock",
    "LonePump",
    "Turning",
    "draw_fault",
]
