"""A slice of the validation campaign: the intervals hold the truth as often as they claim, and the check can fail."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from bench.rig import open_rig
from bench.simulation import SimulatedStation
from bench.validation import CORRECTIONS_OFF, band, validate
from firmware_mock.ledger import LedgerSealed


def test_the_band_is_the_published_one_for_a_thousand_seeds() -> None:
    assert band(1000) == (926, 971)


def test_a_slice_of_the_default_rigs_seeds_holds_the_truth() -> None:
    with ThreadPoolExecutor(1) as executor:
        (tallies,) = validate(executor, range(1, 13), "sim", "implant")
    assert {item.rate_ul_per_h for item in tallies} == {2.0, 250 / 24, 1000 / 24, 5000 / 24, 1000.0}
    assert [item for item in tallies if not item.holds] == []


def test_without_any_one_correction_the_check_fails_on_the_tuned_rig() -> None:
    with ThreadPoolExecutor(1) as executor:
        results, *analyses = validate(executor, range(1, 17), "tuned", "tuned", tuple(CORRECTIONS_OFF.values()))
    assert [item for item in results if not item.holds] == []
    by_name = zip(CORRECTIONS_OFF, analyses, strict=True)
    assert [name for name, tallies in by_name if all(item.holds for item in tallies)] == []


def test_the_truth_is_sealed_while_the_rig_is_open() -> None:
    with open_rig("sim", seed=1) as rig:
        assert isinstance(rig.simulated, SimulatedStation)
        with pytest.raises(LedgerSealed, match="sealed until the world is closed"):
            rig.simulated.truth()
