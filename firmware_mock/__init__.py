"""The pump, its instruments and its laboratory in software, in virtual time. SIMULATED, not a medical device."""

from firmware_mock.scenario import Scenario
from firmware_mock.world import World

__all__ = ["Scenario", "World"]
