"""How liquid passes from the line's outlet into the vessel: at once by an immersed needle, by a wick, or in drops."""

from __future__ import annotations

from random import Random


class Immersed:
    """All that leaves the line is in the vessel."""

    def into_vessel_mg(self, left_line_mg: float) -> float:
        """Mass that has entered the vessel when `left_line_mg` has left the line since the start."""
        return left_line_mg


class Wick:
    """A wick that leads to the vessel's wall; its holder, not the pan, carries what first soaks into it."""

    def __init__(self, holdup_mg: float) -> None:
        self._holdup_mg = holdup_mg

    def into_vessel_mg(self, left_line_mg: float) -> float:
        """Mass that has entered the vessel when `left_line_mg` has left the line since the start."""
        return max(0.0, left_line_mg - self._holdup_mg)


class Drops:
    """A drop grows at the outlet, carried by the line, and falls when it is heavy enough; some miss the vessel.

    Drop masses scatter by a relative standard deviation; the hanging drop at the start has a random size. Which drop
    falls when depends on what left the line alone.
    """

    def __init__(self, stream: Random, *, drop_mg: float, scatter: float, loss_probability: float) -> None:
        self.fallen = 0
        self.lost = 0
        self._stream = stream
        self._drop_mg = drop_mg
        self._scatter = scatter
        self._loss_probability = loss_probability
        self._caught_mg = 0.0
        self._hanging_mg = self._next_mg()
        self._falls_at_mg = self._hanging_mg * (1.0 - stream.random())

    def into_vessel_mg(self, left_line_mg: float) -> float:
        """Mass that has entered the vessel when `left_line_mg` has left the line since the start."""
        while left_line_mg >= self._falls_at_mg:
            self.fallen += 1
            if self._stream.random() < self._loss_probability:
                self.lost += 1
            else:
                self._caught_mg += self._hanging_mg
            self._hanging_mg = self._next_mg()
            self._falls_at_mg += self._hanging_mg
        return self._caught_mg

    def _next_mg(self) -> float:
        return self._drop_mg * max(0.1, self._stream.gauss(1.0, self._scatter))


Outlet = Immersed | Wick | Drops
