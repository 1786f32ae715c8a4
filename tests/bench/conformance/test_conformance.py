"""The checks against the simulated pump: all pass, they say what they skip, and the pump is left as it was found."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench.conformance import CHECKS, Outcome, Verdict, run_conformance
from bench.errors import SetupRefused
from driver import PortLost
from driver.errors import LinkTimeout
from firmware_mock import World
from firmware_mock.ports import Port
from firmware_mock.station import Station, read_rig, world_for
from protocol import (
    CommandResult,
    CommandState,
    Commit,
    HelloRequest,
    HostSession,
    LeaseRequest,
    OnLeaseLoss,
    ProposeContinuous,
    Reply,
    StreamDecoder,
    Telemetry,
)

REFERENCE = Path(__file__).parents[3] / "docs" / "protocol.md"


def plain(text: str) -> str:
    """Without Markdown and line breaks."""
    return " ".join(re.sub(r"\[([^]]+)\]\(#[^)]+\)", r"\1", text).replace("*", "").replace("`", "").split())


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_the_sentence_of_a_check_stands_in_the_reference(check) -> None:
    assert plain(check.sentence) in plain(REFERENCE.read_text(encoding="utf-8"))


def test_checks_have_names_of_their_own() -> None:
    assert len({check.name for check in CHECKS}) == len(CHECKS)


def test_the_simulated_pump_passes_all_that_it_has(tested) -> None:
    run = tested()
    assert run.failed == set()
    skipped = {
        outcome.check.name: outcome.reason for outcome in run.report.outcomes if outcome.verdict is Verdict.SKIPPED
    }
    assert skipped == {
        "alarms-sound": "it lists no alarm",
        "forged-frames-come-to-nothing": "it does not announce AUTHENTICATION",
        "orders-need-the-key": "it does not announce AUTHENTICATION",
        "unannounced-refused": "it announces every capability whose requests it lays out as we do",
    }
    assert len(run.report.outcomes) == len(CHECKS)
    assert run.report.passed
    assert run.report.pump_left.startswith("stopped")


def test_every_check_is_failed_by_some_fault(expected) -> None:
    failed = {name for group in expected.values() for names in group.values() for name in names}
    assert failed == {check.name for check in CHECKS}


def test_without_leave_to_dose_nothing_moves_and_what_would_is_skipped(tested) -> None:
    run = tested(may_dose=False)
    skipped = [outcome for outcome in run.report.outcomes if outcome.check.moves_fluid]
    assert len(skipped) >= 2
    assert {(outcome.verdict, outcome.reason) for outcome in skipped} == {
        (Verdict.SKIPPED, "it moves fluid, and --may-dose was not given")
    }
    steps = run.station.head.counted_steps(run.world.now_ns)
    assert steps == new_station()[1].head.counted_steps(0)
    assert tested(may_dose=True).station.head.counted_steps(run.world.now_ns) > steps


def test_streams_and_leases_are_over_when_the_checks_are(tested) -> None:
    run = tested(may_dose=False)
    port = run.station.ports["pump"]
    run.world.sleep(5.0)
    assert not any(isinstance(frame.message, Telemetry) for frame in StreamDecoder().feed(port.take_arrived()))
    assert "no lease held" in run.report.pump_left
    assert ask(run.world, port, LeaseRequest(0, 1_000, "next")).holder == "next"


def test_a_failure_shows_what_was_sent_and_received(tested) -> None:
    class Silent:
        def device_sent(self, run) -> list[bytes]:
            return [] if run.message(CommandResult) else [run.raw]

    failed = {outcome.check.name: outcome for outcome in tested(Silent()).report.outcomes if outcome.exchanged}
    outcome = failed["unknown-command"]
    assert outcome.reason.startswith("CommandResultRequest with seq")
    assert "was not answered within 1.5 s" in outcome.reason
    sent = StreamDecoder().feed(b"".join(part.octets for part in outcome.exchanged if part.sent))
    heard = StreamDecoder().feed(b"".join(part.octets for part in outcome.exchanged if not part.sent))
    assert [type(frame.message).__name__ for frame in sent] == ["HelloRequest", "StatusRequest", "CommandResultRequest"]
    assert [type(frame.message).__name__ for frame in heard] == ["Hello", "Status"]


def new_station() -> tuple[World, Station]:
    rig = read_rig("sim")
    world = world_for(rig, seed=1)
    return world, Station.from_rig_file(rig, world)


def ask(world: World, port: Port, request, session: HostSession | None = None):
    """What another host would be answered."""
    session = session or HostSession()
    session.request(request, world.monotonic())
    port.host.write(session.data_to_send())
    world.sleep(0.2)
    events = session.receive(port.take_arrived(), world.monotonic())
    (reply,) = [event for event in events if isinstance(event, Reply)]
    return reply.message


def test_a_running_pump_is_left_alone() -> None:
    world, station = new_station()
    port, session = station.ports["pump"], HostSession()
    ask(world, port, HelloRequest(1, 0, 10), session)
    proposal = ask(world, port, ProposeContinuous(1, 20.0, OnLeaseLoss.CONTINUE), session)
    ask(world, port, Commit(1, proposal.token, proposal.digest), session)
    before = station.head.steps_per_s(world.now_ns)
    assert before > 0
    with pytest.raises(SetupRefused, match=r"the pump is running \(CONTINUOUS\); stop it first"):
        run_conformance(port.host, world, seed=1)
    assert station.head.steps_per_s(world.now_ns) == before


def test_a_pump_that_somebody_controls_is_left_alone() -> None:
    world, station = new_station()
    port = station.ports["pump"]
    ask(world, port, LeaseRequest(0, 60_000, "another bench"))
    with pytest.raises(SetupRefused, match="another bench holds the control lease for 60 s more"):
        run_conformance(port.host, world, seed=1)


def test_a_port_without_a_pump_is_told() -> None:
    world = World()
    with pytest.raises(LinkTimeout, match="no pump answered HELLO within 5 s"):
        run_conformance(Port(world, "nothing").host, world, seed=1)


def test_a_port_that_is_lost_ends_the_checks() -> None:
    world, station = new_station()
    port = station.ports["pump"]

    def pull(outcome: Outcome) -> None:
        if outcome.check.name == "status-read":
            port.unplug()

    with pytest.raises(PortLost, match="sim:pump: the connection is gone"):
        run_conformance(port.host, world, seed=1, progress=pull)


def test_ctrl_c_during_a_bolus_leaves_the_pump_stopped(tested) -> None:
    class Impatient:
        def __init__(self) -> None:
            self.pressed = False

        def device_sent(self, run) -> list[bytes]:
            result = run.message(CommandResult)
            if result is not None and result.state == CommandState.RUNNING and not self.pressed:
                self.pressed = True
                raise KeyboardInterrupt
            return [run.raw]

    fault = Impatient()
    run = tested(fault)
    assert fault.pressed
    assert run.report.interrupted
    assert len(run.report.outcomes) < len(CHECKS)
    assert run.report.pump_left.startswith("stopped")
    assert run.station.head.steps_per_s(run.world.now_ns) == 0
