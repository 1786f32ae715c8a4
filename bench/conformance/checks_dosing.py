"""The two steps of dosing. What these checks propose changes nothing; only those that move fluid say so."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from math import nan

from bench.conformance.check import NotApplicable, Violation, check
from bench.conformance.device import Device
from bench.conformance.exchange import decoded, described
from protocol import (
    Calibration,
    CalibrationRequest,
    Capability,
    CommandResult,
    CommandResultRequest,
    CommandState,
    Commit,
    Message,
    Mode,
    Nak,
    NakReason,
    OnLeaseLoss,
    Proposal,
    ProposeBolus,
    ProposeCalibration,
    ProposeContinuous,
    StatusRequest,
    Stop,
    Stopped,
    decode_payload,
    encode_payload,
)

CALIBRATION_USES = (ProposeCalibration, Commit, CalibrationRequest, StatusRequest)
LONGEST_TOKEN_S = 120.0
BOLUS_STEPS = 20
BOLUS_PATIENCE_S = 300.0
RUN_S = 5.0
HIGHEST_U64 = 2**64 - 1


@check(
    "digest-of-canonical",
    "first 8 bytes of SHA-256(type byte of the PROPOSE, canonical)",
    uses=CALIBRATION_USES,
)
def digest_of_canonical(device: Device) -> None:
    request = device.harmless(device.next_command_id())
    proposal = device.propose(request)
    digest = hashlib.sha256(bytes([request.TYPE]) + proposal.canonical).digest()[:8]
    if proposal.digest != digest:
        raise Violation(f"the digest is {proposal.digest.hex()}, of what it proposes {digest.hex()}")
    if proposal.command_id != request.command_id or proposal.canonical != encode_payload(request):
        raise Violation(f"to {request} it proposes {decode_payload(request.TYPE, proposal.canonical)}")


@check(
    "stale-id-refused",
    "The device stores it durably before the first motor step and accepts only higher ones: a PROPOSE with another is "
    "STALE_COMMAND_ID",
    uses=CALIBRATION_USES,
)
def stale_id_refused(device: Device) -> None:
    device.line.refusal(device.harmless(device.status().last_command_id), NakReason.STALE_COMMAND_ID)


@check(
    "out-of-range-refused",
    "a value is outside the model's limits, not finite, or an unknown named value",
    uses=CALIBRATION_USES,
)
def out_of_range_refused(device: Device) -> None:
    command_id = device.next_command_id()
    device.starts()
    for step_volume_nl in (nan, -1.0, 0.0, float("inf")):
        device.line.refusal(ProposeCalibration(command_id, step_volume_nl), NakReason.OUT_OF_RANGE)


@check(
    "wrong-token-refused",
    "the token is unknown, used up, or belongs to another id or digest",
    uses=CALIBRATION_USES,
)
def wrong_token_refused(device: Device) -> None:
    proposal = device.propose(device.harmless(device.next_command_id()))
    device.line.refusal(Commit(proposal.command_id, proposal.token ^ 1, proposal.digest), NakReason.BAD_TOKEN)
    proposal = device.propose(device.harmless(device.next_command_id()))
    device.line.refusal(Commit(proposal.command_id + 1, proposal.token, proposal.digest), NakReason.BAD_TOKEN)


@check(
    "wrong-digest-refused",
    "digest binds token and values: a COMMIT can only mean the canonical values its sender saw. A wrong one is "
    "BAD_TOKEN.",
    uses=CALIBRATION_USES,
)
def wrong_digest_refused(device: Device) -> None:
    proposal = device.propose(device.harmless(device.next_command_id()))
    digest = bytes([proposal.digest[0] ^ 1]) + proposal.digest[1:]
    device.line.refusal(Commit(proposal.command_id, proposal.token, digest), NakReason.BAD_TOKEN)


@check(
    "new-proposal-kills-token",
    "A new proposal, STOP, the loss of the lease and a reset kill it.",
    uses=CALIBRATION_USES,
)
def new_proposal_kills_token(device: Device) -> None:
    request = device.harmless(device.next_command_id())
    proposal = device.propose(request)
    device.propose(ProposeCalibration(request.command_id + 1, request.step_volume_nl))
    device.line.refusal(_commit(proposal), NakReason.BAD_TOKEN)


@check(
    "asking-kills-token",
    "Asking for the result of a proposal that waits kills its token, so that UNKNOWN is the last word: a COMMIT still "
    "on its way comes to nothing (BAD_TOKEN).",
    uses=CALIBRATION_USES,
)
def asking_kills_token(device: Device) -> None:
    line = device.line
    request = device.harmless(device.next_command_id())
    proposal = device.propose(request)
    state = line.ask(CommandResultRequest(request.command_id), CommandResult).state
    if state != CommandState.UNKNOWN:
        raise Violation(f"a proposal that waits was given the state {state!r}, not UNKNOWN")
    line.refusal(_commit(proposal), NakReason.BAD_TOKEN)


@check(
    "stop-kills-token",
    "STOP needs no token and no lease, stops whatever runs, and kills all tokens: a late COMMIT cannot restart a "
    "stopped pump.",
    uses=CALIBRATION_USES,
)
def stop_kills_token(device: Device) -> None:
    line = device.line
    generation = line.ask(CalibrationRequest(), Calibration).generation
    proposal = device.propose(device.harmless(device.next_command_id()))
    line.ask(Stop(), Stopped)
    reply = decoded(line.reply(line.sent(_commit(proposal)), "Commit"))
    refused = isinstance(reply, Nak) and reply.reason == NakReason.BAD_TOKEN
    over = isinstance(reply, CommandResult) and reply.state == CommandState.STOPPED and reply.delivered_high_ul == 0.0
    if not (refused or over):
        raise Violation(f"a COMMIT behind STOP was answered with {reply if over else described(reply)}")
    if line.ask(CalibrationRequest(), Calibration).generation != generation:
        raise Violation("a COMMIT behind STOP was carried out")


@check("token-expires", "The token is valid once and for expires_in_ms.", uses=CALIBRATION_USES)
def token_expires(device: Device) -> None:
    proposal = device.propose(device.harmless(device.next_command_id()))
    if not 0 < proposal.expires_in_ms <= LONGEST_TOKEN_S * 1000.0:
        raise NotApplicable(f"its tokens live for {proposal.expires_in_ms / 1000.0:g} s, too long to wait for")
    device.line.hear(proposal.expires_in_ms / 1000.0 + 0.5)
    device.line.refusal(_commit(proposal), NakReason.EXPIRED)


@check(
    "stop-always-answered",
    "Needs no proposal and no lease: a stop must always get through.",
    uses=(StatusRequest,),
    orders=True,
)
def stop_always_answered(device: Device) -> None:
    steps = [device.line.ask(Stop(), Stopped).steps for _ in range(3)]
    status = device.status()
    if status.mode != Mode.STOPPED or {status.steps, *steps} != {status.steps}:
        raise Violation(f"stopped at {steps} steps, it is in mode {status.mode!r} at {status.steps} steps")


@check(
    "committed-twice-dosed-once",
    "So a COMMIT that comes twice doses once, also across resets, when tokens and reply cache are gone.",
    uses=(ProposeBolus, Commit, CommandResultRequest, StatusRequest),
    needs=Capability.BOLUS,
    moves_fluid=True,
)
def committed_twice_dosed_once(device: Device) -> None:
    line = device.line
    before = device.status()
    bolus = _small_bolus(device)
    line.ask(_commit(bolus.proposal), CommandResult)
    line.ask(_commit(bolus.proposal), CommandResult)
    device.new_session()
    line.ask(_commit(bolus.proposal), CommandResult)
    command_id = bolus.proposal.command_id
    results: list[CommandResult] = []

    def done() -> bool:
        results.append(line.ask(CommandResultRequest(command_id), CommandResult))
        return results[-1].state == CommandState.DONE

    device.until(done, BOLUS_PATIENCE_S, f"the end of a bolus of {bolus.canonical.volume_ul:g} µL")
    line.ask(_commit(bolus.proposal), CommandResult)
    line.hear(1.0)
    made = device.status().steps - before.steps
    wanted = bolus.canonical.volume_ul / (before.step_volume_nl * 1e-3)
    if abs(made - wanted) > 0.5:
        raise Violation(f"one bolus of {wanted:g} steps was committed four times, and the motor made {made} steps")
    low, high = results[-1].delivered_low_ul, results[-1].delivered_high_ul
    if not low - 1e-9 <= made * before.step_volume_nl * 1e-3 <= high + 1e-9:
        raise Violation(f"the motor made {made} steps, and the result says {low} to {high} µL")


@check(
    "stop-stops",
    "STOP needs no token and no lease, stops whatever runs, and kills all tokens: a late COMMIT cannot restart a "
    "stopped pump.",
    uses=(ProposeBolus, ProposeContinuous, Commit, StatusRequest),
    needs=Capability.BOLUS | Capability.CONTINUOUS,
    moves_fluid=True,
)
def stop_stops(device: Device) -> None:
    line = device.line
    rate_ul_per_h = _small_bolus(device).canonical.rate_ul_per_h
    request = ProposeContinuous(device.next_command_id(), rate_ul_per_h, OnLeaseLoss.CONTINUE)
    proposal = device.propose(request)
    line.ask(_commit(proposal), CommandResult)
    line.hear(RUN_S)
    if device.status().mode != Mode.CONTINUOUS:
        raise Violation("a therapy was committed and does not run")
    stopped = line.ask(Stop(), Stopped)
    line.ask(_commit(proposal), CommandResult)
    line.hear(RUN_S)
    status = device.status()
    if status.mode != Mode.STOPPED or status.steps != stopped.steps:
        raise Violation(f"stopped at {stopped.steps} steps, it is at {status.steps} in mode {status.mode!r}")


@dataclass(frozen=True, slots=True)
class _Bolus:
    proposal: Proposal
    canonical: ProposeBolus


def _small_bolus(device: Device) -> _Bolus:
    """A proposal for a bolus of a few steps."""
    status = device.status()
    device.starts()
    volume_ul = BOLUS_STEPS * status.step_volume_nl * 1e-3
    proposal = device.line.ask(ProposeBolus(status.last_command_id + 1, volume_ul, 0.0), Proposal)
    canonical: Message = decode_payload(ProposeBolus.TYPE, proposal.canonical)
    assert isinstance(canonical, ProposeBolus)
    return _Bolus(proposal, canonical)


def _commit(proposal: Proposal) -> Commit:
    return Commit(proposal.command_id, proposal.token, proposal.digest)


DOSING = (
    digest_of_canonical,
    stale_id_refused,
    out_of_range_refused,
    wrong_token_refused,
    wrong_digest_refused,
    new_proposal_kills_token,
    asking_kills_token,
    stop_kills_token,
    token_expires,
    stop_always_answered,
    committed_twice_dosed_once,
    stop_stops,
)
