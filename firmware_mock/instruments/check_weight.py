"""The check weight of a simulated station: a steel weight whose mass is off its certificate by what the seed drew."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from firmware_mock.physics.certificates import draw_error, rig_number
from firmware_mock.physics.vessel import Vessel
from firmware_mock.world import World


class CheckWeight:
    """Lies beside the balance, or on its pan. Its density is that of the conventional mass, 8000 kg/m³."""

    def __init__(self, world: World, rig: Mapping[str, Any], vessel: Vessel) -> None:
        nominal_mg = 1000.0 * rig_number(rig, "check_weight", "conventional_mass_g")
        uncertainty_mg = rig_number(rig, "check_weight", "standard_uncertainty_mg")
        self._mass_mg = nominal_mg + draw_error(world, "check_weight.mass_error_mg", uncertainty_mg)
        self._vessel = vessel
        self._on_pan = False

    def set_on_pan(self, on_pan: bool) -> None:
        """Put the weight on the pan or take it off."""
        if on_pan != self._on_pan:
            self._on_pan = on_pan
            self._vessel.extra_mass_mg += self._mass_mg if on_pan else -self._mass_mg
