"""How the alarms in the list sound: by severity, and silent for as long as somebody asked for."""

from __future__ import annotations

from bench.conformance.check import NotApplicable, Violation, check
from bench.conformance.device import Device
from protocol import (
    Ack,
    AcknowledgeAlarms,
    Alarm,
    AlarmEntry,
    Alarms,
    AlarmsRequest,
    Capability,
    CommandResult,
    Commit,
    Lease,
    LeaseRequest,
    LeaseStatusRequest,
    OnLeaseLoss,
    ProposeContinuous,
    Severity,
    StatusRequest,
    Stop,
    Stopped,
    Tone,
)

NON_CRITICAL = Alarm.LOW_RESERVOIR | Alarm.LOW_BATTERY | Alarm.ELECTIVE_REPLACEMENT
TONE_OF: dict[int, Tone] = {Severity.NON_CRITICAL: Tone.SINGLE, Severity.CRITICAL: Tone.DUAL}
SHORTEST_LEASE_MS = 1_000
SHORT_SILENCE_S = 2
LONG_SILENCE_S = 60


@check(
    "alarms-sound",
    "it is over or silenced, or the device has no tones",
    uses=(AlarmsRequest,),
)
def alarms_sound(device: Device) -> None:
    if not _listed(device):
        raise NotApplicable("it lists no alarm")


@check(
    "alarm-silenced",
    "AcknowledgeAlarms says that somebody has seen these, and silences the tone of those still active, for silence_s",
    uses=(AlarmsRequest, AcknowledgeAlarms, LeaseRequest, LeaseStatusRequest, ProposeContinuous, Commit, StatusRequest),
    needs=Capability.CONTROL_LEASE | Capability.CONTINUOUS,
    moves_fluid=True,
)
def alarm_silenced(device: Device) -> None:
    rate_ul_per_h = device.allowed_rate_ul_per_h()
    device.lease(SHORTEST_LEASE_MS)
    _start(device, rate_ul_per_h, OnLeaseLoss.STOP)
    device.until(device.is_stopped, 10.0, "the end of a therapy whose lease had run out")
    if device.line.ask(LeaseStatusRequest(), Lease).remaining_ms:
        raise Violation("a therapy ended with its lease, and the lease is held")
    raised = _lease_lost(device)
    if raised.acknowledged or raised.silent_for_s:
        raise Violation(f"the lease ran out under a therapy just now, nobody has seen the alarm, and it says {raised}")
    if not raised.active:
        raise NotApplicable("its LEASE_LOST is over as soon as it has stopped, and has no tone to silence")
    _silenced(device, SHORT_SILENCE_S)
    device.line.hear(SHORT_SILENCE_S + 1.0)
    again = _lease_lost(device)
    if again.silent_for_s or again.tone != raised.tone:
        raise Violation(f"its silence is over, it sounded as {raised.tone!r} before that, and it says {again}")
    _silenced(device, LONG_SILENCE_S)
    _start(device, rate_ul_per_h, OnLeaseLoss.CONTINUE)
    device.line.ask(Stop(), Stopped)


def _start(device: Device, rate_ul_per_h: float, on_lease_loss: OnLeaseLoss) -> None:
    proposal = device.propose(ProposeContinuous(device.next_command_id(), rate_ul_per_h, on_lease_loss))
    device.line.ask(Commit(proposal.command_id, proposal.token, proposal.digest), CommandResult)


def _silenced(device: Device, silence_s: int) -> None:
    device.line.ask(AcknowledgeAlarms(Alarm.LEASE_LOST, silence_s), Ack)
    entry = _lease_lost(device)
    if not entry.acknowledged or not 0 < entry.silent_for_s <= silence_s:
        raise Violation(f"it was acknowledged and silenced for {silence_s} s, and says {entry}")


def _lease_lost(device: Device) -> AlarmEntry:
    found = [entry for entry in _listed(device) if entry.alarm == Alarm.LEASE_LOST]
    if not found:
        raise Violation("the lease ran out under a therapy that stopped then, and LEASE_LOST is not listed")
    return found[0]


def _listed(device: Device) -> tuple[AlarmEntry, ...]:
    """The alarms listed, each held against what it says of itself, and none silent while others sound.

    Raises:
        Violation: one sounds that must not, or otherwise than its severity says, or keeps quiet without a reason.
    """
    entries = device.line.ask(AlarmsRequest(), Alarms).entries
    has_tones = any(entry.tone != Tone.SILENT for entry in entries)
    for entry in entries:
        may_sound = entry.active and not entry.silent_for_s
        wanted = TONE_OF.get(entry.severity) if may_sound and has_tones else Tone.SILENT
        if entry.tone != wanted or not (entry.alarm & NON_CRITICAL or entry.severity == Severity.CRITICAL):
            raise Violation(f"this alarm sounds otherwise than what it says of itself: {entry}")
    return entries


ALARMS = (alarms_sound, alarm_silenced)
