"""All checks against one device, each in a session of its own, and the pump left as it was found: stopped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.conformance.check import Check, NotApplicable, Outcome, Verdict, Violation
from bench.conformance.checks_alarms import ALARMS
from bench.conformance.checks_authentication import AUTHENTICATION
from bench.conformance.checks_bulk import BULK
from bench.conformance.checks_dosing import DOSING
from bench.conformance.checks_framing import FRAMING
from bench.conformance.checks_lease import CONTROL_LEASE
from bench.conformance.checks_reads import READS, description
from bench.conformance.checks_refusals import REFUSALS
from bench.conformance.checks_session import SESSION
from bench.conformance.checks_streams import STREAMS
from bench.conformance.checks_therapies import THERAPIES
from bench.conformance.device import Device
from bench.conformance.exchange import Exchange
from bench.errors import SetupRefused
from driver.clock import Clock, Deadline
from driver.errors import LinkTimeout
from driver.transport import Guarded, Transport
from protocol import (
    SCHEMA_HASH,
    Capability,
    DecodeError,
    Event,
    Hello,
    Lease,
    LeaseStatusRequest,
    Mode,
    Schema,
    StatusRequest,
    Stop,
    own_schema,
    read_schema,
    usable_records,
    usable_types,
)
from protocol.schema import FROZEN_TYPES

CHECKS: tuple[Check, ...] = (
    *FRAMING,
    *SESSION,
    *REFUSALS,
    *READS,
    *STREAMS,
    *DOSING,
    *THERAPIES,
    *CONTROL_LEASE,
    *ALARMS,
    *BULK,
    *AUTHENTICATION,
)
GREETING_S = 5.0
LISTENING_S = 1.0


@dataclass(frozen=True, slots=True)
class ConformanceReport:
    """What came of the checks, all of them unless `interrupted`.

    `pump_left` is the state in which the pump was left, as it says itself.
    """

    hello: Hello
    outcomes: tuple[Outcome, ...]
    pump_left: str
    interrupted: bool = False

    @property
    def counts(self) -> Counter[Verdict]:
        """How many outcomes of each kind."""
        return Counter(outcome.verdict for outcome in self.outcomes)

    @property
    def passed(self) -> bool:
        """Whether no check failed."""
        return not self.counts[Verdict.FAIL]


def run_conformance(
    transport: Transport,
    clock: Clock,
    *,
    seed: int,
    may_dose: bool = False,
    checks: Sequence[Check] = CHECKS,
    progress: Callable[[Outcome], None] = lambda _: None,
) -> ConformanceReport:
    """Run checks against the device at a port; `clock` is the I/O clock, `seed` fixes noise and nonces.

    Without `may_dose` nothing is sent that moves fluid. A device with a key is held to what it must do for a host
    without it. Ctrl-C ends the checks; the pump is left in order all the same.

    Raises:
        SetupRefused: the pump is running, or somebody holds its control lease; nothing was changed.
        LinkTimeout: no device answers HELLO within 5 s.
        PortLost: the port is gone; the state of the pump is unknown then.
    """
    line = Exchange(Guarded(transport, owned=False), clock, seed)
    device = _greeted(line, clock)
    _refuse_if_in_use(device)
    outcomes: list[Outcome] = []
    interrupted = False
    try:
        for each in checks:
            outcomes.append(_outcome(each, device, may_dose=may_dose))
            progress(outcomes[-1])
    except KeyboardInterrupt:
        interrupted = True
    finally:
        left = _left(device)
    return ConformanceReport(device.hello, tuple(outcomes), left, interrupted)


def _greeted(line: Exchange, clock: Clock) -> Device:
    deadline = Deadline(clock, GREETING_S)
    nothing_usable: frozenset[int] = frozenset()
    while not deadline.expired:
        line.begin()
        try:
            device = Device(line, nothing_usable, nothing_usable)
        except Violation:
            continue
        schema = _schema(device)
        device.usable = usable_types(schema) if schema is not None else FROZEN_TYPES
        device.usable_records = usable_records(schema) if schema is not None else nothing_usable
        return device
    raise LinkTimeout(
        line.port, f"no pump answered HELLO within {GREETING_S:.0f} s; check that it is on and that this is its port"
    )


def _schema(device: Device) -> Schema | None:
    """The device's layouts; None where it does not describe them as it announced."""
    if device.hello.schema_hash == SCHEMA_HASH:
        return own_schema()
    try:
        return read_schema(description(device), device.hello.schema_hash)
    except (DecodeError, Violation):
        return None


def _refuse_if_in_use(device: Device) -> None:
    port = device.line.port
    try:
        if StatusRequest.TYPE in device.usable and (mode := device.status().mode) != Mode.STOPPED:
            name = mode.name if isinstance(mode, Mode) else mode
            raise SetupRefused(f"{port}: the pump is running ({name}); stop it first, for these checks stop it anyway")
        if LeaseStatusRequest.TYPE in device.usable and device.can & Capability.CONTROL_LEASE:
            lease = device.line.ask(LeaseStatusRequest(), Lease)
            if lease.remaining_ms:
                seconds = -(-lease.remaining_ms // 1000)
                raise SetupRefused(f"{port}: {lease.holder or 'somebody'} holds the control lease for {seconds} s more")
    except Violation:
        return


def _outcome(each: Check, device: Device, *, may_dose: bool) -> Outcome:
    if (reason := _not_run(each, device, may_dose=may_dose)) is not None:
        return Outcome(each, Verdict.SKIPPED, reason)
    line = device.line
    line.begin()
    try:
        device.new_session()
        line.forget()
        each.procedure(device)
        outcome = Outcome(each, Verdict.PASS)
    except NotApplicable as reason_why:
        outcome = Outcome(each, Verdict.SKIPPED, str(reason_why))
    except Violation as violation:
        outcome = Outcome(each, Verdict.FAIL, str(violation), line.evidence)
    device.tidy()
    return outcome


def _not_run(each: Check, device: Device, *, may_dose: bool) -> str | None:
    missing = [capability.name or "" for capability in each.needs if not capability & device.can]
    if missing:
        return f"it does not announce {' and '.join(missing)}"
    different = [message.__name__ for message in each.uses if message.TYPE not in device.usable]
    if different:
        return f"it lays {', '.join(different)} out in another way than we do"
    if device.can & Capability.AUTHENTICATION and not each.needs_no_key:
        return "it has a key, and what this sends it takes only from who has that"
    if each.moves_fluid and not may_dose:
        return "it moves fluid, and --may-dose was not given"
    return None


def _left(device: Device) -> str:
    line = device.line
    line.begin()
    device.tidy()
    if not {Stop.TYPE, StatusRequest.TYPE} <= device.usable:
        return "not known: its status is laid out in another way than we read it"
    try:
        status = device.status()
    except Violation as violation:
        return f"not known: {violation}"
    if status.mode != Mode.STOPPED:
        return f"RUNNING in mode {status.mode!r} at {status.rate_ul_per_h:g} µL/h"
    return f"stopped at {status.steps} steps, {_streams_left(device)}, {_lease_left(device)}"


def _streams_left(device: Device) -> str:
    line = device.line
    line.notifications.clear()
    line.hear(LISTENING_S)
    samples = sum(not isinstance(message, Event) for message in line.notifications)
    return f"{samples} SAMPLES CAME UNASKED" if samples else "streams ended"


def _lease_left(device: Device) -> str:
    if LeaseStatusRequest.TYPE not in device.usable or not device.can & Capability.CONTROL_LEASE:
        return "without a control lease"
    try:
        lease = device.line.ask(LeaseStatusRequest(), Lease)
    except Violation as violation:
        return f"its control lease not known: {violation}"
    return f"ITS LEASE HELD for {lease.remaining_ms} ms" if lease.remaining_ms else "no lease held"
