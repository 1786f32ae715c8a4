"""The body around the pump of a walk: reservoir, catheter, the drug on its way, and whether anything is lost there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import fsum

from firmware_mock.body_effects import CatheterFacts, ReservoirFacts
from firmware_mock.physics.catheter import Catheter, Condition
from firmware_mock.physics.infusion import Infusion
from firmware_mock.physics.reservoir import Reservoir
from mutating.scene import Scene

LARGEST_ERROR = 1e-9
_DAY_NS = 86_400 * 10**9
_CONCENTRATION_UG_PER_ML = 500.0


@dataclass(frozen=True, slots=True)
class Physics:
    """`overfill_pct`: truth over told. `leak_ul_per_h_per_hpa` goes past the rollers, driven by `reservoir_hpa` or,
    where there is `propellant`, by the pressure of that; `slope_per_hpa` is the relative loss of stroke.
    """

    overfill_pct: float = 0.0
    reservoir_hpa: float = 0.0
    leak_ul_per_h_per_hpa: float = 0.0
    slope_per_hpa: float = 0.0
    propellant: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether the head moves its step volume with each step, and nothing else moves."""
        return not (self.leak_ul_per_h_per_hpa or self.slope_per_hpa)


class Body:
    """Looks at the accounts after every event of the scene's world; `wrong` is what did not add up, at first.

    `head.on_change` is its own from now on. The firmware knows of nothing that happens here.
    """

    def __init__(self, scene: Scene, physics: Physics, filled_ul: float) -> None:
        self.wrong = ""
        self.ran_dry = False
        self._world, self._head = scene.world, scene.head
        self._physics = physics
        self._facts = CatheterFacts()
        self._step_ul = scene.profile.step_volume_nl * 1e-3
        self._injected_ul: list[float] = []
        self._reservoir = Reservoir(
            filled_ul * (1.0 + physics.overfill_pct / 100.0), concentration_ug_per_ml=_CONCENTRATION_UG_PER_ML
        )
        curve = ReservoirFacts(propellant=physics.propellant).curve(
            scene.profile.reservoir_volume_ul, scene.profile.head_temperature_c
        )
        if curve is None:
            scene.head.longest_ns = _DAY_NS
        self._condition = self._facts.healthy()
        self.infusion = Infusion(
            scene.world,
            scene.head,
            self._reservoir,
            curve,
            Catheter(self._condition, start_ns=scene.world.now_ns),
            tubing_ul=scene.profile.tubing_volume_ul,
            catheter_ul=self._facts.length_cm * scene.profile.catheter_ul_per_cm,
            leak_ul_per_h_per_hpa=physics.leak_ul_per_h_per_hpa,
        )
        scene.world.observers.append(self.look)

    def refill(self, volume_ul: float, concentration_ug_per_ml: float, pocketed_share: float) -> None:
        """Empty the reservoir and fill it; what was injected is in the reservoir or beside it."""
        self.infusion.withdraw(0.0)
        filling = self.infusion.inject(volume_ul, concentration_ug_per_ml, pocketed_share=pocketed_share)
        self._injected_ul.append(volume_ul)
        reservoir = self._reservoir
        self._compare("injected", filling.injected_ul, filling.into_reservoir_ul + filling.pocketed_ul)
        self._compare("injected so far", fsum(self._injected_ul), reservoir.filled_ul + reservoir.pocketed_ul)
        self._compare(
            "contents after a refill", self.infusion.contents_ul(self._world.now_ns), volume_ul * (1.0 - pocketed_share)
        )

    def change_catheter(self, what: str) -> None:
        """It kinks, leaks, is shut, comes off, or is as it was."""
        healthy = self._facts.healthy()
        conditions: dict[str, Condition] = {
            "kink": replace(healthy, resistance_hpa_s_per_ul=200.0 * healthy.resistance_hpa_s_per_ul),
            "leak": replace(healthy, leak_share=0.3, leak_at_ul=50.0),
            "shut": replace(healthy, is_occluded=True),
            "off": replace(healthy, is_connected=False),
            "mend": healthy,
        }
        self.infusion.change_catheter(conditions[what])

    def look(self) -> None:
        """Nothing was lost or made up until now, and the head moved what its steps are."""
        balance = self.infusion.balance()
        self.ran_dry = self.ran_dry or self._reservoir.empty
        if balance.error > LARGEST_ERROR:
            self._note(f"{balance}")
        if self._physics.is_plain and not self.ran_dry:
            now_ns = self._world.now_ns
            pumped_ul, made_ul = self.infusion.pumped_ul(now_ns), self._head.counted_steps(now_ns) * self._step_ul
            if not -1e-6 <= pumped_ul - made_ul <= self._step_ul + 1e-6:
                self._note(f"{pumped_ul:.9g} uL left the head in {made_ul:.9g} uL of steps")

    def _compare(self, what: str, ul: float, other_ul: float) -> None:
        if abs(ul - other_ul) > LARGEST_ERROR * max(1.0, ul):
            self._note(f"{what}: {ul!r} uL against {other_ul!r} uL")

    def _note(self, what: str) -> None:
        self.wrong = self.wrong or f"conservation at {self._world.now_ns} ns: {what}"
