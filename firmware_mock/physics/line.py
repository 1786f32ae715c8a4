"""The line from pump head to outlet: compliance, trapped liquid, a bubble, a stopcock, and the flow ledger.

The line is one store S of pressurised liquid (a mass, in mg) with a compliance, emptied through the outlet's flow
resistance. Each command to the motor or the stopcock, and each boundary the head's law asks for, starts a segment that
is solved in closed form; asking for values never does. What the room's temperature and the barometer squeeze out of
the open line (expansion of trapped liquid, a bubble) leaves at once, as both are slow against the line's time constant;
a closed stopcock keeps it in, where the expansion builds pressure and the bubble knows no barometer.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from typing import Any, Protocol

from firmware_mock.ledger import FlowSegment
from firmware_mock.physics.certificates import draw_error, rig_number
from firmware_mock.physics.effects import LineEffects
from firmware_mock.physics.elasticity import Elasticity, TrappedLiquid
from firmware_mock.physics.head import Head, HeadLaw
from firmware_mock.physics.reservoir import Reservoir
from firmware_mock.physics.segment import Segment, Start, respond
from firmware_mock.physics.water import water_density_mg_per_ul
from firmware_mock.world import NS_PER_S, Event, World

RIGID_TIME_CONSTANT_S = 1e-3
BUBBLE_SEGMENT_SHARE = 0.25
BUBBLE_SETTLED_TIME_CONSTANTS = 40.0


class Room(Protocol):
    """What the line feels of the room."""

    def temperature_c(self, t_ns: int) -> float: ...

    def pressure_hpa(self, t_ns: int) -> float: ...


class Line:
    """Everything from the head to the outlet; drains the reservoir and writes the flow ledger.

    `rig` are the rig file's facts; the true trapped volume is drawn from them per seed. `relative_density` is that of
    the liquid over pure water. With a bubble the compliance is the secant at the start of a segment, whose length
    is a quarter of the time since the last command; without one nothing is approximated.
    """

    def __init__(
        self,
        world: World,
        head: Head,
        reservoir: Reservoir,
        room: Room,
        rig: Mapping[str, Any],
        effects: LineEffects,
        *,
        relative_density: float = 1.0,
    ) -> None:
        self._world = world
        self._head = head
        self._reservoir = reservoir
        self._room = room
        self._effects = effects
        self._relative_density = relative_density
        time_constant_s = rig_number(rig, "tubing", "time_constant_s")
        if not effects.compliance_tail:
            time_constant_s = RIGID_TIME_CONSTANT_S
        self._resistance_hpa_s_per_ul = time_constant_s / effects.compliance_ul_per_hpa
        self._elasticity = Elasticity(effects.compliance_ul_per_hpa, effects.bubble_ul)
        reference_c = room.temperature_c(world.now_ns)
        self._density = self._density_mg_per_ul(reference_c)
        volume_ul = rig_number(rig, "tubing", "trapped_volume_ul") + draw_error(
            world, "line.trapped_volume_error_ul", rig_number(rig, "tubing", "trapped_standard_uncertainty_ul")
        )
        self._trapped = TrappedLiquid(
            max(0.0, volume_ul),
            rig_number(rig, "tubing", "wall_expansion_per_k"),
            reference_c,
            self._density_mg_per_ul,
        )
        self._boundary: Event | None = None
        self._dry_ns: int | None = None
        self._command_ns = world.now_ns
        self._segments: list[Segment] = []
        self._starts_ns: list[int] = []
        rest_hpa = self._rest_hpa(world.now_ns)
        self._reference_bubble_mg = self._bubble_mg(rest_hpa)
        self._begin(True, rest_hpa, Start())
        head.on_change = self._on_command
        world.at_close(self._at_boundary)

    @property
    def stopcock_open(self) -> bool:
        """Whether liquid can leave the outlet now."""
        return self._segments[-1].is_open

    def set_stopcock(self, is_open: bool) -> None:
        """Turn the stopcock at the outlet.

        Closed, nothing leaves and the line stores what is pumped; opened, the pressure that had built up is released.
        """
        if is_open != self.stopcock_open:
            self._world.trace("line.stopcock", int(is_open))
            self._world.ledger.saw("line.stopcock")
            self._command_ns = self._world.now_ns
            self._cut(is_open)

    def mass_out_mg(self, t_ns: int) -> float:
        """Mass that left the outlet since time 0, in mg, at any instant up to now; an open line can breathe back."""
        segment = self._segment_at(t_ns)
        mass_out_mg = segment.start.mass_out_mg
        if not segment.is_open:
            return mass_out_mg
        return mass_out_mg + segment.out_mg(t_ns) + (self._displaced_mg(t_ns, segment) - segment.displaced_mg)

    def pumped_mg(self, t_ns: int) -> float:
        """Mass that left the head since time 0, in mg."""
        segment = self._segment_at(t_ns)
        return segment.start.pumped_mg + segment.pumped_mg(t_ns)

    def stored_mg(self, t_ns: int) -> float:
        """Mass in the line, in mg over what it held at time 0."""
        segment = self._segment_at(t_ns)
        return self._pressurised_mg(t_ns, segment) - self._displaced_mg(t_ns, segment)

    def pressure_hpa(self, t_ns: int) -> float:
        """Gauge pressure in the line, in hPa."""
        segment = self._segment_at(t_ns)
        pressurised_ul = self._pressurised_mg(t_ns, segment) / self._density
        rest_hpa = self._rest_hpa(t_ns) if segment.is_open else segment.rest_hpa
        build_up_hpa = self._elasticity.build_up_hpa(pressurised_ul, rest_hpa)
        return self._effects.outlet_pressure_hpa + build_up_hpa

    def _on_command(self) -> None:
        self._command_ns = self._world.now_ns
        self._cut(self.stopcock_open)

    def _at_boundary(self) -> None:
        self._cut(self.stopcock_open)

    def _cut(self, is_open: bool) -> None:
        """End the segment now, book it, and begin the next."""
        now_ns = self._world.now_ns
        old = self._segments[-1]
        grown_mg = 0.0 if old.is_open else self._trapped_mg(now_ns) - old.trapped_mg
        rest_hpa = self._rest_hpa(now_ns) if is_open or old.is_open else old.rest_hpa
        if is_open and not old.is_open:
            grown_mg += self._bubble_mg(rest_hpa) - self._bubble_mg(old.rest_hpa)
        start = Start(
            realised_mg=old.stored_mg(now_ns) + grown_mg,
            mean_mg=old.mean_stored_mg(now_ns) + grown_mg,
            mass_out_mg=self.mass_out_mg(now_ns),
            pumped_mg=self.pumped_mg(now_ns),
        )
        self._book(old, now_ns)
        if self._dry_ns == now_ns:
            self._reservoir.run_dry()
        self._begin(is_open, rest_hpa, start)

    def _begin(self, is_open: bool, rest_hpa: float, start: Start) -> None:
        now_ns = self._world.now_ns
        law = self._head.law(now_ns, self._effects.outlet_pressure_hpa)
        if self._reservoir.empty:
            law = HeadLaw(law.end_ns, law.head_temperature_c, evidence=("pump.reservoir_empty",))
        density = self._density_mg_per_ul(law.head_temperature_c)
        compliance_ul_per_hpa = self._elasticity.secant_ul_per_hpa(start.realised_mg / self._density, rest_hpa)
        outlet_per_s = 1.0 / (self._resistance_hpa_s_per_ul * compliance_ul_per_hpa) if is_open else 0.0
        trapped_mg = self._trapped_mg(now_ns)
        loss_per_s = law.loss_ul_per_s_per_hpa * density / (self._density * compliance_ul_per_hpa)
        segment = Segment(
            start_ns=now_ns,
            is_open=is_open,
            law=law,
            density_mg_per_ul=density,
            start=start,
            trapped_mg=trapped_mg,
            displaced_mg=trapped_mg + self._bubble_mg(rest_hpa) - self._reference_bubble_mg,
            rest_hpa=rest_hpa,
            steps=self._head.counted_steps(now_ns),
            realised=respond(start.realised_mg, law, density, outlet_per_s=outlet_per_s, loss_per_s=loss_per_s),
            mean=respond(start.mean_mg, law.averaged(), density, outlet_per_s=outlet_per_s, loss_per_s=loss_per_s),
        )
        if self._starts_ns and self._starts_ns[-1] == now_ns:
            self._segments[-1] = segment
        else:
            self._segments.append(segment)
            self._starts_ns.append(now_ns)
        self._schedule_end(segment, compliance_ul_per_hpa)

    def _schedule_end(self, segment: Segment, compliance_ul_per_hpa: float) -> None:
        if self._boundary is not None:
            self._boundary.cancel()
            self._boundary = None
        self._dry_ns = None
        ends_ns = [] if segment.law.end_ns is None else [segment.law.end_ns]
        if self._effects.bubble_ul:
            since_command_ns = segment.start_ns - self._command_ns
            time_constant_ns = self._resistance_hpa_s_per_ul * compliance_ul_per_hpa * NS_PER_S
            if since_command_ns < BUBBLE_SETTLED_TIME_CONSTANTS * time_constant_ns:
                length_ns = BUBBLE_SEGMENT_SHARE * max(since_command_ns, time_constant_ns)
                ends_ns.append(segment.start_ns + 1 + round(length_ns))
        if not ends_ns:
            return
        end_ns = min(ends_ns)
        if segment.drawn_ul(end_ns) > self._reservoir.contents_ul:
            end_ns = self._dry_ns = self._runs_dry_ns(segment, end_ns)
        self._boundary = self._world.at(end_ns, self._at_boundary)

    def _runs_dry_ns(self, segment: Segment, end_ns: int) -> int:
        """The first nanosecond at which a segment has drawn all there is, by bisection."""
        before_ns, after_ns = segment.start_ns, end_ns
        while after_ns - before_ns > 1:
            middle_ns = (before_ns + after_ns) // 2
            if segment.drawn_ul(middle_ns) > self._reservoir.contents_ul:
                after_ns = middle_ns
            else:
                before_ns = middle_ns
        return after_ns

    def _book(self, segment: Segment, end_ns: int) -> None:
        """Write a finished segment to the ledger and take its volume from the reservoir."""
        if end_ns == segment.start_ns:
            return
        realised_ul = segment.drawn_ul(end_ns)
        self._reservoir.draw(realised_ul)
        ledger = self._world.ledger
        ledger.add_flow(
            FlowSegment(
                start_ns=segment.start_ns,
                end_ns=end_ns,
                steps=self._head.counted_steps(end_ns) - segment.steps,
                mean_volume_ul=segment.mean_drawn_ul(end_ns),
                realised_volume_ul=realised_ul,
            )
        )
        for name in segment.law.evidence:
            ledger.saw(name)
        if self._effects.compliance_tail and self._pressurised_mg(end_ns, segment) != segment.start.realised_mg:
            ledger.saw("line.compliance")
        if self._trapped_mg(end_ns) != segment.trapped_mg:
            ledger.saw("line.trapped_expansion")
        if self._effects.bubble_ul and self.pressure_hpa(end_ns) != self.pressure_hpa(segment.start_ns):
            ledger.saw("line.bubble")

    def _segment_at(self, t_ns: int) -> Segment:
        if t_ns >= self._starts_ns[-1]:
            return self._segments[-1]
        return self._segments[max(0, bisect_right(self._starts_ns, t_ns) - 1)]

    def _pressurised_mg(self, t_ns: int, segment: Segment) -> float:
        stored_mg = segment.stored_mg(t_ns)
        return stored_mg if segment.is_open else stored_mg + (self._trapped_mg(t_ns) - segment.trapped_mg)

    def _displaced_mg(self, t_ns: int, segment: Segment) -> float:
        """What temperature and barometer have displaced since time 0, in mg."""
        trapped_mg = self._trapped_mg(t_ns)
        if not self._effects.bubble_ul:
            return trapped_mg
        rest_hpa = self._rest_hpa(t_ns) if segment.is_open else segment.rest_hpa
        return trapped_mg + self._bubble_mg(rest_hpa) - self._reference_bubble_mg

    def _trapped_mg(self, t_ns: int) -> float:
        if not self._effects.trapped_expansion:
            return 0.0
        return self._trapped.displaced_mg(self._room.temperature_c(t_ns))

    def _bubble_mg(self, rest_hpa: float) -> float:
        return self._density * self._elasticity.bubble_ul(rest_hpa) if self._effects.bubble_ul else 0.0

    def _rest_hpa(self, t_ns: int) -> float:
        """Absolute pressure in an open line without build-up; only a bubble feels it."""
        return self._room.pressure_hpa(t_ns) + self._effects.outlet_pressure_hpa

    def _density_mg_per_ul(self, temperature_c: float) -> float:
        return self._relative_density * water_density_mg_per_ul(temperature_c)
