"""From the reservoir through head and catheter to the tip: what a pump in a body does between two events, and its
accounts.

Each command to the motor, each change of the catheter and each boundary that the head's law asks for ends a segment and
begins the next; asking for values never does. Drug moves as a plug: what the head has let in and the catheter's walls
still hold is on its way too. Volumes in µL, drug in µg, concentrations in µg/mL, gauge pressures in hPa.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from math import fsum

from firmware_mock.physics.catheter import Catheter, Condition
from firmware_mock.physics.conservation import Balance
from firmware_mock.physics.emptying import Emptying
from firmware_mock.physics.head import Head, HeadLaw
from firmware_mock.physics.propellant import PressureCurve
from firmware_mock.physics.reservoir import Filling, Reservoir
from firmware_mock.physics.transport import UL_PER_ML, Slug, Way
from firmware_mock.world import NS_PER_S, Event, World

_SECONDS_PER_H = 3600.0
_PAST_ROUNDING_UL = 1e-9


class Infusion:
    """Drains the reservoir and feeds the tip. `tubing_ul` is what lies between head and connector.

    `curve` is the pressure of the reservoir, None for the constant one of the scenario's `[pump]` table. `on_cut` is
    called after each new segment began, `on_tip` with the instant at which the concentration at the tip became another,
    as soon as the segment it lies in ends.
    """

    def __init__(
        self,
        world: World,
        head: Head,
        reservoir: Reservoir,
        curve: PressureCurve | None,
        catheter: Catheter,
        *,
        tubing_ul: float,
        catheter_ul: float,
        leak_ul_per_h_per_hpa: float,
    ) -> None:
        self.on_cut: Callable[[], None] = lambda: None
        self.on_tip: Callable[[int], None] = lambda time_ns: None
        self.reservoir = reservoir
        self.tip_ug = 0.0
        self.leaked_ug = 0.0
        self._world = world
        self._head = head
        self._curve = curve
        self._catheter = catheter
        self._tubing_ul = tubing_ul
        self._conductance_ul_per_s_per_hpa = leak_ul_per_h_per_hpa / _SECONDS_PER_H
        self._way = Way(tubing_ul + catheter_ul, reservoir.concentration_ug_per_ml)
        self._entering: deque[Slug] = deque()
        self._pumped_ul = self._passed_ul = self._farthest_ul = 0.0
        self._first_contents_ul = reservoir.contents_ul
        self._first_stored_ul = catheter.stored_ul(world.now_ns)
        self._first_drug_ug = self._drug_in_ug = 0.0
        self._boundary: Event | None = None
        self._dry_ns: int | None = None
        self._begin()
        self._first_drug_ug = self._drug_held_ug()
        head.on_change = self._cut
        world.at_close(self._cut)

    @property
    def way_ul(self) -> float:
        """What tubing and catheter hold."""
        return self._way.volume_ul

    @property
    def at_tip_ug_per_ml(self) -> float:
        """Concentration of what leaves the tip next, as of the last event."""
        return self._way.at_tip_ug_per_ml()

    def pumped_ul(self, t_ns: int) -> float:
        """What left the head since time 0."""
        return self._catheter.pumped_ul(t_ns)

    def tip_ul(self, t_ns: int) -> float:
        """What left at the tip since time 0."""
        return self._catheter.tip_ul(t_ns)

    def leaked_ul(self, t_ns: int) -> float:
        """What left on the way since time 0."""
        return self._catheter.leaked_ul(t_ns)

    def stored_ul(self, t_ns: int) -> float:
        """What the catheter holds over its volume without pressure."""
        return self._catheter.stored_ul(t_ns)

    def pressure_hpa(self, t_ns: int) -> float:
        """Behind the pump."""
        return self._catheter.pressure_hpa(t_ns)

    def contents_ul(self, t_ns: int) -> float:
        """What is in the reservoir."""
        return self.reservoir.contents_ul - (self._catheter.pumped_ul(t_ns) - self._pumped_ul)

    def balance(self) -> Balance:
        """Whether nothing was lost or made up until now."""
        self.settle()
        now_ns, reservoir = self._world.now_ns, self.reservoir
        pumped_ul = self.pumped_ul(now_ns)
        contents_ul = self.contents_ul(now_ns)
        filled_ul, withdrawn_ul = reservoir.filled_ul, reservoir.withdrawn_ul
        body_ul = self.tip_ul(now_ns) + self.leaked_ul(now_ns) + (self.stored_ul(now_ns) - self._first_stored_ul)
        return Balance(
            moved_ul=self._first_contents_ul + filled_ul,
            reservoir_error_ul=fsum((self._first_contents_ul, filled_ul, -withdrawn_ul, -pumped_ul, -contents_ul)),
            body_error_ul=pumped_ul - body_ul,
            drug_moved_ug=self._first_drug_ug + self._drug_in_ug,
            drug_error_ug=fsum(
                (self._first_drug_ug, self._drug_in_ug, -self.tip_ug, -self.leaked_ug, -self._drug_held_ug())
            ),
        )

    def settle(self) -> None:
        """Bring the accounts that are kept from event to event, of reservoir and drug, up to now."""
        self._book()

    def change_catheter(self, condition: Condition) -> None:
        """From now on the catheter is in another condition."""
        self._book()
        self._began_ns = self._world.now_ns
        self._catheter.change(self._began_ns, condition)
        self._cut()

    def withdraw(self, leaving_ul: float) -> float:
        """Empty the reservoir through its port down to a rest; returns what came out."""
        self._book()
        out_ul = self.reservoir.withdraw(leaving_ul)
        self._cut()
        return out_ul

    def inject(self, volume_ul: float, concentration_ug_per_ml: float, *, pocketed_share: float) -> Filling:
        """Fill it through its port; a share of it goes beside."""
        self._book()
        filling = self.reservoir.inject(volume_ul, concentration_ug_per_ml, pocketed_share=pocketed_share)
        self._cut()
        return filling

    def _cut(self) -> None:
        self._book()
        if self._dry_ns == self._world.now_ns:
            self.reservoir.run_dry()
        self._begin()
        self.on_cut()

    def _book(self) -> None:
        """Take what has flowed since the last time from the reservoir, and move the drug on."""
        now_ns = self._world.now_ns
        pumped_ul, passed_ul = self._catheter.pumped_ul(now_ns), self._catheter.passed_ul(now_ns)
        drawn_ul, moved_ul = pumped_ul - self._pumped_ul, passed_ul - self._farthest_ul
        concentration_ug_per_ml = self.reservoir.concentration_ug_per_ml
        self._pumped_ul, self._passed_ul = pumped_ul, passed_ul
        if drawn_ul:
            self.reservoir.draw(drawn_ul)
            self._drug_in_ug += drawn_ul * concentration_ug_per_ml / UL_PER_ML
            self._let_in(Slug(drawn_ul, concentration_ug_per_ml))
        if moved_ul > 0.0:
            self._farthest_ul = passed_ul
            self._move(moved_ul, now_ns)

    def _let_in(self, slug: Slug) -> None:
        """What leaks back into the reservoir goes as it came, the last first; further than that it comes of the way."""
        entering = self._entering
        if entering and entering[-1].concentration_ug_per_ml == slug.concentration_ug_per_ml:
            slug = Slug(entering.pop().volume_ul + slug.volume_ul, slug.concentration_ug_per_ml)
        entering.append(slug)

    def _move(self, volume_ul: float, now_ns: int) -> None:
        leak = self._catheter.leak
        before = self._way.at_tip_ug_per_ml()
        left_ul = 0.0
        at_tip: list[Slug] = []
        for slug in self._taken(volume_ul):
            passage = self._way.advance(
                slug.volume_ul,
                slug.concentration_ug_per_ml,
                leak_at_ul=min(self._tubing_ul + leak.at_ul, self._way.volume_ul),
                leak_share=leak.share,
            )
            self.tip_ug += passage.tip_ug
            self.leaked_ug += passage.leaked_ug
            at_tip += passage.tip
        total_ul = fsum(slug.volume_ul for slug in at_tip)
        for slug in (*at_tip, Slug(0.0, self._way.at_tip_ug_per_ml())):
            if slug.concentration_ug_per_ml != before:
                before = slug.concentration_ug_per_ml
                self.on_tip(self._left_ns(total_ul - left_ul, now_ns))
            left_ul += slug.volume_ul

    def _left_ns(self, before_ul: float, now_ns: int) -> int:
        """The instant of this segment at which the tip had still to give so much until now."""
        wanted_ul = self._catheter.tip_ul(now_ns) - before_ul
        return self._first_ns(lambda t_ns: self._catheter.tip_ul(t_ns) >= wanted_ul, now_ns)

    def _taken(self, volume_ul: float) -> list[Slug]:
        """So much of what waits to enter, the oldest first; where that is not enough, what the reservoir holds."""
        taken = []
        while volume_ul > 0.0 and self._entering and self._entering[0].volume_ul > 0.0:
            first = self._entering.popleft()
            part_ul = min(first.volume_ul, volume_ul)
            taken.append(Slug(part_ul, first.concentration_ug_per_ml))
            if part_ul < first.volume_ul:
                self._entering.appendleft(Slug(first.volume_ul - part_ul, first.concentration_ug_per_ml))
            volume_ul -= part_ul
        if volume_ul > 0.0:
            concentration_ug_per_ml = self.reservoir.concentration_ug_per_ml
            self._let_in(Slug(-volume_ul, concentration_ug_per_ml))
            taken.append(Slug(volume_ul, concentration_ug_per_ml))
        return taken

    def _drug_held_ug(self) -> float:
        return self._way.drug_ug + fsum(slug.drug_ug for slug in self._entering)

    def _begin(self) -> None:
        now_ns = self._began_ns = self._world.now_ns
        law = self._law(now_ns)
        self._catheter.feed(now_ns, law)
        if self._boundary is not None:
            self._boundary.cancel()
            self._boundary = None
        self._dry_ns = None
        end_ns = law.end_ns
        if end_ns is None:
            return
        if self.contents_ul(end_ns) < 0.0:
            end_ns = self._dry_ns = self._first_ns(lambda t_ns: self.contents_ul(t_ns) < 0.0, end_ns)
        arrives_ns = self._arrives_ns(end_ns)
        if arrives_ns < end_ns:
            end_ns, self._dry_ns = arrives_ns, None
        self._boundary = self._world.at(end_ns, self._cut)

    def _arrives_ns(self, end_ns: int) -> int:
        """When all of what is now at the tip has left, or the segment's end: what comes then is another drug."""
        *others, last = self._way.slugs
        if not others and not self._is_of_another_drug(last):
            return end_ns
        wanted_ul = self._catheter.tip_ul(self._began_ns) + last.volume_ul + _PAST_ROUNDING_UL
        if self._catheter.tip_ul(end_ns) < wanted_ul:
            return end_ns
        return self._first_ns(lambda t_ns: self._catheter.tip_ul(t_ns) >= wanted_ul, end_ns)

    def _is_of_another_drug(self, slug: Slug) -> bool:
        """Than what enters behind it."""
        next_in = self._entering[0] if self._entering else None
        entering = self.reservoir.concentration_ug_per_ml if next_in is None else next_in.concentration_ug_per_ml
        return slug.concentration_ug_per_ml != entering

    def _law(self, now_ns: int) -> HeadLaw:
        outlet_hpa = self._catheter.outlet_hpa
        contents_ul = self.contents_ul(now_ns)
        if self._curve is not None:
            self._head.reservoir_hpa = self._curve.pressure_hpa(contents_ul)
        law = self._head.law(now_ns, outlet_hpa)
        if self.reservoir.empty:
            return HeadLaw(None, law.head_temperature_c, evidence=("pump.reservoir_empty",))
        if self._curve is None or law.end_ns is None:
            return law
        self._head.reservoir_hpa = self._mean_hpa(self._curve, law, contents_ul, (law.end_ns - now_ns) / NS_PER_S)
        return self._head.law(now_ns, outlet_hpa)

    def _mean_hpa(self, curve: PressureCurve, law: HeadLaw, contents_ul: float, for_s: float) -> float:
        """The reservoir's pressure over a segment: what it drives past the rollers is exact, what it does to the stroke
        is by its mean.
        """
        drawn_ul_per_s, outlet_hpa = law.mean_ul_per_s * law.seat, self._catheter.outlet_hpa
        conductance = self._conductance_ul_per_s_per_hpa
        if not conductance or not for_s:
            return curve.pressure_hpa(contents_ul - drawn_ul_per_s * for_s / 2.0)
        emptying = Emptying(
            curve,
            contents_ul,
            drawn_ul_per_s=drawn_ul_per_s,
            conductance_ul_per_s_per_hpa=conductance,
            outlet_hpa=outlet_hpa,
        )
        driven_ul = emptying.left_ul(for_s) - drawn_ul_per_s * for_s
        return outlet_hpa + driven_ul / (conductance * for_s)

    def _first_ns(self, holds: Callable[[int], bool], end_ns: int) -> int:
        """The first nanosecond of this segment at which something holds that goes on holding, by bisection."""
        before_ns, after_ns = self._began_ns, end_ns
        while after_ns - before_ns > 1:
            middle_ns = (before_ns + after_ns) // 2
            if holds(middle_ns):
                after_ns = middle_ns
            else:
                before_ns = middle_ns
        return after_ns
