"""A stretch of time with one head law and one stopcock position: what the line does in it, in closed form."""

from __future__ import annotations

from dataclasses import dataclass

from firmware_mock.physics.head import HeadLaw
from firmware_mock.physics.relaxation import Relaxation
from firmware_mock.world import NS_PER_S


@dataclass(frozen=True, slots=True)
class Start:
    """Where a segment begins: pressurised liquid, realised and by the mean law, and totals since time 0, in mg."""

    realised_mg: float = 0.0
    mean_mg: float = 0.0
    mass_out_mg: float = 0.0
    pumped_mg: float = 0.0


@dataclass(frozen=True, slots=True)
class Segment:
    """`density_mg_per_ul` is at head temperature; displaced mass, pressure at rest and steps are those at its start."""

    start_ns: int
    is_open: bool
    law: HeadLaw
    density_mg_per_ul: float
    start: Start
    trapped_mg: float
    displaced_mg: float
    rest_hpa: float
    steps: int
    realised: Relaxation
    mean: Relaxation

    def stored_mg(self, t_ns: int) -> float:
        """Pressurised liquid."""
        return self.realised.stored_mg((t_ns - self.start_ns) / NS_PER_S)

    def mean_stored_mg(self, t_ns: int) -> float:
        """Pressurised liquid by the mean law."""
        return self.mean.stored_mg((t_ns - self.start_ns) / NS_PER_S)

    def out_mg(self, t_ns: int) -> float:
        """Mass pushed through the outlet since the segment's start."""
        return self.realised.out_mg((t_ns - self.start_ns) / NS_PER_S)

    def pumped_mg(self, t_ns: int) -> float:
        """Mass that left the head since the segment's start."""
        return self.realised.entered_mg((t_ns - self.start_ns) / NS_PER_S)

    def drawn_ul(self, t_ns: int) -> float:
        """Volume taken from the reservoir since the segment's start, in µL at head temperature."""
        return self.pumped_mg(t_ns) / self.density_mg_per_ul

    def mean_drawn_ul(self, t_ns: int) -> float:
        """The same by the mean law."""
        return self.mean.entered_mg((t_ns - self.start_ns) / NS_PER_S) / self.density_mg_per_ul


def respond(
    stored_mg: float, law: HeadLaw, density_mg_per_ul: float, *, outlet_per_s: float, loss_per_s: float
) -> Relaxation:
    """The line's answer to a law: its product of creep and pulsation multiplied out into exponentials."""
    stroke_mg_per_s = density_mg_per_ul * law.mean_ul_per_s * law.seat
    creeping_mg_per_s = stroke_mg_per_s * law.creep
    waves = [(stroke_mg_per_s * amplitude, frequency) for amplitude, frequency in law.waves]
    if creeping_mg_per_s:
        decay = law.creep_decay_per_s
        waves += [(creeping_mg_per_s * amplitude, frequency - decay) for amplitude, frequency in law.waves]
    return Relaxation(
        stored_mg,
        stroke_mg_per_s + density_mg_per_ul * law.leak_ul_per_s,
        [(creeping_mg_per_s, -law.creep_decay_per_s)] if creeping_mg_per_s else [],
        waves,
        relaxation_per_s=outlet_per_s + loss_per_s,
        outlet_per_s=outlet_per_s,
    )
