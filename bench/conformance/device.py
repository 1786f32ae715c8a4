"""The device under test as the checks meet it, and what was started there and has to be ended again."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from bench.conformance.check import NotApplicable, Violation
from bench.conformance.exchange import Exchange, decoded, described
from protocol import (
    Ack,
    Calibration,
    CalibrationRequest,
    Capability,
    Lease,
    LeaseRelease,
    LeaseRequest,
    Message,
    Mode,
    Nak,
    NakReason,
    OnLeaseLoss,
    Proposal,
    ProposeCalibration,
    ProposeContinuous,
    Status,
    StatusRequest,
    Stop,
    Stopped,
)

HOLDER = "conformance"
RATES_UL_PER_H = (10.0, 1.0, 100.0, 1_000.0, 10_000.0, 0.1)


class Device:
    """`line` is the port; `hello` what the device said of itself in the session of this check.

    `usable` are the type bytes of the messages that it lays out as we do, `usable_records` the bulk objects.
    """

    def __init__(self, line: Exchange, usable: frozenset[int], usable_records: frozenset[int]) -> None:
        self.line = line
        self.usable = usable
        self.usable_records = usable_records
        self.hello = line.hello()
        self._leases: list[int] = []
        self._proposed = False

    @property
    def can(self) -> Capability:
        """What it announced."""
        return Capability(self.hello.capabilities & sum(Capability))

    def new_session(self) -> None:
        """Say HELLO anew.

        Raises:
            Violation: it is not answered at the first try.
        """
        self.hello = self.line.hello()

    def tidy(self) -> None:
        """End streams by a new session, release the leases, and stop if anything was proposed; as far as it answers."""
        with contextlib.suppress(Violation):
            self.new_session()
        while self._leases:
            lease_id = self._leases.pop()
            with contextlib.suppress(Violation):
                self.line.ask(LeaseRequest(lease_id, 1_000, HOLDER), Lease)
                self.line.ask(LeaseRelease(lease_id), Ack)
        if self._proposed:
            self._proposed = False
            with contextlib.suppress(Violation):
                self.line.ask(Stop(), Stopped)

    def status(self) -> Status:
        """Its status."""
        return self.line.ask(StatusRequest(), Status)

    def next_command_id(self) -> int:
        """The lowest id that it must accept."""
        return self.status().last_command_id + 1

    def harmless(self, command_id: int) -> ProposeCalibration:
        """A proposal that changes nothing even if it is committed: the step volume in use."""
        step_volume_nl = self.line.ask(CalibrationRequest(), Calibration).step_volume_nl
        return ProposeCalibration(command_id, step_volume_nl)

    def propose(self, request: ProposeCalibration | ProposeContinuous) -> Proposal:
        """Propose something, which is stopped in the end."""
        self._proposed = True
        return self.line.ask(request, Proposal)

    def starts(self) -> None:
        """What follows may start the motor, which is stopped in the end."""
        self._proposed = True

    def lease(self, duration_ms: int = 60_000) -> Lease:
        """Take the control lease, which is released in the end."""
        lease = self.line.ask(LeaseRequest(0, duration_ms, HOLDER), Lease)
        self._leases.append(lease.lease_id)
        return lease

    def supports(self, request: Message, answer: type[Message], what: str) -> bool:
        """Whether it answers a request for something that it may do without, or says that it has not got it.

        Raises:
            Violation: it says anything else.
        """
        reply = decoded(self.line.reply(self.line.sent(request), type(request).__name__))
        if isinstance(reply, Nak) and reply.reason == NakReason.UNSUPPORTED:
            return False
        if not isinstance(reply, answer):
            raise Violation(f"{what} was answered with {described(reply)}")
        return True

    def allowed_rate_ul_per_h(self) -> float:
        """A rate that it takes for continuous infusion.

        Raises:
            NotApplicable: it takes none of those tried.
        """
        self._proposed = True
        for rate_ul_per_h in RATES_UL_PER_H:
            command_id = self.next_command_id()
            with contextlib.suppress(Violation):
                request = ProposeContinuous(command_id, rate_ul_per_h, OnLeaseLoss.CONTINUE)
                self.line.ask(request, Proposal)
                return rate_ul_per_h
        tried = ", ".join(f"{rate:g}" for rate in RATES_UL_PER_H)
        raise NotApplicable(f"it takes none of the rates {tried} µL/h")

    def until(self, done: Callable[[], bool], seconds: float, what: str) -> None:
        """Wait until something is so, asking again and again.

        Raises:
            Violation: it is not so within `seconds`.
        """
        end_s = self.line.clock.monotonic() + seconds
        while not done():
            if self.line.clock.monotonic() >= end_s:
                raise Violation(f"{what} did not happen within {seconds:g} s")
            self.line.hear(0.2)

    def is_stopped(self) -> bool:
        """Whether the motor stands."""
        return self.status().mode == Mode.STOPPED
