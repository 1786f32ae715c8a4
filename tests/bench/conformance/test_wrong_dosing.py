"""A pump that streams, doses or lends control wrongly in one way fails the check of just that sentence."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from protocol import (
    Ack,
    CommandResult,
    CommandState,
    Commit,
    HelloRequest,
    Lease,
    LeaseRequest,
    Nak,
    NakReason,
    Proposal,
    ProposeCalibration,
    Status,
    Stop,
    Stream,
    Subscribe,
    Telemetry,
    encode_payload,
)


class LosesSamples:
    _count = 0

    def device_sent(self, run) -> list[bytes]:
        if run.message(Telemetry) is None:
            return [run.raw]
        self._count += 1
        return [] if self._count % 5 == 0 else [run.raw]


class StreamsOutliveHello:
    def host_sent(self, run) -> list[bytes]:
        if run.type == HelloRequest.TYPE and run.intact:
            self._streaming, was = False, getattr(self, "_streaming", False)
            if was:
                self.line.pass_on([run.raw])
                self.line.ask_unseen(Subscribe(Stream.TELEMETRY, 100))
                return []
        if (asked := run.message(Subscribe)) is not None and asked.stream == Stream.TELEMETRY:
            self._streaming = asked.interval_ms > 0
        return [run.raw]


class IgnoresDigest:
    def __init__(self) -> None:
        self._digests: dict[int, bytes] = {}

    def device_sent(self, run) -> list[bytes]:
        if (proposal := run.message(Proposal)) is not None:
            self._digests[proposal.token] = proposal.digest
        return [run.raw]

    def host_sent(self, run) -> list[bytes]:
        commit = run.message(Commit)
        if commit is None or commit.token not in self._digests:
            return [run.raw]
        return [run.sent_as(payload=encode_payload(replace(commit, digest=self._digests[commit.token])))]


class SaysAnotherDigest:
    def device_sent(self, run) -> list[bytes]:
        proposal = run.message(Proposal)
        return [run.raw if proposal is None else self._flipped(run, proposal)]

    def host_sent(self, run) -> list[bytes]:
        commit = run.message(Commit)
        return [run.raw if commit is None else self._flipped(run, commit)]

    def _flipped(self, run, message) -> bytes:
        digest = message.digest[:-1] + bytes([message.digest[-1] ^ 0x55])
        return run.sent_as(payload=encode_payload(replace(message, digest=digest)))


class CommitsTooLate:
    def device_sent(self, run) -> list[bytes]:
        if run.intact and run.type == Nak.TYPE and run.payload[0] == NakReason.EXPIRED:
            done = CommandResult(1, CommandState.DONE, 0.0, 0.0, 0)
            return [run.sent_as(type=CommandResult.TYPE, payload=encode_payload(done))]
        return [run.raw]


class TakesStaleIds:
    _last = 0

    def device_sent(self, run) -> list[bytes]:
        if (status := run.message(Status)) is not None:
            self._last = status.last_command_id
        return [run.raw]

    def host_sent(self, run) -> list[bytes]:
        proposed = run.message(ProposeCalibration)
        if proposed is None or proposed.command_id > self._last:
            return [run.raw]
        return [run.sent_as(payload=encode_payload(replace(proposed, command_id=self._last + 1)))]


class DosesTwice:
    """Twenty steps too many are counted once the same COMMIT came in two requests."""

    def __init__(self) -> None:
        self._commits: list[bytes] = []

    def host_sent(self, run) -> list[bytes]:
        if (commit := run.message(Commit)) is not None:
            self._commits.append(encode_payload(commit))
        return [run.raw]

    def device_sent(self, run) -> list[bytes]:
        status = run.message(Status)
        if status is None or len(self._commits) == len(set(self._commits)):
            return [run.raw]
        return [run.sent_as(payload=encode_payload(replace(status, steps=status.steps + 20)))]


class LeaseForEverybody:
    _lease: Lease | None = None

    def host_sent(self, run) -> list[bytes]:
        if run.type == HelloRequest.TYPE and self._lease is not None:
            self.line.pass_on([run.raw])
            self.line.ask_unseen(LeaseRequest(self._lease.lease_id, 60_000, self._lease.holder))
            return []
        return [run.raw]

    def device_sent(self, run) -> list[bytes]:
        if (lease := run.message(Lease)) is not None:
            self._lease = lease if lease.lease_id and lease.remaining_ms > 1_000 else None
        if run.type == Ack.TYPE:
            self._lease = None
        return [run.raw]


class StopNeedsLease:
    _held = False

    def host_sent(self, run) -> list[bytes]:
        if run.type == Stop.TYPE and self._held:
            self.line.inject_message(Nak(NakReason.LEASE_HELD, ""), run.seq)
            return []
        return [run.raw]

    def device_sent(self, run) -> list[bytes]:
        if (lease := run.message(Lease)) is not None:
            self._held = lease.remaining_ms > 0
        return [run.raw]


class OldTokensLive:
    """A COMMIT of any proposal there ever was is answered as if it were carried out."""

    def __init__(self) -> None:
        self._issued: set[bytes] = set()
        self._late: set[int] = set()

    def host_sent(self, run) -> list[bytes]:
        if run.message(Commit) is not None and run.payload in self._issued:
            self._late.add(run.seq)
        return [run.raw]

    def device_sent(self, run) -> list[bytes]:
        if (proposal := run.message(Proposal)) is not None:
            self._issued.add(encode_payload(Commit(proposal.command_id, proposal.token, proposal.digest)))
        if run.type == Nak.TYPE and run.seq in self._late and run.payload[0] == NakReason.BAD_TOKEN:
            done = CommandResult(1, CommandState.DONE, 0.0, 0.0, 0)
            return [run.sent_as(type=CommandResult.TYPE, payload=encode_payload(done))]
        return [run.raw]


class IgnoresToken:
    _proposal: Proposal | None = None

    def device_sent(self, run) -> list[bytes]:
        self._proposal = run.message(Proposal) or self._proposal
        return [run.raw]

    def host_sent(self, run) -> list[bytes]:
        commit = run.message(Commit)
        if commit is None or self._proposal is None or commit.command_id != self._proposal.command_id:
            return [run.raw]
        return [run.sent_as(payload=encode_payload(replace(commit, token=self._proposal.token)))]


FAULTS: dict[str, Callable[[], object]] = {
    "loses samples": LosesSamples,
    "streams outlive HELLO": StreamsOutliveHello,
    "says another digest": SaysAnotherDigest,
    "ignores the digest": IgnoresDigest,
    "takes stale ids": TakesStaleIds,
    "commits too late": CommitsTooLate,
    "doses twice": DosesTwice,
    "gives the lease to everybody": LeaseForEverybody,
    "stops for the holder only": StopNeedsLease,
    "ignores the token": IgnoresToken,
    "lets old tokens live": OldTokensLive,
}


def test_every_kind_of_wrong_behaviour_is_expected_to_fail_something(expected) -> None:
    assert set(FAULTS) == set(expected["dosing"])


@pytest.mark.parametrize("fault", FAULTS)
def test_a_pump_that(fault: str, tested, expected) -> None:
    run = tested(FAULTS[fault]())
    assert run.failed == expected["dosing"][fault]
    assert run.report.pump_left.startswith("stopped")
