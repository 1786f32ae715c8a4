"""Safety properties of a pump, watched at every event of its world: docs/safety-properties.md is the table."""

from firmware_mock.monitors.watch import Monitors, Violation

__all__ = ["Monitors", "Violation"]
