"""The implanted catheter: it swells, resists, kinks, leaks, comes off or is shut, and its tip lies at some height.

Between two events it is one store S of liquid with a compliance, filled by the head and emptied through its resistance,
solved in closed form like the line of the bench (`segment.respond`, at a density of 1, so that its mg are µL).
Volumes in µL, gauge pressures in hPa.
"""

from __future__ import annotations

from dataclasses import dataclass

from firmware_mock.physics.head import HeadLaw
from firmware_mock.physics.relaxation import Relaxation
from firmware_mock.physics.segment import respond
from firmware_mock.world import NS_PER_S

STANDARD_GRAVITY_M_PER_S2 = 9.80665
_HPA_PER_KG_PER_M_S2 = 0.01
_M_PER_MM = 1e-3
_WHOLE = 1.0


def column_hpa(height_mm: float, density_kg_per_m3: float) -> float:
    """Pressure of a column of liquid as high as the tip lies over the pump; negative where the tip lies lower."""
    return density_kg_per_m3 * STANDARD_GRAVITY_M_PER_S2 * height_mm * _M_PER_MM * _HPA_PER_KG_PER_M_S2


@dataclass(frozen=True, slots=True)
class Condition:
    """What a catheter is like from one event to the next.

    compliance_ul_per_hpa, resistance_hpa_s_per_ul: a kink is a higher resistance.
    tip_pressure_hpa: what the tip works against: the column up to it and the liquor around it.
    leak_share, leak_at_ul: of what passes a place, so many µL behind the connector, this share leaves there.
    is_occluded: nothing passes. is_connected: False where it came off the pump, which then pumps into the tissue.
    """

    compliance_ul_per_hpa: float
    resistance_hpa_s_per_ul: float
    tip_pressure_hpa: float = 0.0
    leak_share: float = 0.0
    leak_at_ul: float = 0.0
    is_occluded: bool = False
    is_connected: bool = True

    def __post_init__(self) -> None:
        for key in ("compliance_ul_per_hpa", "resistance_hpa_s_per_ul"):
            if not getattr(self, key) > 0.0:
                raise ValueError(f"{key} = {getattr(self, key)} must be above 0")
        if not 0.0 <= self.leak_share <= 1.0:
            raise ValueError(f"leak_share = {self.leak_share} is no share; it must be 0 to 1")
        if not self.leak_at_ul >= 0.0:
            raise ValueError(f"leak_at_ul = {self.leak_at_ul} must be at least 0")


@dataclass(frozen=True, slots=True)
class Leak:
    """Of what passes a place so many µL behind the connector, a share leaves there."""

    at_ul: float
    share: float


@dataclass(frozen=True, slots=True)
class _Account:
    """Volumes since time 0."""

    pumped_ul: float = 0.0
    tip_ul: float = 0.0
    leaked_ul: float = 0.0


class Catheter:
    """Accounts of what was pumped in, left at the tip, leaked and is stored: at every instant from the last event on,
    pumped = tip + leaked + stored less what was stored at first.

    `feed` after each change of the head's law, `change` after each of the catheter's own; after a change of
    `outlet_hpa`, which the law depends on, both. What flows back into the tip is negative there, and so is its share of
    a leak.
    """

    def __init__(self, condition: Condition, *, start_ns: int = 0) -> None:
        self._condition = condition
        self._law = HeadLaw(None, 0.0)
        self._begin(start_ns, _Account(), self._resting_ul)

    @property
    def outlet_hpa(self) -> float:
        """What the head works against while nothing flows."""
        return self._condition.tip_pressure_hpa if self._condition.is_connected else 0.0

    @property
    def leak(self) -> Leak:
        """Where liquid leaves on its way: all of it at the connector of a catheter that came off."""
        condition = self._condition
        return Leak(condition.leak_at_ul, condition.leak_share) if condition.is_connected else Leak(0.0, _WHOLE)

    def feed(self, t_ns: int, law: HeadLaw) -> None:
        """From this instant on the head moves what a law says; made for a resting outlet at `outlet_hpa`."""
        account, stored_ul = self._account(t_ns), self.stored_ul(t_ns)
        self._law = law
        self._begin(t_ns, account, stored_ul)

    def change(self, t_ns: int, condition: Condition) -> None:
        """From this instant on the catheter is in another condition; what it stored is let go where it comes off."""
        account, stored_ul = self._account(t_ns), self.stored_ul(t_ns)
        self._condition = condition
        if not condition.is_connected:
            account = _Account(account.pumped_ul, account.tip_ul, account.leaked_ul + stored_ul)
            stored_ul = 0.0
        self._begin(t_ns, account, stored_ul)

    def pumped_ul(self, t_ns: int) -> float:
        """What left the head; negative where it leaked back."""
        return self._account(t_ns).pumped_ul

    def tip_ul(self, t_ns: int) -> float:
        """What left at the tip."""
        return self._account(t_ns).tip_ul

    def leaked_ul(self, t_ns: int) -> float:
        """What left on the way."""
        return self._account(t_ns).leaked_ul

    def passed_ul(self, t_ns: int) -> float:
        """What left the catheter anywhere: as far as the drug in it has moved."""
        account = self._account(t_ns)
        return account.tip_ul + account.leaked_ul

    def stored_ul(self, t_ns: int) -> float:
        """What it holds over its volume at rest without pressure."""
        built_up_ul = self._response.stored_mg(self._since_s(t_ns)) if self._condition.is_connected else 0.0
        return self._resting_ul + built_up_ul

    def pressure_hpa(self, t_ns: int) -> float:
        """Gauge pressure behind the pump."""
        return self.stored_ul(t_ns) / self._condition.compliance_ul_per_hpa

    @property
    def _resting_ul(self) -> float:
        return self.outlet_hpa * self._condition.compliance_ul_per_hpa

    def _begin(self, t_ns: int, account: _Account, stored_ul: float) -> None:
        """A disconnected head pumps into a store that never answers: what it stores is what it pumped."""
        condition = self._condition
        flows = condition.is_connected and not condition.is_occluded
        compliance_ul_per_hpa = condition.compliance_ul_per_hpa
        self._start_ns = t_ns
        self._before = account
        self._latest = (t_ns, account)
        self._response: Relaxation = respond(
            stored_ul - self._resting_ul,
            self._law,
            1.0,
            outlet_per_s=1.0 / (condition.resistance_hpa_s_per_ul * compliance_ul_per_hpa) if flows else 0.0,
            loss_per_s=self._law.loss_ul_per_s_per_hpa / compliance_ul_per_hpa if condition.is_connected else 0.0,
        )

    def _account(self, t_ns: int) -> _Account:
        latest_ns, account = self._latest
        if t_ns != latest_ns:
            account = self._account_at(self._since_s(t_ns))
            self._latest = (t_ns, account)
        return account

    def _account_at(self, since_s: float) -> _Account:
        before, share = self._before, self._condition.leak_share
        entered_ul, out_ul = self._response.through_mg(since_s)
        if not self._condition.is_connected:
            return _Account(before.pumped_ul + entered_ul, before.tip_ul, before.leaked_ul + entered_ul)
        return _Account(
            before.pumped_ul + entered_ul,
            before.tip_ul + (1.0 - share) * out_ul,
            before.leaked_ul + share * out_ul,
        )

    def _since_s(self, t_ns: int) -> float:
        if t_ns < self._start_ns:
            raise ValueError(f"{t_ns} ns lies before the last event, {self._start_ns} ns")
        return (t_ns - self._start_ns) / NS_PER_S
