"""Scoring closed results against the truth of the simulation: are the uncertainties what they claim to be?

Each seed is a rig of its own, with its own certificate errors, weather and pump. A result is scored after it is closed,
against the world's ledger, which the procedure never sees.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from functools import partial

from bench.errors import SetupRefused
from bench.flow_calibration.acquisition import Data
from bench.flow_calibration.analysis import fit_factor, rate_results
from bench.flow_calibration.plan import load_plan
from bench.flow_calibration.procedure import run_flow_calibration
from bench.flow_calibration.reduction import ALL_CORRECTIONS, Corrections, reduce_session
from bench.flow_calibration.result import AS_FOUND, Fit, FlowCalibrationResult, RateResult
from bench.recording import Entry
from bench.rig import open_rig
from bench.rigfile import load_rig_file
from bench.simulation import SimulatedStation

COVERAGE = 0.95
BAND_TAIL = 5e-4
Z_LIMIT = 3.0
CALIBRATION = "calibration"
LEFT_OVER = "as left against U_cal and U_ver"


CORRECTIONS_OFF = {
    "zero slope": replace(ALL_CORRECTIONS, zero_slope=False),
    "immersion": replace(ALL_CORRECTIONS, immersion=False),
    "buoyancy of vessel and liquid": replace(ALL_CORRECTIONS, buoyancy=False),
    "head temperature": replace(ALL_CORRECTIONS, head_temperature=False),
    "common covariance": replace(ALL_CORRECTIONS, common_covariance=False),
}


@dataclass(frozen=True, slots=True)
class Score:
    """One statement held against the truth: the deviation in standard uncertainties as a normal score, and in or out.

    With few degrees of freedom (x − truth)/u follows Student's t; `z` is the normal score of the same probability.
    """

    seed: int
    what: str
    rate_ul_per_h: float
    z: float
    covered: bool


@dataclass(frozen=True, slots=True)
class Tally:
    """All scores of one statement at one rate."""

    what: str
    rate_ul_per_h: float
    n: int
    covered: int
    lowest: int
    highest: int
    mean_z: float

    @property
    def holds(self) -> bool:
        """Whether the coverage lies in its band and, for what is stated of one rate, the mean deviation within 3/√n.

        One factor for all rates leaves the unit's own dependence on the rate, so the factor may be off at any one rate.
        """
        unbiased = self.what == CALIBRATION or -Z_LIMIT <= self.mean_z * math.sqrt(self.n) <= Z_LIMIT
        return self.lowest <= self.covered <= self.highest and unbiased


@dataclass
class Collected:
    """A record that keeps entries in memory, for analyses after the run."""

    entries: dict[type[Entry], list[Entry]] = field(default_factory=lambda: defaultdict(list))

    def add(self, entry: Entry) -> None:
        self.entries[type(entry)].append(entry)

    def sync_if_due(self) -> None:
        """Nothing to sync."""

    def freeze(self, name: str, data: bytes) -> None:
        """Nothing to freeze."""


def band(n: int) -> tuple[int, int]:
    """Lowest and highest count of n honest 95 % intervals that hold the truth: 926 to 971 of 1,000.

    Each bound is passed by chance with a probability of at most 1 in 2,000.
    """
    from scipy.stats import binom

    return int(binom.ppf(BAND_TAIL, n, COVERAGE)), int(binom.isf(BAND_TAIL, n, COVERAGE))


def score_seed(seed: int, rig: str, plan_name: str, without: Sequence[Corrections] = ()) -> list[list[Score]]:
    """Run one calibration and score it; then score the analyses of the same data without some corrections."""
    plan = load_plan(plan_name)[0]
    if load_rig_file(rig)[0].simulation is None:
        raise SetupRefused(f"rig {rig} is not simulated in process: there is no truth to score against; take sim")
    record = Collected()
    with open_rig(rig, seed=seed) as opened:
        result = run_flow_calibration(opened, plan, record)
        station, file, model = opened.simulated, opened.file, opened.model
    assert station is not None
    scores = [score_result(result, station)]
    data = Data.from_recording(record.entries)
    found = data.up_to(AS_FOUND)
    for corrections in without:
        as_found = rate_results(reduce_session(found, file, corrections), AS_FOUND, file, model)
        fit = fit_factor(as_found, file, plan, corrections=corrections)[0]
        scores.append([*_score_rates(as_found, station, seed), *_score_factor(as_found, fit, station, seed)])
    return scores


def score_result(result: FlowCalibrationResult, station: SimulatedStation) -> list[Score]:
    """Score a closed result."""
    seed = result.seed
    scores = [*_score_rates(result.as_found, station, seed), *_score_rates(result.as_left, station, seed)]
    if result.adjustment.written_step_volume_nl is not None:
        scores += _score_factor(result.as_found, result.fit, station, seed)
    scores += [
        Score(
            seed, LEFT_OVER, check.rate_ul_per_h,
            _normal_score(check.error_pct, check.standard_uncertainty_pct, check.dof), check.agrees,
        )
        for check in result.as_left_checks
    ]  # fmt: skip
    return scores


def validate(
    executor: Executor, seeds: Iterable[int], rig: str, plan: str, without: Sequence[Corrections] = ()
) -> list[list[Tally]]:
    """Score many seeds; the first list of tallies is of the results, the others of the analyses `without`."""
    by_analysis: list[list[Score]] = [[] for _ in range(1 + len(without))]
    for scores in executor.map(partial(score_seed, rig=rig, plan_name=plan, without=without), seeds):
        for collected, new in zip(by_analysis, scores, strict=True):
            collected += new
    return [tally(scores) for scores in by_analysis]


def tally(scores: Iterable[Score]) -> list[Tally]:
    """Counts by statement and rate."""
    groups: dict[tuple[str, float], list[Score]] = defaultdict(list)
    for score in scores:
        groups[score.what, score.rate_ul_per_h].append(score)
    tallies = []
    for (what, rate), group in groups.items():
        n = len(group)
        covered = sum(score.covered for score in group)
        tallies.append(Tally(what, rate, n, covered, *band(n), math.fsum(score.z for score in group) / n))
    return tallies


def tally_table(title: str, tallies: Sequence[Tally]) -> str:
    """A Markdown table of tallies, one line each."""
    lines = [
        f"### {title}",
        "",
        "| statement | rate in mL/day | results | hold the truth | band | mean z × √n | |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {item.what} | {item.rate_ul_per_h * 0.024:g} | {item.n} | {item.covered} | {item.lowest} to {item.highest} "
        f"| {item.mean_z * math.sqrt(item.n):+.2f} | {'holds' if item.holds else '**fails**'} |"
        for item in tallies
    ]
    return "\n".join([*lines, ""])


def true_error_pct(rate: RateResult, station: SimulatedStation) -> float:
    """The measurand's truth: the unit's mean law over the windows of all repeats, in percent of what was set."""
    truth = station.truth()
    errors = [
        truth.mean_volume_ul(round(run.start_s * 1e9), round(run.end_s * 1e9)) / run.commanded_ul - 1.0
        for run in rate.runs
    ]
    return 100.0 * math.fsum(errors) / len(errors)


def _score_rates(rates: Sequence[RateResult], station: SimulatedStation, seed: int) -> list[Score]:
    scores = []
    for rate in rates:
        deviation = rate.error_pct - true_error_pct(rate, station)
        covered = -rate.expanded_uncertainty_pct <= deviation <= rate.expanded_uncertainty_pct
        z = _normal_score(deviation, rate.standard_uncertainty_pct, rate.dof)
        scores.append(Score(seed, rate.stage, rate.rate_ul_per_h, z, covered))
    return scores


def _score_factor(as_found: Sequence[RateResult], fit: Fit, station: SimulatedStation, seed: int) -> list[Score]:
    """What would truly be left at each rate after the factor, against the calibration's own uncertainty."""
    scores = []
    for rate in as_found:
        left = (1.0 + true_error_pct(rate, station) / 100.0) / fit.factor - 1.0
        covered = -fit.factor_expanded_uncertainty <= left <= fit.factor_expanded_uncertainty
        z = _normal_score(left, fit.factor_standard_uncertainty, fit.factor_dof)
        scores.append(Score(seed, CALIBRATION, rate.rate_ul_per_h, z, covered))
    return scores


def _normal_score(deviation: float, standard_uncertainty: float, dof: float | None) -> float:
    from scipy.special import ndtri, stdtr

    t = deviation / standard_uncertainty
    if dof is None:
        return t
    return math.copysign(-float(ndtri(float(stdtr(dof, -math.fabs(t))))), t)
