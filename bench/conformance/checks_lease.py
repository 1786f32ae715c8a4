"""The control lease: one session doses, the others watch and may stop."""

from __future__ import annotations

from bench.conformance.check import Violation, check
from bench.conformance.device import HOLDER, Device
from protocol import (
    Ack,
    AcknowledgeAlarms,
    CalibrationRequest,
    Capability,
    Commit,
    Lease,
    LeaseRelease,
    LeaseRequest,
    LeaseStatusRequest,
    NakReason,
    OnLeaseLoss,
    ProposeCalibration,
    ProposeContinuous,
    StatusRequest,
    Stop,
    Stopped,
)

LEASE = Capability.CONTROL_LEASE
LEASE_USES = (LeaseRequest, LeaseRelease, LeaseStatusRequest)
DOSING_USES = (*LEASE_USES, ProposeCalibration, Commit, CalibrationRequest, StatusRequest)
SHORTEST_MS = 1_000
LONGEST_MS = 24 * 3_600_000
OTHER_HOLDER = "conformance 2"


@check(
    "lease-granted-and-released",
    "LeaseRequest with lease_id 0 is granted when nobody holds it; with the lease_id in force it renews, from now on.",
    uses=LEASE_USES,
    needs=LEASE,
)
def lease_granted_and_released(device: Device) -> None:
    line = device.line
    lease = device.lease(60_000)
    if not lease.lease_id or lease.holder != HOLDER or not 0 < lease.remaining_ms <= 60_000:
        raise Violation(f"asked for 60 s as {HOLDER!r}, it grants {lease}")
    renewed = line.ask(LeaseRequest(lease.lease_id, 120_000, HOLDER), Lease)
    if renewed.lease_id != lease.lease_id or not 60_000 < renewed.remaining_ms <= 120_000:
        raise Violation(f"renewed for 120 s, it says {renewed}")
    if line.ask(LeaseStatusRequest(), Lease).lease_id != lease.lease_id:
        raise Violation("the session that holds the lease is not told its lease_id")
    line.ask(LeaseRelease(lease.lease_id), Ack)
    over = line.ask(LeaseStatusRequest(), Lease)
    if over.remaining_ms or over.lease_id:
        raise Violation(f"released, it says {over}")
    line.refusal(LeaseRequest(lease.lease_id, 60_000, HOLDER), NakReason.NO_LEASE)
    line.refusal(LeaseRelease(lease.lease_id), NakReason.NO_LEASE)


@check("lease-durations", "A duration outside 1 s to 24 h is OUT_OF_RANGE.", uses=LEASE_USES, needs=LEASE)
def lease_durations(device: Device) -> None:
    for duration_ms in (0, SHORTEST_MS - 1, LONGEST_MS + 1):
        device.line.refusal(LeaseRequest(0, duration_ms, HOLDER), NakReason.OUT_OF_RANGE)
    for duration_ms in (LONGEST_MS, SHORTEST_MS):
        lease = device.lease(duration_ms)
        device.line.ask(LeaseRelease(lease.lease_id), Ack)


@check(
    "lease-held-for-others",
    "While it is held, PROPOSE, COMMIT, AcknowledgeAlarms and SelfTestRequest are done only for the session that asked "
    "for it or renewed it, so after a new HELLO a host renews first; for others they are NAK LEASE_HELD. STOP and all "
    "reads are for everybody.",
    uses=(*DOSING_USES, AcknowledgeAlarms),
    needs=LEASE,
)
def lease_held_for_others(device: Device) -> None:
    line, held = device.line, NakReason.LEASE_HELD
    lease = device.lease()
    proposal = device.propose(device.harmless(device.next_command_id()))
    device.new_session()
    line.refusal(LeaseRequest(0, 60_000, OTHER_HOLDER), held)
    line.refusal(LeaseRequest(lease.lease_id ^ 1, 60_000, OTHER_HOLDER), held)
    line.refusal(LeaseRelease(lease.lease_id ^ 1), held)
    line.refusal(Commit(proposal.command_id, proposal.token, proposal.digest), held)
    line.refusal(device.harmless(device.next_command_id()), held)
    line.refusal(AcknowledgeAlarms(0, 0), held)
    seen = line.ask(LeaseStatusRequest(), Lease)
    if seen.lease_id or not seen.remaining_ms or seen.holder != HOLDER:
        raise Violation(f"another session is told {seen}")
    line.ask(Stop(), Stopped)
    line.ask(LeaseRequest(lease.lease_id, 60_000, HOLDER), Lease)
    device.propose(device.harmless(device.next_command_id()))


@check(
    "lease-runs-out",
    "When the lease runs out, waiting tokens die",
    uses=DOSING_USES,
    needs=LEASE,
)
def lease_runs_out(device: Device) -> None:
    line = device.line
    lease = device.lease(SHORTEST_MS)
    proposal = device.propose(device.harmless(device.next_command_id()))
    line.hear(SHORTEST_MS / 1000.0 + 0.5)
    over = line.ask(LeaseStatusRequest(), Lease)
    if over.remaining_ms or over.lease_id:
        raise Violation(f"1.5 s after a lease of 1 s was granted it says {over}")
    line.refusal(LeaseRequest(lease.lease_id, 60_000, HOLDER), NakReason.NO_LEASE)
    line.refusal(Commit(proposal.command_id, proposal.token, proposal.digest), NakReason.BAD_TOKEN)


@check(
    "no-lease-to-lose",
    "While nobody holds it, dosing is allowed without, but a therapy with on_lease_loss STOP is NAK NO_LEASE: nothing "
    "could ever end it.",
    uses=(*LEASE_USES, ProposeContinuous, StatusRequest),
    needs=LEASE | Capability.CONTINUOUS,
)
def no_lease_to_lose(device: Device) -> None:
    rate_ul_per_h = device.allowed_rate_ul_per_h()
    request = ProposeContinuous(device.next_command_id(), rate_ul_per_h, OnLeaseLoss.STOP)
    device.line.refusal(request, NakReason.NO_LEASE)
    device.lease()
    device.propose(request)


CONTROL_LEASE = (
    lease_granted_and_released,
    lease_durations,
    lease_held_for_others,
    lease_runs_out,
    no_lease_to_lose,
)
