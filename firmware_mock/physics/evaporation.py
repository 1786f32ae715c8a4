"""The liquid in the vessel as the room changes it: temperature, density, surface tension, and vapour by its deficit."""

from __future__ import annotations

from typing import NamedTuple

from firmware_mock.physics.air import stefan_flow_mg_per_mm_s
from firmware_mock.physics.environment import NODE_PITCH_NS, NODE_PITCH_S, RoomAir, ThermalLag
from firmware_mock.physics.water import surface_tension_n_per_m, water_density_mg_per_ul
from firmware_mock.world import NS_PER_S


class SurfaceState(NamedTuple):
    """The liquid at one instant.

    `vapour_mg_per_mm` is Stefan's flow integrated since the world began: times area in mm² over height of the still
    air column in mm it is the mass evaporated from an open vessel.
    """

    temperature_c: float
    density_mg_per_ul: float
    surface_tension_n_per_m: float
    vapour_mg_per_mm: float


class LiquidSurface:
    """Liquid that follows the room with a thermal lag. Asked in time order.

    Between the nodes of the room air all is linear and the vapour flow is integrated exactly as such: the trapezoid's
    error on a daily course is below 1e-4 of the evaporation, however often one asks.
    """

    def __init__(self, air: RoomAir, thermal_time_constant_s: float, relative_density: float) -> None:
        self._air = air
        self._lag = ThermalLag(air, thermal_time_constant_s)
        self._relative_density = relative_density
        self._index = 0
        self._vapour_mg_per_mm = 0.0
        self._left = self._node(0)
        self._right = self._node(1)

    def at(self, t_ns: int) -> SurfaceState:
        """The liquid at an instant."""
        index = t_ns // NODE_PITCH_NS
        while self._index < index:
            self._vapour_mg_per_mm += 0.5 * NODE_PITCH_S * (self._left[3] + self._right[3])
            self._index += 1
            self._left, self._right = self._right, self._node(self._index + 1)
        elapsed_ns = t_ns - self._index * NODE_PITCH_NS
        x = elapsed_ns / NODE_PITCH_NS
        temperature0, density0, tension0, flow0 = self._left
        temperature1, density1, tension1, flow1 = self._right
        return SurfaceState(
            temperature0 + x * (temperature1 - temperature0),
            density0 + x * (density1 - density0),
            tension0 + x * (tension1 - tension0),
            self._vapour_mg_per_mm + elapsed_ns / NS_PER_S * (flow0 + 0.5 * x * (flow1 - flow0)),
        )

    def _node(self, index: int) -> tuple[float, float, float, float]:
        air = self._air.node(index)
        temperature_c = self._lag.node_c(index)
        return (
            temperature_c,
            self._relative_density * water_density_mg_per_ul(temperature_c),
            surface_tension_n_per_m(temperature_c),
            stefan_flow_mg_per_mm_s(temperature_c, air.temperature_c, air.pressure_hpa, air.humidity_pct),
        )
