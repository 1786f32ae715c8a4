"""What a flow calibration states: plain data, written to `result.json` and read back for the report."""

from __future__ import annotations

from dataclasses import dataclass

from bench.gates import Answer, CheckWeighing, Identity
from bench.metrology import Verdict
from driver.instruments import BalanceSettings

AS_FOUND = "as found"
AS_LEFT = "as left"


@dataclass(frozen=True, slots=True)
class RunResult:
    """One run at one rate; start and end are the centres of its two ends."""

    stage: str
    rate_ul_per_h: float
    repeat: int
    start_s: float
    end_s: float
    time_half_width_s: float
    mass_change_mg: float
    zero_slope_mg_per_h: float
    zero_slope_standard_uncertainty_mg_per_h: float
    air_temperature_c: float
    air_temperature_change_k: float
    head_temperature_c: float
    commanded_ul: float
    delivered_ul: float
    error_pct: float


@dataclass(frozen=True, slots=True)
class BudgetRow:
    """One line of an uncertainty budget, in percent of the delivered volume."""

    name: str
    standard_uncertainty_pct: float
    distribution: str
    dof: float | None
    share_pct: float | None
    contained_in: str | None


@dataclass(frozen=True, slots=True)
class RateResult:
    """The unit's mean error at one rate, its budget and its verdict."""

    stage: str
    rate_ul_per_h: float
    error_pct: float
    repeatability_pct: float
    standard_uncertainty_pct: float
    dof: float | None
    coverage_factor: float
    expanded_uncertainty_pct: float
    method: str
    limit_pct: float
    guard_band_pct: float
    verdict: Verdict
    budget: tuple[BudgetRow, ...]
    runs: tuple[RunResult, ...]


@dataclass(frozen=True, slots=True)
class Fit:
    """Measured rate = slope × set rate + offset, and the one-parameter fit that a factor is proposed from."""

    slope: float
    slope_standard_uncertainty: float
    offset_ul_per_h: float
    offset_standard_uncertainty_ul_per_h: float
    offset_p_value: float | None
    offset_is_significant: bool
    lack_of_fit_p_value: float | None
    factor: float
    factor_standard_uncertainty: float
    factor_dof: float | None
    factor_expanded_uncertainty: float


@dataclass(frozen=True, slots=True)
class Adjustment:
    """The calibration factor: what was proposed, who approved it, what the pump holds now."""

    previous_step_volume_nl: float
    proposed_step_volume_nl: float | None
    approved_by: str | None
    written_step_volume_nl: float | None
    reason: str


@dataclass(frozen=True, slots=True)
class AsLeftCheck:
    """The error left at one rate against the uncertainties of calibration and verification together."""

    rate_ul_per_h: float
    error_pct: float
    calibration_expanded_uncertainty_pct: float
    standard_uncertainty_pct: float
    dof: float | None
    expanded_uncertainty_pct: float
    p_value: float
    agrees: bool


@dataclass(frozen=True, slots=True)
class BalanceNoise:
    """The balance's own noise over all zero segments."""

    white_mg: float
    walk_mg_per_sqrt_h: float


@dataclass(frozen=True, slots=True)
class FlowCalibrationResult:
    """The whole result. `verdict` is that of the pump as it is left; as found stands beside it."""

    procedure: str
    measurand: str
    simulated: bool
    rig: str
    pump_model: str
    pump_serial_number: str
    plan: str
    seed: int
    date: str
    verdict: Verdict
    as_found_verdict: Verdict
    as_left_verdict: Verdict | None
    remarks: tuple[str, ...]
    identities: tuple[Identity, ...]
    balance_settings: BalanceSettings
    checklist: tuple[Answer, ...]
    check_weighings: tuple[CheckWeighing, ...]
    as_found: tuple[RateResult, ...]
    fit: Fit
    adjustment: Adjustment
    as_left: tuple[RateResult, ...]
    as_left_checks: tuple[AsLeftCheck, ...]
    balance_noise: BalanceNoise
    lost_telemetry: int
    pump_left: str
    trace_hash: str | None
