"""How long an implanted pump serves: by its battery, by its cap, and when it asks to be replaced."""

from __future__ import annotations

from dataclasses import dataclass

from firmware_mock.world import to_ns
from protocol.profile import ServiceLife

S_PER_DAY = 86_400.0
S_PER_YEAR = 365.25 * S_PER_DAY


def life_s(*, energy_j: float, base_power_uw: float, step_energy_uj: float, steps_per_s: float, cap_s: float) -> float:
    """Seconds from full at a constant step rate: energy over power, and no longer than the cap."""
    return min(cap_s, energy_j / ((base_power_uw + step_energy_uj * steps_per_s) * 1e-6))


@dataclass(frozen=True, slots=True)
class ServiceTimes:
    """`cap_ns` from implantation; `low_fraction` of the energy brings the replacement indicator, and `after_ns` later
    the pump stops.
    """

    cap_ns: int
    low_fraction: float
    after_ns: int

    @classmethod
    def of(cls, life: ServiceLife) -> ServiceTimes:
        """Those of a model."""
        return cls(
            to_ns(life.life_cap_years * S_PER_YEAR),
            life.eri_remaining_pct / 100.0,
            to_ns(life.end_of_service_after_eri_days * S_PER_DAY),
        )

    def indicator_ns(self, implanted_ns: int, low_ns: int) -> int:
        """When the replacement indicator comes: the battery is low, or the cap is only `after_ns` away."""
        return min(low_ns, implanted_ns + self.cap_ns - self.after_ns)

    def end_ns(self, implanted_ns: int, low_ns: int, flat_ns: int) -> int:
        """When service ends: so long after the indicator, or sooner where the battery is flat or the cap reached."""
        return min(self.indicator_ns(implanted_ns, low_ns) + self.after_ns, flat_ns, implanted_ns + self.cap_ns)
