"""From readings to volume: what a made-up session of known truth gives back."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bench.flow_calibration.acquisition import Data
from bench.flow_calibration.analysis import claim_remarks, rate_results, unit_verdict
from bench.flow_calibration.reduction import pinned_share, reduce_session
from bench.flow_calibration.result import AS_FOUND
from bench.metrology import Verdict, immersion_factor, water_density_kg_per_m3, z_factor_ul_per_mg
from bench.recording import Air, PumpSample, Reading, Segment
from bench.rigfile import RigFile, load_rig_file
from bench.toml_file import parse
from protocol.profile import load_model

FILE, TEXT = load_rig_file("sim")
HOUR_S = 3600.0
RATE_UL_PER_H = 100.0


def session(file: RigFile, error: float, zero_mg_per_h: float, *, repeats: int = 3, head_c: float = 37.0) -> Data:
    """Zero segment, window, zero segment, and so on: flow off by `error`, and a steady loss as a balance shows it."""
    data = Data()
    rng = np.random.default_rng(1)
    volume_per_mg = z_factor_ul_per_mg(20.0) * water_density_kg_per_m3(20.0) / water_density_kg_per_m3(head_c)
    flow_mg_per_h = (
        RATE_UL_PER_H
        * (1.0 + error)
        / volume_per_mg
        / immersion_factor(file.outlet.needle_diameter_mm, file.vessel.inner_diameter_mm)
    )
    gained_mg, at_s = 0.0, 0.0

    def stretch(kind: str, length_s: float, slope_mg_per_h: float, repeat: int) -> None:
        nonlocal gained_mg, at_s
        for index in range(25):
            offset_s = length_s * (index + 0.5) / 25
            mass_mg = 40_000.0 + gained_mg + slope_mg_per_h * offset_s / HOUR_S + 1e-4 * rng.standard_normal()
            data.readings.append(Reading(at_s + offset_s, 0.01, mass_mg, True))
            data.air.append(Air(at_s + offset_s, 20.0, 50.0, 1013.25))
            data.pump.append(PumpSample(at_s + offset_s, 0, 0, 1, 0, RATE_UL_PER_H, head_c, 2800, 0))
        data.segments.append(Segment(at_s, AS_FOUND, kind, RATE_UL_PER_H, repeat, at_s, at_s + length_s))
        gained_mg += slope_mg_per_h * length_s / HOUR_S
        at_s += length_s

    for repeat in range(repeats):
        stretch("zero", HOUR_S, zero_mg_per_h * (1.0 + pinned_share(file)), repeat)
        stretch("first end", HOUR_S / 4, flow_mg_per_h + zero_mg_per_h, repeat)
        stretch("last end", HOUR_S / 4, flow_mg_per_h + zero_mg_per_h, repeat)
    stretch("zero", HOUR_S, zero_mg_per_h * (1.0 + pinned_share(file)), repeats - 1)
    return data


@pytest.mark.parametrize("error", [-0.1, 0.0, 0.03])
@pytest.mark.parametrize("zero_mg_per_h", [-5.0, 0.0, 2.0])
def test_the_error_of_the_flow_comes_out_whatever_the_zero_slope(error: float, zero_mg_per_h: float) -> None:
    for run in reduce_session(session(FILE, error, zero_mg_per_h), FILE).runs:
        assert run.error_pct == pytest.approx(100.0 * error, abs=0.01)
        assert run.zero_slope_mg_per_h == pytest.approx(zero_mg_per_h, abs=0.01)


def test_the_volume_is_stated_at_the_temperature_of_the_head() -> None:
    cold, warm = (reduce_session(session(FILE, 0.0, 0.0), FILE).runs[0] for _ in range(2))
    assert cold == warm
    data = session(FILE, 0.0, 0.0, head_c=22.0)
    data.pump = [PumpSample(s.time_s, 0, 0, 1, 0, RATE_UL_PER_H, 37.0, 2800, 0) for s in data.pump]
    assert reduce_session(data, FILE).runs[0].error_pct == pytest.approx(0.45, abs=0.01)


def test_a_pinned_meniscus_is_worth_what_a_hand_calculation_says() -> None:
    assert pinned_share(FILE) == pytest.approx(0.04 / 0.020 / (math.pi / 4.0 * (30.0**2 - 0.3**2)))
    assert pinned_share(FILE) == pytest.approx(0.0028, abs=0.0001)


def test_a_run_without_a_zero_segment_after_it_is_named() -> None:
    data = session(FILE, 0.0, 0.0)
    data.segments.pop()
    with pytest.raises(ValueError, match="lacks a zero segment beside it"):
        reduce_session(data, FILE)


def test_a_drop_outlet_counts_its_hanging_drop_once_for_all_repeats() -> None:
    drops = parse(RigFile, TEXT.replace('kind = "immersed"', 'kind = "drop"\ndrop_volume_ul = 2.0'), "rig.toml")
    (rate,) = rate_results(
        reduce_session(session(drops, 0.0, 0.0), drops), AS_FOUND, drops, load_model("implantable-20ml")
    )
    (row,) = [row for row in rate.budget if row.name == "hanging drop"]
    assert row.contained_in is None
    assert row.standard_uncertainty_pct == pytest.approx(100.0 * 2.0 / math.sqrt(6.0) / 25.0)
    assert rate.method == "monte carlo"
    assert "meniscus on the needle" not in [row.name for row in rate.budget]


@pytest.mark.parametrize("error", [0.0, 0.059, 0.5])
def test_a_claim_on_a_population_passes_and_fails_no_single_unit(error: float) -> None:
    model = load_model("external-rotary")
    assert (model.accuracy_claim, model.accuracy_limit_pct) == ("population", 6.0)
    (rate,) = rate_results(reduce_session(session(FILE, error, 0.0), FILE), AS_FOUND, FILE, model)
    assert rate.error_pct == pytest.approx(100.0 * error, abs=0.01)
    assert rate.verdict is Verdict.INCONCLUSIVE
    (remark,) = claim_remarks(model)
    assert "6 % is claimed for a population of external-rotary, and no single unit is held against it" in remark
    assert 'accuracy_claim = "unit"' in remark


@pytest.mark.parametrize(
    ("error_pct", "verdict"),
    [(14.0, Verdict.PASS), (-14.4, Verdict.INCONCLUSIVE), (-15.0, Verdict.FAIL), (20.0, Verdict.FAIL)],
)
def test_a_limit_of_each_unit_is_judged_with_its_guard_band(error_pct: float, verdict: Verdict) -> None:
    model = load_model("implantable-20ml")
    assert unit_verdict(error_pct, 0.2, model) is verdict
    assert claim_remarks(model) == []
