"""The contact line of the liquid on the needle: it sticks while the level moves, then slips, with a bounded force."""

from __future__ import annotations

from random import Random

_SHORTEST_SLIP = 0.7
_LONGEST_SLIP = 1.3
_REACH = 0.75


class StickSlip:
    """A contact line with hysteresis, told how far the level moved.

    While the line sticks, the force on the pan changes by `jump_mg` per `pitch_mm` of level. Strained beyond its reach
    it slips back, by `pitch_mm` on average, at random places; a rising level strains it one way, a falling one the
    other. The force therefore stays within ±0.75 `jump_mg` and has no drift with the level. Its phase at the start is
    random, as after filling. Slips depend on the path of the level alone, not on how often it is looked at.
    """

    def __init__(self, stream: Random, *, jump_mg: float, pitch_mm: float) -> None:
        self.slips = 0
        self._stream = stream
        self._stiffness_mg_per_mm = jump_mg / pitch_mm
        self._pitch_mm = pitch_mm
        self._reach_mm = _REACH * pitch_mm
        self._strain_mm = self._reach_mm - stream.random() * self._slip_mm()

    @property
    def force_mg(self) -> float:
        """What the strained line adds to the force on the pan, as mass."""
        return self._stiffness_mg_per_mm * self._strain_mm

    def move(self, rise_mm: float) -> None:
        """Let the level rise by `rise_mm`, or fall where that is negative, without turning in between."""
        strain_mm = self._strain_mm + rise_mm
        while strain_mm > self._reach_mm:
            strain_mm -= self._slip_mm()
            self.slips += 1
        while strain_mm < -self._reach_mm:
            strain_mm += self._slip_mm()
            self.slips += 1
        self._strain_mm = strain_mm

    def _slip_mm(self) -> float:
        return self._pitch_mm * self._stream.uniform(_SHORTEST_SLIP, _LONGEST_SLIP)
