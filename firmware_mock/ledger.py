"""The ledger of the truth: what the simulated pump really did, sealed until the world is closed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray


class LedgerSealed(RuntimeError):
    """The truth was asked for while the world still runs."""


@dataclass(frozen=True, slots=True)
class FlowSegment:
    """A stretch of constant commanded rate, at most one hour long unless nothing flows.

    `mean_volume_ul` is what the unit's own law gives, averaged over rotor phase and over the scatter of its starts;
    `realised_volume_ul` is what left the pump head. Both are at pump-head temperature, reverse flow negative.
    """

    start_ns: int
    end_ns: int
    steps: int
    mean_volume_ul: float
    realised_volume_ul: float


@dataclass(frozen=True)
class Truth:
    """The opened ledger."""

    segments: tuple[FlowSegment, ...]
    facts: dict[str, float]
    evidence: Counter[str]

    @cached_property
    def _edges_ns(self) -> NDArray[np.float64]:
        if not self.segments:
            return np.zeros(1)
        return np.array([self.segments[0].start_ns, *(segment.end_ns for segment in self.segments)], dtype=np.float64)

    @cached_property
    def _cumulative_mean_ul(self) -> NDArray[np.float64]:
        return np.concatenate([[0.0], np.cumsum([segment.mean_volume_ul for segment in self.segments])])

    @cached_property
    def _cumulative_realised_ul(self) -> NDArray[np.float64]:
        return np.concatenate([[0.0], np.cumsum([segment.realised_volume_ul for segment in self.segments])])

    def mean_volume_ul(self, start_ns: int, end_ns: int) -> float:
        """Volume the unit's mean law delivers between two instants, in µL; linear within a segment."""
        edges = np.interp([start_ns, end_ns], self._edges_ns, self._cumulative_mean_ul)
        return float(edges[1] - edges[0])

    def realised_volume_ul(self, start_ns: int, end_ns: int) -> float:
        """Volume that left the head between two instants, in µL; exact at segment edges, linear within."""
        edges = np.interp([start_ns, end_ns], self._edges_ns, self._cumulative_realised_ul)
        return float(edges[1] - edges[0])


class Ledger:
    """Written by the physics as it goes; `open` only once the world is closed."""

    def __init__(self) -> None:
        self._segments: list[FlowSegment] = []
        self._facts: dict[str, float] = {}
        self._evidence: Counter[str] = Counter()
        self._sealed = True

    def add_flow(self, segment: FlowSegment) -> None:
        """Append one segment; segments follow each other without a gap."""
        if self._segments and segment.start_ns != self._segments[-1].end_ns:
            raise ValueError(
                f"flow segment starts at {segment.start_ns} ns, the last one ended at {self._segments[-1].end_ns} ns"
            )
        self._segments.append(segment)

    def add_fact(self, name: str, value: float) -> None:
        """Note one drawn truth, such as a certificate error, under a name with its unit."""
        self._facts[name] = value

    def saw(self, effect: str, times: int = 1) -> None:
        """Note evidence that a switchable effect or a fault acted."""
        self._evidence[effect] += times

    def unseal(self) -> None:
        """Called by `World.close` alone."""
        self._sealed = False

    def open(self) -> Truth:
        """The truth.

        Raises:
            LedgerSealed: the world is not closed yet.
        """
        if self._sealed:
            raise LedgerSealed("the ledger of the truth is sealed until the world is closed")
        return Truth(tuple(self._segments), dict(self._facts), Counter(self._evidence))
