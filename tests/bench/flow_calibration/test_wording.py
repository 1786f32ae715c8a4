"""Numbers and words of the report: digits, minus signs and units as a laboratory prints them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.flow_calibration import wording
from bench.flow_calibration.result import RateResult, RunResult
from bench.metrology import Verdict

NB = "\N{NO-BREAK SPACE}"


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("off by -2.5 mg (-3)", "off by −2.5 mg (−3)"),
        ("due 2027-06-30, SIM-P-0001, B-12", "due 2027-06-30, SIM-P-0001, B-12"),
        ("p = 3e-05 and 1.5e+03", "p = 3 × 10⁻⁵ and 1.5 × 10³"),
        ("serial 3e05 and 12ef", "serial 3e05 and 12ef"),
        ("mL/day as-found", "mL/day as-found"),
        ("=-.5", "=−.5"),
        ("  ", "–"),
    ],
)
def test_free_text_gets_true_minus_signs_and_keeps_its_hyphens(text: str, printed: str) -> None:
    assert wording.prose(text) == printed


@given(st.text())
def test_free_text_loses_nothing_but_signs_and_outer_blanks(text: str) -> None:
    printed = wording.prose(text)
    assert printed
    if not any(character in text for character in "-eE"):
        assert printed == (text.strip() or "–")


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        (wording.with_uncertainty(-1.2345, 0.45, "%"), f"(−1.23{NB}±{NB}0.45){NB}%"),
        (wording.to_uncertainty(12.3456, 0.12, "mg"), f"12.35{NB}mg"),
        (wording.to_uncertainty(1234.5, 120.0), "1230"),
        (wording.identifier("-12"), "-12"),
        (wording.identifier(" "), "–"),
        (wording.uncertainty(0.0123), "0.012"),
        (wording.uncertainty(0.00000932), "0.0000093"),
        (wording.uncertainty(0.0), "0"),
        (wording.decimals(-0.004, 2), "0.00"),
        (wording.exact(14.5, "%"), f"14.5{NB}%"),
        (wording.exact(-0.00001), "−0.00001"),
        (wording.exact(60.0), "60"),
        (wording.dof(None), "∞"),
        (wording.dof(6.9), "6"),
        (wording.share(0.02), "<0.1"),
        (wording.share(0.0), "0.0"),
        (wording.share(99.94), "99.9"),
        (wording.probability(0.004), "<0.01"),
        (wording.probability(0.5), "0.50"),
        (wording.probability(None), "–"),
        (wording.ml_per_day(2.0), "0.048"),
        (wording.ml_per_day(1000.0), "24"),
        (wording.ul_per_h(2.0), "2.000"),
        (wording.ul_per_h(250.0 / 24.0), "10.42"),
        (wording.ul_per_h(12345.0), "12345"),
        (wording.duration(90.0), f"1.5{NB}min"),
        (wording.duration(5 * 3600.0), f"5.0{NB}h"),
        (wording.duration(5 * 86400.0), f"5.0{NB}d"),
        (wording.clock(86400.0 + 3 * 3600.0 + 125.0), f"1{NB}d 03:02"),
    ],
)  # fmt: skip
def test_a_number_is_printed_as_a_laboratory_prints_it(printed: str, expected: str) -> None:
    assert printed == expected


def test_one_run_is_known_no_better_than_scatter_and_shared_inputs_together() -> None:
    runs = tuple(RunResult("as found", 2.0, at, 0, 1, 0, 1, 0, 1, 20, 0, 37, 1, 1, 0) for at in range(4))
    rate = RateResult("as found", 2.0, 0.0, 0.6, 0.5, 3.0, 2.0, 1.0, "t", 14.5, 0.8, Verdict.PASS, (), runs)
    assert wording.single_run_uncertainty_pct(rate) == pytest.approx(2.0 * (0.6**2 + 0.4**2) ** 0.5)
    assert wording.single_run_uncertainty_pct(replace(rate, standard_uncertainty_pct=0.3)) == pytest.approx(1.2)
