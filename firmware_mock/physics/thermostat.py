"""Temperature of the pump head: a thermostat with a daily ripple, and the thermometer the pump reads it with."""

from __future__ import annotations

from collections.abc import Mapping
from math import pi, sin
from typing import Any

from firmware_mock.physics.certificates import draw_error, rig_number
from firmware_mock.physics.effects import PumpEffects
from firmware_mock.world import NS_PER_S, World

DAY_NS = 86_400 * NS_PER_S
RESOLUTION_K = 0.01


class Thermostat:
    """Holds the pump head near the model's temperature."""

    def __init__(self, world: World, set_point_c: float, effects: PumpEffects) -> None:
        self._mean_c = set_point_c + effects.head_temperature_offset_k
        self._ripple_k = effects.head_temperature_ripple_k
        self._phase = world.stream("pump.thermostat").uniform(0.0, 2.0 * pi)
        if self._ripple_k or effects.head_temperature_offset_k:
            world.ledger.saw("pump.head_temperature")
        world.ledger.add_fact("pump.mean_head_temperature_c", self._mean_c)

    def temperature_c(self, t_ns: int) -> float:
        """True head temperature in °C."""
        if self._ripple_k == 0.0:
            return self._mean_c
        return self._mean_c + self._ripple_k * sin(2.0 * pi * (t_ns % DAY_NS) / DAY_NS + self._phase)


class HeadThermometer:
    """Reads the thermostat with the error its certificate allows, drawn per seed, to 0.01 K."""

    def __init__(self, world: World, thermostat: Thermostat, rig: Mapping[str, Any]) -> None:
        self._thermostat = thermostat
        standard_uncertainty_k = rig_number(rig, "pump", "head_thermometer", "standard_uncertainty_k")
        self._error_k = draw_error(world, "pump.head_thermometer_error_k", standard_uncertainty_k)

    def reading_c(self, t_ns: int) -> float:
        """Indicated head temperature in °C."""
        indicated_c = self._thermostat.temperature_c(t_ns) + self._error_k
        return round(round(indicated_c / RESOLUTION_K) * RESOLUTION_K, 2)
