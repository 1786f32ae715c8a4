"""The pump's firmware in software: what it commits to memory, how it drives the motor, what it says on the wire."""

from firmware_mock.firmware.pump import PumpFirmware

__all__ = ["PumpFirmware"]
