"""A pump that says something wrong in one field fails the check of just that sentence."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest
from msgspec.structs import replace

from bench.conformance import Verdict
from protocol import (
    AcknowledgeAlarms,
    Alarm,
    AlarmEntry,
    Alarms,
    BulkData,
    BulkInformation,
    Calibration,
    Capability,
    ClockReply,
    CommandResult,
    CommandState,
    Description,
    FirmwareInformation,
    Hello,
    Lease,
    Message,
    Nak,
    NakReason,
    PatientBolusLimits,
    SelfTestReport,
    Severity,
    Status,
    Stopped,
    Subscription,
    TherapyClock,
    Tone,
    encode_payload,
)


class Changed:
    """Changes fields of each reply of a kind, from the first request of `behind` on if that is given."""

    def __init__(
        self, kind: type[Message], *, behind: type[Message] | None = None, **changes: Callable[[Message], object]
    ) -> None:
        self._kind = kind
        self._behind = behind
        self._changes = changes

    def host_sent(self, run) -> list[bytes]:
        if self._behind is not None and run.message(self._behind) is not None:
            self._behind = None
        return [run.raw]

    def device_sent(self, run) -> list[bytes]:
        message = run.message(self._kind)
        if message is None or self._behind is not None:
            return [run.raw]
        new = {name: change(message) for name, change in self._changes.items()}
        return [run.sent_as(payload=encode_payload(replace(message, **new)))]


def misnamed(was: NakReason, becomes: NakReason) -> Changed:
    """The pump refuses for another reason."""
    return Changed(Nak, reason=lambda nak: becomes if nak.reason == was else nak.reason)


def instead(was: CommandState, becomes: CommandState) -> Changed:
    """The pump tells another state of its commands."""
    return Changed(CommandResult, state=lambda result: becomes if result.state == was else result.state)


def damaged(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1]) if data else data


def sounding(change: Callable[[AlarmEntry], dict[str, object]]) -> Changed:
    """The pump tells otherwise how the alarms in its list sound."""
    return Changed(Alarms, entries=lambda alarms: tuple(replace(entry, **change(entry)) for entry in alarms.entries))


class SoundsNoMore:
    """An alarm that was silenced once is silent, and says that it sounds."""

    _silenced = False

    def device_sent(self, run) -> list[bytes]:
        alarms = run.message(Alarms)
        if alarms is None:
            return [run.raw]
        self._silenced |= any(entry.silent_for_s for entry in alarms.entries)
        entries = tuple(replace(entry, tone=Tone.SILENT) if self._silenced else entry for entry in alarms.entries)
        return [run.sent_as(payload=encode_payload(replace(alarms, entries=entries)))]


STALL = AlarmEntry(Alarm.MOTOR_STALL, Severity.CRITICAL, 0, 0, 1, 1, 0, Tone.SILENT)
settings = count(5)

FAULTS: dict[str, object] = {
    "refuses unknown types as malformed": misnamed(NakReason.UNKNOWN_TYPE, NakReason.MALFORMED),
    "refuses malformed frames as unknown": misnamed(NakReason.MALFORMED, NakReason.UNKNOWN_TYPE),
    "does not announce its patient bolus": Changed(
        Hello, capabilities=lambda hello: hello.capabilities & ~Capability.PATIENT_BOLUS
    ),
    "refuses what is out of range as busy": misnamed(NakReason.OUT_OF_RANGE, NakReason.BUSY),
    "announces another hash": Changed(Hello, schema_hash=lambda hello: bytes(8)),
    "describes a byte too few": Changed(Description, total_bytes=lambda part: part.total_bytes - 1),
    "tells another boot in its status": Changed(Status, boot_id=lambda status: status.boot_id + 1),
    "tells another alarm in its status": Changed(Status, alarms=lambda status: status.alarms ^ Alarm.MOTOR_STALL),
    "tells a clock that stands": Changed(ClockReply, received_us=lambda _: 5, sent_us=lambda _: 5),
    "tells the interval asked for": Changed(Subscription, shortest_interval_ms=lambda s: s.shortest_interval_ms + 7),
    "damages bulk data": Changed(BulkData, data=lambda part: damaged(part.data)),
    "announces another SHA-256": Changed(BulkInformation, sha256=lambda _: bytes(32)),
    "tells another step volume": Changed(Calibration, step_volume_nl=lambda read: read.step_volume_nl + 0.01),
    "tells another boot of its firmware": Changed(FirmwareInformation, boot_id=lambda read: read.boot_id + 1),
    "knows commands that nobody gave": instead(CommandState.UNKNOWN, CommandState.FORGOTTEN),
    "runs what was stopped": instead(CommandState.STOPPED, CommandState.RUNNING),
    "raises alarms when acknowledged": Changed(
        Alarms, behind=AcknowledgeAlarms, entries=lambda alarms: (*alarms.entries, STALL)
    ),
    "sounds for what is over": Changed(
        Alarms, entries=lambda alarms: (*alarms.entries, replace(STALL, tone=Tone.DUAL))
    ),
    "sounds once for what is critical": sounding(lambda entry: {"tone": min(entry.tone, Tone.SINGLE)}),
    "sounds while it is silenced": sounding(lambda _: {"tone": Tone.DUAL}),
    "silences for an hour": sounding(lambda entry: {"silent_for_s": 3600 if entry.silent_for_s else 0}),
    "sounds no more": SoundsNoMore(),
    "sets its own clock": Changed(TherapyClock, generation=lambda _: next(settings)),
    "enables its patient bolus sevenfold": Changed(PatientBolusLimits, enabled=lambda _: 7),
    "passes what it did not test": Changed(SelfTestReport, passed=lambda report: report.passed | report.not_run),
    "goes on a step after STOP": Changed(Stopped, steps=lambda stopped: stopped.steps - 1),
    "tells another holder": Changed(Lease, holder=lambda lease: lease.holder.upper()),
    "refuses without a lease as in the wrong state": misnamed(NakReason.NO_LEASE, NakReason.WRONG_STATE),
}


def test_every_kind_of_wrong_contents_is_expected_to_fail_something(expected) -> None:
    assert set(FAULTS) == set(expected["contents"])


@pytest.mark.parametrize("fault", FAULTS)
def test_a_pump_that(fault: str, tested, expected) -> None:
    run = tested(FAULTS[fault])
    assert run.failed == expected["contents"][fault] - run.skipped


def test_a_pump_that_describes_other_layouts_than_it_announced_is_asked_for_nothing_else(tested) -> None:
    report = tested(FAULTS["announces another hash"]).report
    skipped = [outcome for outcome in report.outcomes if outcome.verdict is Verdict.SKIPPED]
    assert all(outcome.check.uses for outcome in skipped)
    assert any("in another way than we do" in outcome.reason for outcome in skipped)
    assert all(not outcome.check.uses for outcome in report.outcomes if outcome.verdict is Verdict.PASS)
    assert report.pump_left.startswith("not known")
