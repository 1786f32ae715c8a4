"""One `[[events]]` table of a scenario, read key by key; faults are named by file, number, key and cure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import inf, isfinite
from typing import Any

from firmware_mock.scenario import Scenario, ScenarioError
from firmware_mock.world import to_ns

_ALWAYS = frozenset(("at_h", "do"))
_REPEATED = frozenset(("every_h", "times"))
_MOST = 1e12


class EventFields:
    """`kinds` maps what may be done to the keys that it takes; where `may_repeat`, an event may also come again.

    Raises:
        ScenarioError: the event is unknown, has an unknown key, or begins before its scenario.
    """

    def __init__(
        self,
        scenario: Scenario,
        number: int,
        event: Mapping[str, Any],
        kinds: Mapping[str, Collection[str]],
        *,
        may_repeat: bool = False,
    ) -> None:
        self._event = event
        self._begins = f"{scenario.where}: event {number}"
        do = event.get("do")
        if not isinstance(do, str) or do not in kinds:
            raise ScenarioError(f"{self._begins}: do = {do!r} is unknown; known: {', '.join(sorted(kinds))}")
        self.do = do
        known = {*_ALWAYS, *kinds[do], *(_REPEATED if may_repeat else ())}
        for key in event:
            if key not in known:
                raise ScenarioError(f"{self._begins} ({do}) has no key {key!r}; known: {', '.join(sorted(known))}")
        self.at_ns = to_ns(3600.0 * self.number("at_h"))
        self.times_ns = self._times_ns()

    def has(self, key: str) -> bool:
        """Whether the event states a key."""
        return key in self._event

    def number(self, key: str, *, lowest: float = 0.0, highest: float = inf, default: float | None = None) -> float:
        """A number within limits; `default` where it is not stated.

        Raises:
            ScenarioError: it is missing, no number, or out of range.
        """
        value = self._event.get(key, default)
        if value is None:
            raise ScenarioError(
                f"{self._begins} ({self.do}): {key} is missing; it must be a number of {_range(lowest, highest)}"
            )
        if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
            raise ScenarioError(f"{self._begins}: {key} = {value!r} must be a number of {_range(lowest, highest)}")
        if abs(value) > _MOST:
            raise ScenarioError(f"{self._begins}: {key} = {value!r} is beyond all measure; at most {_MOST:g} is taken")
        if not lowest <= value <= highest:
            raise ScenarioError(f"{self._begins}: {key} = {value!r} must be a number of {_range(lowest, highest)}")
        return float(value)

    def whole(self, key: str, *, lowest: int, highest: int, default: int | None = None) -> int:
        """A whole number within limits.

        Raises:
            ScenarioError: as `number`, or it is no whole number.
        """
        value = self.number(key, lowest=lowest, highest=highest, default=default)
        if value != int(value):
            raise ScenarioError(f"{self._begins}: {key} = {value!r} must be a whole number")
        return int(value)

    def either(self, one: str, others: Collection[str]) -> bool:
        """Whether the event states one key rather than the others, which say the same in another way.

        Raises:
            ScenarioError: it states both.
        """
        beside = [key for key in others if self.has(key)]
        if self.has(one) and beside:
            raise self.refuse(f"{one} and {beside[0]} say the same twice; give {one}, or {' and '.join(others)}")
        return not beside

    def choice(self, key: str, known: Collection[str], what: str) -> str:
        """One of the words that are known.

        Raises:
            ScenarioError: it is none of them.
        """
        value = self._event.get(key)
        if not isinstance(value, str) or value not in known:
            raise ScenarioError(
                f"{self._begins} ({self.do}): {key} = {value!r} is no {what}; known: {', '.join(sorted(known))}"
            )
        return value

    def tables(self, key: str) -> list[Mapping[str, Any]]:
        """A list of tables, not empty.

        Raises:
            ScenarioError: it is none.
        """
        value = self._event.get(key)
        if not isinstance(value, list) or not value or not all(isinstance(item, Mapping) for item in value):
            raise ScenarioError(f"{self._begins} ({self.do}): {key} = {value!r} must be a list of tables, not empty")
        return value

    def refuse(self, sentence: str) -> ScenarioError:
        """An error that says where it is."""
        return ScenarioError(f"{self._begins} ({self.do}): {sentence}")

    def _times_ns(self) -> tuple[int, ...]:
        if self.has("every_h") and not self.has("times"):
            raise self.refuse("every_h is given without times; say how often it comes in all, such as times = 12")
        times = self.whole("times", lowest=1, highest=100_000, default=1)
        if times == 1 and not self.has("every_h"):
            return (self.at_ns,)
        every_ns = to_ns(3600.0 * self.number("every_h", lowest=1e-3))
        return tuple(self.at_ns + index * every_ns for index in range(times))


def _range(lowest: float, highest: float) -> str:
    return f"at least {lowest:g}" if highest == inf else f"{lowest:g} to {highest:g}"
