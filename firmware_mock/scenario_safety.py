"""Which safety properties a run of a scenario breaks, beside those that its file says it breaks, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from firmware_mock.implant import Implant
from firmware_mock.monitors import Monitors
from firmware_mock.monitors.properties import PROPERTIES
from firmware_mock.scenario import Scenario, ScenarioError
from firmware_mock.scenario_delivery import delivery_breaches

_SENTENCES = {each.identifier: each.sentence for each in PROPERTIES}
N_PROPERTIES = len(PROPERTIES)
_HELD = (None, "")


@dataclass(frozen=True, slots=True)
class Breakage:
    """A property that is broken, or said to be. `why` is the scenario's reason, empty where it does not say so.

    `first_s` is when it was broken first, None where it held; `how` says what was seen then.
    """

    identifier: str
    sentence: str
    why: str
    first_s: float | None
    how: str


def said_to_break(scenario: Scenario) -> Mapping[str, str]:
    """The reasons of a scenario's `breaks`, by the property.

    Raises:
        ScenarioError: there is no such property, or it is named twice.
    """
    reasons: dict[str, str] = {}
    for breach in scenario.breaks:
        if breach.property not in _SENTENCES:
            raise ScenarioError(
                f"{scenario.where}: breaks names property = {breach.property!r}, which is none of "
                f"{min(_SENTENCES)} to {max(_SENTENCES)} in docs/safety-properties.md"
            )
        if breach.property in reasons:
            raise ScenarioError(f"{scenario.where}: breaks names {breach.property} twice; give both reasons in one")
        reasons[breach.property] = breach.why
    return reasons


class SafetyWatch:
    """Watches a pump in a body from now on. Delivery is judged by what arrives at the tip, once all days are over.

    Raises:
        ScenarioError: as `said_to_break`.
    """

    def __init__(self, implant: Implant) -> None:
        self._implant = implant
        self._said = said_to_break(implant.world.scenario)
        self._monitors = Monitors(implant.firmware)

    def finish(self) -> tuple[Breakage, ...]:
        """Judge what is due by now: every property that was broken or is said to be, by its identifier."""
        first = {it.identifier: (it.at_ns / 1e9, it.sentence) for it in reversed(self._monitors.finish())}
        for identifier, breach in delivery_breaches(self._implant.record, self._implant.profile).items():
            found = breach.at_s, breach.how
            first[identifier] = min(first.get(identifier, found), found)
        return tuple(
            Breakage(identifier, _SENTENCES[identifier], self._said.get(identifier, ""), *first.get(identifier, _HELD))
            for identifier in sorted(first.keys() | self._said.keys())
        )
