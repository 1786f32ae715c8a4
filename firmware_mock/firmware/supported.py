"""What this pump can be told to do: the proposals that it validates, and the capabilities that they make."""

from __future__ import annotations

from typing import TypeAlias, get_args

from protocol import (
    Capability,
    Message,
    ProposeBolus,
    ProposeBridge,
    ProposeCalibration,
    ProposeContinuous,
    ProposeFlex,
    ProposeMinimumRate,
    ProposePatientBolus,
    ProposePatientBolusLimits,
    ProposePrime,
    ProposeRefill,
    ProposeTherapyClock,
    ProposeTrial,
)

CAPABILITIES = (
    Capability.CONTINUOUS
    | Capability.BOLUS
    | Capability.MINIMUM_RATE
    | Capability.FLEX
    | Capability.PATIENT_BOLUS
    | Capability.PRIMING
    | Capability.BRIDGE
    | Capability.TRIAL
    | Capability.THERAPY_CLOCK
    | Capability.REFILL
)
Supported: TypeAlias = (
    ProposeContinuous
    | ProposeMinimumRate
    | ProposeFlex
    | ProposeBolus
    | ProposePatientBolus
    | ProposePrime
    | ProposeBridge
    | ProposeTrial
    | ProposePatientBolusLimits
    | ProposeCalibration
    | ProposeRefill
    | ProposeTherapyClock
)
SUPPORTED: tuple[type[Message], ...] = get_args(Supported)
