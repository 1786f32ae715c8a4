"""The balance around its cell: zero, tare, zero tracking, rounding, stability, range, settings, and self-adjustment."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from math import ceil, log10
from typing import Any

import msgspec

from firmware_mock.instruments.balance_effects import FILTER_SCALES, BalanceEffects
from firmware_mock.instruments.load_cell import LoadCell, Signal
from firmware_mock.physics.certificates import rig_number, rig_text
from firmware_mock.physics.environment import RoomAir
from firmware_mock.physics.vessel import Vessel
from firmware_mock.world import NS_PER_S, World, to_ns

UPDATE_NS = NS_PER_S // 10
_ZERO_RANGE = 0.02
_STABLE_D_PER_S = 0.5
_STABLE_DISTURBANCE_D = 1.0


class Outcome(Enum):
    """Whether a weight can be shown, or a zero or tare was taken; the values are those of MT-SICS."""

    DONE = "A"
    OVERLOAD = "+"
    UNDERLOAD = "-"
    BUSY = "I"


class Reading(msgspec.Struct, frozen=True):
    """What the display shows: net weight in whole digits and in mg; `outcome` is DONE where there is a weight."""

    time_ns: int
    digits: int
    weight_mg: float
    stable: bool
    outcome: Outcome


class Balance:
    """A balance that was zeroed with an empty pan before the world began. Asked in time order.

    Between two updates, a tenth of a second apart, the display stands still.
    """

    def __init__(self, world: World, rig: Mapping[str, Any], air: RoomAir, vessel: Vessel) -> None:
        self.effects = effects = world.scenario.section("balance", BalanceEffects)
        self._ledger = world.ledger
        self._cell = LoadCell(world, rig, air, vessel, effects)
        self.model = rig_text(rig, "balance", "model")
        self.serial_number = rig_text(rig, "balance", "serial_number")
        self.capacity_mg = 1e3 * rig_number(rig, "balance", "capacity_g")
        self.digit_mg = rig_number(rig, "balance", "readability_mg")
        self.decimals_g = max(0, ceil(-log10(self.digit_mg * 1e-3) - 1e-9))
        self.autozero = effects.autozero
        self.auto_adjustment = effects.auto_adjustment
        self._adjust_every_ns = to_ns(3600.0 * effects.adjustment_every_h)
        self._next_adjustment_ns = world.now_ns + self._adjust_every_ns
        self._busy_until_ns = world.now_ns
        self._zero_mg = self._tare_mg = 0.0
        self._signal: Signal | None = None
        self._reading: Reading | None = None
        self._rounded = self._over = self._under = 0
        self._swallowed_mg = 0.0
        world.at_close(self._note_evidence)

    @property
    def filter_setting(self) -> int:
        """Environment setting, as M02: 0 very stable, 2 standard, 4 very unstable, 5 automatic."""
        return self._cell.filter_setting

    @property
    def filter_settings(self) -> int:
        """How many environment settings there are."""
        return len(FILTER_SCALES)

    @property
    def tare_digits(self) -> int:
        """The tare, in digits."""
        return round(self._tare_mg / self.digit_mg)

    def display(self, t_ns: int) -> Reading:
        """What the display shows at an instant."""
        reading = self._reading
        if reading is not None and t_ns - reading.time_ns < UPDATE_NS:
            return reading
        signal = self._convert(t_ns)
        gross_mg = signal.total_mg - self._zero_mg
        exact = (gross_mg - self._tare_mg) / self.digit_mg
        digits = round(exact)
        outcome = self._outcome(t_ns, gross_mg)
        stable = (
            abs(signal.rate_mg_per_s) <= _STABLE_D_PER_S * self.digit_mg
            and abs(signal.disturbance_mg) <= _STABLE_DISTURBANCE_D * self.digit_mg
        )
        self._rounded += digits != exact
        self._reading = reading = Reading(t_ns, digits, digits * self.digit_mg, stable, outcome)
        return reading

    def zero(self, t_ns: int) -> Outcome:
        """Take the load as the new zero and clear the tare; within two per cent of the capacity of the empty pan."""
        outcome, load_mg = self._load(t_ns)
        if outcome is not Outcome.DONE:
            return outcome
        if load_mg > _ZERO_RANGE * self.capacity_mg:
            return Outcome.OVERLOAD
        self._zero_mg, self._tare_mg = load_mg, 0.0
        return Outcome.DONE

    def tare(self, t_ns: int) -> Outcome:
        """Take the load as tare; a negative load cannot be tared."""
        outcome, load_mg = self._load(t_ns)
        if outcome is not Outcome.DONE:
            return outcome
        if load_mg < self._zero_mg:
            return Outcome.UNDERLOAD
        self._tare_mg = load_mg - self._zero_mg
        return Outcome.DONE

    def set_tare(self, t_ns: int, tare_mg: float) -> bool:
        """Take a given tare, rounded to digits; False where it lies outside the range."""
        if not 0.0 <= tare_mg <= self.capacity_mg:
            return False
        self._convert(t_ns)
        self._tare_mg = round(tare_mg / self.digit_mg) * self.digit_mg
        self._reading = None
        return True

    def set_filter(self, t_ns: int, setting: int) -> None:
        """Choose the environment setting, as M02."""
        self._convert(t_ns)
        self._cell.filter_setting = setting

    def set_autozero(self, t_ns: int, on: bool) -> None:
        """Switch zero tracking, as M03."""
        self._convert(t_ns)
        self.autozero = on

    def set_auto_adjustment(self, t_ns: int, on: bool) -> None:
        """Switch automatic self-adjustment, as C0."""
        self._convert(t_ns)
        self.auto_adjustment = on

    def _load(self, t_ns: int) -> tuple[Outcome, float]:
        """Whether there is a weight, and the unrounded load; the display updates afterwards."""
        load_mg = self._convert(t_ns).total_mg
        self._reading = None
        return self._outcome(t_ns, load_mg - self._zero_mg), load_mg

    def _convert(self, t_ns: int) -> Signal:
        while self._next_adjustment_ns <= t_ns:
            if self.auto_adjustment:
                self._cell.adjust(self._next_adjustment_ns)
                self._busy_until_ns = self._next_adjustment_ns + to_ns(self.effects.adjustment_lasts_s)
            self._next_adjustment_ns += self._adjust_every_ns
        before, signal = self._signal, self._cell.convert(t_ns)
        if self.autozero and before is not None:
            self._track_zero(before, signal)
        self._signal = signal
        return signal

    def _track_zero(self, before: Signal, now: Signal) -> None:
        """Swallow what changed since the last conversion, where the display stood near zero and the load moved slowly.

        The load is judged by its mean rate since then and by its rate now: a short rush within a long pause escapes it.
        """
        elapsed_s = (now.time_ns - before.time_ns) / NS_PER_S
        near_zero_mg = self.effects.autozero_window_d * self.digit_mg
        slow_mg_per_s = self.effects.autozero_d_per_s * self.digit_mg
        reach_mg = slow_mg_per_s * elapsed_s
        shown_mg = before.slow_mg - self._zero_mg - self._tare_mg
        moved_mg = now.steady_mg - before.steady_mg
        if abs(shown_mg) > near_zero_mg or abs(moved_mg) > reach_mg or abs(now.rate_mg_per_s) > slow_mg_per_s:
            return
        pulled_mg = min(max(shown_mg, -reach_mg), reach_mg)
        self._zero_mg += now.slow_mg - before.slow_mg + pulled_mg
        self._swallowed_mg += abs(moved_mg + pulled_mg)

    def _outcome(self, t_ns: int, gross_mg: float) -> Outcome:
        if t_ns < self._busy_until_ns:
            return Outcome.BUSY
        if gross_mg > self.capacity_mg:
            self._over += 1
            return Outcome.OVERLOAD
        if gross_mg < -_ZERO_RANGE * self.capacity_mg:
            self._under += 1
            return Outcome.UNDERLOAD
        return Outcome.DONE

    def _note_evidence(self) -> None:
        for effect, times in (
            ("balance.rounding", self._rounded),
            ("balance.autozero", int(self._swallowed_mg / self.digit_mg)),
            ("balance.overload", self._over),
            ("balance.underload", self._under),
        ):
            if times:
                self._ledger.saw(effect, times)
