"""Whether nothing was lost or made up on the way from the reservoir to the tip: accounts of volume and of drug."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Balance:
    """The accounts at an instant. `moved_ul` is what all of them together have moved: errors are relative to that."""

    moved_ul: float
    reservoir_error_ul: float
    body_error_ul: float
    drug_moved_ug: float
    drug_error_ug: float

    @property
    def error(self) -> float:
        """The largest error of the three, relative to what was moved."""
        volume_ul, drug_ug = max(1.0, self.moved_ul), max(1.0, self.drug_moved_ug)
        return max(
            abs(self.reservoir_error_ul) / volume_ul,
            abs(self.body_error_ul) / volume_ul,
            abs(self.drug_error_ug) / drug_ug,
        )
