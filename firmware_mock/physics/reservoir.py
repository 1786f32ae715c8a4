"""The liquid that is really in the pump's reservoir, whatever the firmware computes or was told."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Filling:
    """What became of an injection: injected = into the reservoir + pocketed, beside the port into the tissue."""

    injected_ul: float
    into_reservoir_ul: float
    pocketed_ul: float


class Reservoir:
    """True contents in µL at head temperature; once empty it gives nothing more until it is refilled.

    `contents_ul` = what it held at first + `filled_ul` - `withdrawn_ul` - `drawn_ul`. What comes in mixes at once with
    what is there.
    """

    def __init__(self, contents_ul: float, *, concentration_ug_per_ml: float = 0.0) -> None:
        self.contents_ul = contents_ul
        self.concentration_ug_per_ml = concentration_ug_per_ml
        self.empty = contents_ul <= 0.0
        self.filled_ul = 0.0
        self.pocketed_ul = 0.0
        self.withdrawn_ul = 0.0
        self.drawn_ul = 0.0

    def draw(self, volume_ul: float) -> None:
        """Take what a segment of flow used; negative when the leak ran backwards."""
        self.contents_ul -= volume_ul
        self.drawn_ul += volume_ul

    def run_dry(self) -> None:
        """The crossing to empty was reached: nothing is left."""
        self.drawn_ul += self.contents_ul
        self.contents_ul = 0.0
        self.empty = True

    def withdraw(self, leaving_ul: float) -> float:
        """Empty it through the port as far as the needle gets; returns what came out."""
        out_ul = max(0.0, self.contents_ul - leaving_ul)
        self.contents_ul -= out_ul
        self.withdrawn_ul += out_ul
        self.empty = self.contents_ul <= 0.0
        return out_ul

    def inject(self, volume_ul: float, concentration_ug_per_ml: float, *, pocketed_share: float = 0.0) -> Filling:
        """Inject through the skin: a share of it, from 0 to 1, goes beside the port.

        More than the reservoir is made for goes in all the same; its pressure curve says what that does.

        Raises:
            ValueError: the volume or the concentration is negative, or the share is none.
        """
        if not (volume_ul >= 0.0 and concentration_ug_per_ml >= 0.0):
            raise ValueError(f"{volume_ul} uL of {concentration_ug_per_ml} ug/mL cannot be injected; at least 0 each")
        if not 0.0 <= pocketed_share <= 1.0:
            raise ValueError(f"pocketed_share = {pocketed_share} is no share; it must be 0 to 1")
        pocketed_ul = volume_ul * pocketed_share
        into_ul = volume_ul - pocketed_ul
        if into_ul > 0.0:
            held_ul = max(0.0, self.contents_ul)
            drug = held_ul * self.concentration_ug_per_ml + into_ul * concentration_ug_per_ml
            self.concentration_ug_per_ml = drug / (held_ul + into_ul)
        self.contents_ul += into_ul
        self.filled_ul += into_ul
        self.pocketed_ul += pocketed_ul
        self.empty = self.contents_ul <= 0.0
        return Filling(volume_ul, into_ul, pocketed_ul)
