"""The liquid that is really in the pump's reservoir, whatever the firmware computes."""

from __future__ import annotations


class Reservoir:
    """True contents in µL at head temperature; once empty it gives nothing more."""

    def __init__(self, contents_ul: float) -> None:
        self.contents_ul = contents_ul
        self.empty = contents_ul <= 0.0

    def draw(self, volume_ul: float) -> None:
        """Take what a segment of flow used; negative when the leak ran backwards."""
        self.contents_ul -= volume_ul

    def run_dry(self) -> None:
        """The crossing to empty was reached: nothing is left."""
        self.contents_ul = 0.0
        self.empty = True
