"""A pump that takes flex therapies or patient boluses wrongly in one way fails the check of just that sentence."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from bench.conformance import Verdict, run_conformance
from bench.conformance.checks_therapies import THERAPIES
from driver import Journal, Pump
from firmware_mock.firmware.proposals import Planner
from firmware_mock.station import Station, read_rig, world_for
from protocol import (
    Nak,
    NakReason,
    Proposal,
    ProposeFlex,
    ProposePatientBolus,
    ProposePatientBolusLimits,
    encode_payload,
)


class Takes:
    """Answers a refused request of a kind with a proposal all the same, or with another reason."""

    def __init__(self, kind, reason=None, only=lambda message: True) -> None:
        self._kind, self._reason, self._only = kind, reason, only
        self._seqs: set[int] = set()

    def host_sent(self, run) -> list[bytes]:
        message = run.message(self._kind)
        if message is not None and self._only(message):
            self._seqs.add(run.seq)
        return [run.raw]

    def device_sent(self, run) -> list[bytes]:
        nak = run.message(Nak)
        if nak is None or run.seq not in self._seqs:
            return [run.raw]
        if self._reason is None:
            return [run.sent_as(type=Proposal.TYPE, payload=encode_payload(Proposal(1, 1, bytes(8), 1, b"")))]
        return [run.sent_as(payload=encode_payload(replace(nak, reason=self._reason)))]


def sorted_by_time(steps):
    return sorted(steps, key=lambda step: step.start_min)


FAULTS: dict[str, Callable[[], object]] = {
    "takes any minute": lambda: Takes(ProposeFlex, only=lambda flex: any(s.start_min > 1439 for s in flex.steps)),
    "takes flex without a clock": lambda: Takes(ProposeFlex, only=lambda flex: len(flex.steps) == 3),
    "gives a patient bolus from standstill": lambda: Takes(ProposePatientBolus),
    "takes limits that are off unseen": lambda: Takes(
        ProposePatientBolusLimits, only=lambda limits: limits.enabled == 0
    ),
    "says busy for limits": lambda: Takes(ProposePatientBolusLimits, NakReason.BUSY),
}


def test_every_kind_of_wrong_behaviour_is_expected_to_fail_something(expected) -> None:
    assert set(FAULTS) == set(expected["therapies"])


@pytest.mark.parametrize("fault", FAULTS)
def test_a_pump_that(fault: str, tested, expected) -> None:
    run = tested(FAULTS[fault]())
    assert run.failed == expected["therapies"][fault]
    assert run.report.pump_left.startswith("stopped")


@pytest.mark.parametrize(("order", "failed"), [(list, set()), (sorted_by_time, {"flex-as-proposed"})])
def test_with_its_clock_set_a_flex_therapy_comes_back_as_it_was_proposed(tmp_path, monkeypatch, order, failed) -> None:
    rig = read_rig("sim")
    world = world_for(rig, seed=1)
    port = Station.from_rig_file(rig, world).ports["pump"]
    with Pump.open(port.host, clock=world, journal=Journal.in_directory(tmp_path), host_nonce=1) as pump:
        pump.set_therapy_clock(datetime(2026, 11, 20, tzinfo=UTC))
    canonical = Planner._flex_steps
    monkeypatch.setattr(Planner, "_flex_steps", lambda planner, flex: tuple(order(canonical(planner, flex))))
    report = run_conformance(port.host, world, seed=2, checks=THERAPIES)
    assert {outcome.check.name for outcome in report.outcomes if outcome.verdict is Verdict.FAIL} == failed
    assert all(outcome.verdict is not Verdict.SKIPPED for outcome in report.outcomes)
