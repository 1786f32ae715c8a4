"""The vessel on the balance: what is in it, how high it stands, and the force with which it presses on the pan."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import cos, pi, radians
from typing import Any

from firmware_mock.physics.certificates import draw_error, rig_number, rig_text
from firmware_mock.physics.environment import RoomAir
from firmware_mock.physics.evaporation import LiquidSurface
from firmware_mock.physics.meniscus import StickSlip
from firmware_mock.physics.outlet import Drops, Immersed, Outlet, Wick
from firmware_mock.physics.water import liquid_relative_density, surface_tension_n_per_m
from firmware_mock.scenario import ScenarioError
from firmware_mock.world import World

GRAVITY_M_PER_S2 = 9.80665
STEEL_MG_PER_UL = 8.0
OIL_MG_PER_UL = 0.93
_OPEN_COVERS = ("none", "open")
_SHORTEST_AIR_COLUMN_MM = 1.0
_HARKINS_BROWN = 0.6
_VISIBLE_MG = 1e-3


@dataclass(frozen=True, slots=True)
class VesselEffects:
    """Scenario table `[vessel]`; all at rest by default.

    evaporation: whether vapour leaves at all. cover_factor: part of an open vessel's evaporation that passes the
    rig's cover; oil_film_mg: mass of the film, for the cover "oil film".
    liquid_time_constant_min: how slowly the liquid follows the room's temperature.
    tip_depth_mm: immersion of the needle at the start. contact_angle_deg: mean contact angle on the needle; 90° pulls
    nothing. meniscus_jump_mg, meniscus_pitch_um: stick-slip, a jump of this force at every pitch of level on average.
    drop_mg (0: from the needle by Tate's law), drop_scatter, drop_loss_probability: for the outlet "drop".
    wick_area_mm2, wick_holdup_mg: for the outlet "wick", its evaporating area and what soaks into it.
    """

    evaporation: bool = False
    cover_factor: float = 1.0
    oil_film_mg: float = 0.0
    liquid_time_constant_min: float = 0.0
    tip_depth_mm: float = 5.0
    contact_angle_deg: float = 90.0
    meniscus_jump_mg: float = 0.0
    meniscus_pitch_um: float = 20.0
    drop_mg: float = 0.0
    drop_scatter: float = 0.0
    drop_loss_probability: float = 0.0
    wick_area_mm2: float = 0.0
    wick_holdup_mg: float = 0.0

    def __post_init__(self) -> None:
        if self.meniscus_pitch_um <= 0.0:
            raise ScenarioError(f"[vessel] meniscus_pitch_um = {self.meniscus_pitch_um} must be above 0")
        if not 0.0 <= self.drop_loss_probability <= 1.0:
            raise ScenarioError(f"[vessel] drop_loss_probability = {self.drop_loss_probability} must be 0 to 1")
        if self.drop_mg < 0.0 or self.drop_scatter < 0.0:
            raise ScenarioError("[vessel] drop_mg and drop_scatter must be at least 0")


class Vessel:
    """A cylinder with a vertical wall, its liquid, its cover, and the outlet that ends in it. Asked in time order.

    `inflow_mg(t_ns)` is the mass that has left the line since the world began. `extra_mass_mg` is steel that lies on
    the pan besides the vessel, such as a check weight; anyone may set it.
    """

    def __init__(self, world: World, rig: Mapping[str, Any], air: RoomAir, inflow_mg: Callable[[int], float]) -> None:
        self._ledger = world.ledger
        self._air = air
        self._inflow_mg = inflow_mg
        effects = world.scenario.section("vessel", VesselEffects)
        self.extra_mass_mg = 0.0
        relative_density = liquid_relative_density(world, rig)
        self._surface = LiquidSurface(air, 60.0 * effects.liquid_time_constant_min, relative_density)
        start = self._surface.at(world.now_ns)

        bore_error_mm = draw_error(
            world, "vessel.inner_diameter_error_mm", rig_number(rig, "vessel", "diameter_standard_uncertainty_mm")
        )
        self._area_mm2 = _circle_mm2(rig_number(rig, "vessel", "inner_diameter_mm") + bore_error_mm)
        self._capacity_ul = 1e3 * rig_number(rig, "vessel", "capacity_ml")
        self._glass_mg = 1e3 * rig_number(rig, "vessel", "glass_mass_g")
        self._glass_ul = 1e3 * rig_number(rig, "vessel", "glass_volume_ml")
        self._air_column_mm = rig_number(rig, "vessel", "air_column_mm")
        cover = rig_text(rig, "vessel", "cover")
        self._oil_mg = effects.oil_film_mg if cover == "oil film" else 0.0
        self._evaporating_mm2 = 0.0
        self._wick_mm2 = 0.0
        if effects.evaporation:
            self._evaporating_mm2 = self._area_mm2 * (1.0 if cover in _OPEN_COVERS else effects.cover_factor)

        kind = rig_text(rig, "outlet", "kind")
        needle_mm = 0.0
        if kind == "immersed":
            needle_mm = rig_number(rig, "outlet", "needle_diameter_mm") + draw_error(
                world, "outlet.needle_diameter_error_mm", rig_number(rig, "outlet", "needle_standard_uncertainty_mm")
            )
        elif kind == "wick" and effects.evaporation:
            self._wick_mm2 = effects.wick_area_mm2
        self._outlet = _outlet(world, rig, kind, effects)
        self._needle_mm2 = _circle_mm2(needle_mm)
        self._pull_mg_per_n_per_m = pi * needle_mm * cos(radians(effects.contact_angle_deg)) * 1e3 / GRAVITY_M_PER_S2
        self._stick_slip = None
        if kind == "immersed" and effects.meniscus_jump_mg:
            self._stick_slip = StickSlip(
                world.stream("vessel.meniscus"),
                jump_mg=effects.meniscus_jump_mg,
                pitch_mm=1e-3 * effects.meniscus_pitch_um,
            )

        contents_ul = 1e3 * rig_number(rig, "vessel", "contents_ml")
        self._filled_mg = contents_ul * start.density_mg_per_ul
        self._tip_mm = max(0.0, contents_ul / self._area_mm2 - effects.tip_depth_mm)
        self.liquid_mg = self._filled_mg
        self.evaporated_mg = 0.0
        self.overflowed_mg = 0.0
        self.level_mm = self._level_mm(contents_ul)
        self._vapour_mg_per_mm = start.vapour_mg_per_mm
        self._start_level_mm = self.level_mm
        self._start_air_mg_per_ul = 1e-3 * air.density_kg_per_m3(world.now_ns)
        self._buoyancy_changed = False
        world.at_close(self._note_evidence)

    @property
    def overflowed(self) -> bool:
        """Whether liquid has run over the brim and off the pan."""
        return self.overflowed_mg > 0.0

    def liquid_temperature_c(self, t_ns: int) -> float:
        """Temperature of the liquid, in °C."""
        return self._surface.at(t_ns).temperature_c

    def pan_force_mg(self, t_ns: int) -> float:
        """Force on the pan divided by gravity, in mg.

        Weight of glass, liquid, oil and whatever else lies there, less the weight of the air they displace; plus the
        weight of liquid less air that the needle displaces (its upthrust acts on the needle from the liquid, so on the
        pan from the needle); less the pull of the meniscus, which the needle carries.
        """
        surface = self._surface.at(t_ns)
        density = surface[1]
        vapour_mg_per_mm = surface[3]
        self._evaporate(vapour_mg_per_mm - self._vapour_mg_per_mm)
        self._vapour_mg_per_mm = vapour_mg_per_mm
        inflow_mg = self._outlet.into_vessel_mg(self._inflow_mg(t_ns))
        liquid_mg = self._filled_mg + inflow_mg - self.evaporated_mg - self.overflowed_mg
        liquid_ul = liquid_mg / density
        if liquid_ul > self._capacity_ul:
            self.overflowed_mg += liquid_mg - self._capacity_ul * density
            liquid_ul = self._capacity_ul
            liquid_mg = liquid_ul * density
        self.liquid_mg = liquid_mg

        level_mm = self._level_mm(liquid_ul)
        air_mg_per_ul = 1e-3 * self._air.density_kg_per_m3(t_ns)
        force_mg = self._glass_mg + liquid_mg - air_mg_per_ul * (self._glass_ul + liquid_ul)
        if self._oil_mg:
            force_mg += self._oil_mg * (1.0 - air_mg_per_ul / OIL_MG_PER_UL)
        if self.extra_mass_mg:
            force_mg += self.extra_mass_mg * (1.0 - air_mg_per_ul / STEEL_MG_PER_UL)
        if level_mm > self._tip_mm:
            force_mg += (density - air_mg_per_ul) * self._needle_mm2 * (level_mm - self._tip_mm)
            force_mg -= surface[2] * self._pull_mg_per_n_per_m
            if self._stick_slip is not None:
                self._stick_slip.move(level_mm - self.level_mm)
                force_mg += self._stick_slip.force_mg
        self.level_mm = level_mm
        buoyancy_change_mg = (air_mg_per_ul - self._start_air_mg_per_ul) * (self._glass_ul + liquid_ul)
        if buoyancy_change_mg > _VISIBLE_MG or buoyancy_change_mg < -_VISIBLE_MG:
            self._buoyancy_changed = True
        return force_mg

    def _level_mm(self, liquid_ul: float) -> float:
        """Height of the surface over the floor, with the needle's immersed part displacing liquid."""
        level_mm = liquid_ul / self._area_mm2
        if level_mm > self._tip_mm:
            return (liquid_ul - self._needle_mm2 * self._tip_mm) / (self._area_mm2 - self._needle_mm2)
        return level_mm

    def _evaporate(self, vapour_mg_per_mm: float) -> None:
        """Let vapour leave through a still column of air: as high as the rig states, shorter where the brim is nearer.

        Above that height the room's air is taken to reach into the vessel.
        """
        to_brim_mm = self._capacity_ul / self._area_mm2 - self.level_mm
        column_mm = max(_SHORTEST_AIR_COLUMN_MM, min(self._air_column_mm, to_brim_mm))
        self.evaporated_mg += vapour_mg_per_mm * (self._evaporating_mm2 + self._wick_mm2) / column_mm

    def _note_evidence(self) -> None:
        ledger = self._ledger
        ledger.add_fact("vessel.evaporated_mg", self.evaporated_mg)
        for effect, acted in (
            ("vessel.evaporation", self.evaporated_mg != 0.0),
            ("vessel.oil_film", self._oil_mg != 0.0 and self._evaporating_mm2 < self._area_mm2),
            ("vessel.buoyancy", self._buoyancy_changed),
            ("vessel.immersion", self._needle_mm2 > 0.0 and self.level_mm != self._start_level_mm),
            ("vessel.wick", isinstance(self._outlet, Wick) and self.liquid_mg != self._filled_mg),
            ("vessel.overflow", self.overflowed),
        ):
            if acted:
                ledger.saw(effect)
        if self._stick_slip is not None and self._stick_slip.slips:
            ledger.saw("vessel.meniscus_slip", self._stick_slip.slips)
        if isinstance(self._outlet, Drops):
            if self._outlet.fallen:
                ledger.saw("vessel.drop", self._outlet.fallen)
            if self._outlet.lost:
                ledger.saw("vessel.drop_lost", self._outlet.lost)


def _outlet(world: World, rig: Mapping[str, Any], kind: str, effects: VesselEffects) -> Outlet:
    if kind == "immersed":
        return Immersed()
    if kind == "wick":
        return Wick(effects.wick_holdup_mg)
    if kind == "drop":
        drop_mg = effects.drop_mg or _tate_drop_mg(rig_number(rig, "outlet", "needle_diameter_mm"))
        return Drops(
            world.stream("vessel.drops"),
            drop_mg=drop_mg,
            scatter=effects.drop_scatter,
            loss_probability=effects.drop_loss_probability,
        )
    raise ValueError(f"rig file: [outlet] kind is {kind!r}; the simulation knows immersed, wick and drop")


def _tate_drop_mg(needle_mm: float) -> float:
    """Mass of a drop that hangs from a wetted tip, at 20 °C: Tate's law with a Harkins-Brown factor."""
    return _HARKINS_BROWN * pi * needle_mm * surface_tension_n_per_m(20.0) * 1e3 / GRAVITY_M_PER_S2


def _circle_mm2(diameter_mm: float) -> float:
    return 0.25 * pi * diameter_mm**2
