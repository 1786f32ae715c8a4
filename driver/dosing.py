"""Dosing exactly once, or reported as uncertain: PROPOSE, compare, journal, COMMIT; and what to do about a lost reply.

The rules are in docs/protocol.md and in the design: an id is durable before its first byte is sent, a lost COMMIT reply
is settled by asking for the id's result and never by committing again, and what cannot be settled counts as delivered.
"""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass

from msgspec.structs import asdict

from driver.errors import (
    DoseNotStarted,
    DoseUncertain,
    DriverError,
    JournalError,
    LinkError,
    LinkTimeout,
    NakError,
    ProposalMismatch,
    TransportError,
)
from driver.journal import Journal
from driver.link import Link
from protocol import (
    CommandResult,
    CommandResultRequest,
    CommandState,
    Commit,
    DecodeError,
    Proposal,
    ProposeBolus,
    ProposeCalibration,
    ProposeContinuous,
    decode_payload,
    proposal_digest,
)

RATE_TOLERANCE = 1e-3
VOLUME_TOLERANCE = 5e-3
STEP_VOLUME_TOLERANCE = 1e-6
RESULT_ROUNDS = 3

Propose = ProposeContinuous | ProposeBolus | ProposeCalibration

_FINAL = {CommandState.DONE: "done", CommandState.STOPPED: "stopped", CommandState.INTERRUPTED: "interrupted"}
_KIND = {ProposeContinuous: "continuous", ProposeBolus: "bolus", ProposeCalibration: "calibration"}


@dataclass(frozen=True, slots=True)
class Continuous:
    """A therapy: infusion at a constant rate in µL/h.

    Raises:
        ValueError: the rate is not a positive number.
    """

    rate_ul_per_h: float

    def __post_init__(self) -> None:
        require_positive(self.rate_ul_per_h, "a rate", "µL/h")


@dataclass(frozen=True, slots=True)
class Dose:
    """A dosing command and what the pump says became of it; what it delivered lies between the two volumes in µL.

    For a continuous infusion the volumes are so far; `canonical` are the values the pump really uses.
    """

    id: int
    state: CommandState
    delivered_low_ul: float
    delivered_high_ul: float
    canonical: dict[str, float]


class Dosing:
    """The dosing commands of one pump and one host process.

    `started` are the ids this process may have set going and whose end it has not seen; `uncertain` those, also of
    earlier processes, whose result the pump could not tell, with a description; `journal_fault` is the last failure to
    note an outcome, which harms no dose: the pump is asked for it again at the next opening.
    """

    def __init__(self, link: Link, journal: Journal, device_last_id: int) -> None:
        self._link = link
        self._journal = journal
        self._device_last_id = device_last_id
        self.started: set[int] = set()
        self.uncertain: dict[int, str] = {}
        self.journal_fault: JournalError | None = None
        self._seen_by_pump: set[int] = set()

    def reconcile(self) -> None:
        """Ask the pump for every command whose end the journal does not tell. What stays open is in `uncertain`."""
        for id_ in self._journal.unresolved():
            with contextlib.suppress(DoseUncertain, DoseNotStarted):
                self.result(id_)

    def require_none_uncertain(self) -> None:
        """
        Raises:
            DoseUncertain: what an earlier command delivered is not known.
        """
        if self.uncertain:
            listed = "; ".join(f"command {id_} ({what})" for id_, what in self.uncertain.items())
            raise DoseUncertain(
                self._link.port,
                f"no dosing before the uncertain is resolved: {listed}. It counts as delivered: weigh or inspect, "
                'then call Pump.resolve(id, by="name") for each',
                tuple(self.uncertain),
            )

    def carry_out(self, asked: Propose) -> Dose:
        """Propose, compare and commit; `asked.command_id` is replaced by a fresh one.

        Raises:
            DoseUncertain: an earlier command is unresolved, or this one's result cannot be had.
            ProposalMismatch: the pump would use other values; nothing was dosed.
            NakError, LinkTimeout, JournalError, DoseNotStarted: nothing was dosed.
            PortLost: the port was gone before COMMIT; nothing was dosed.
        """
        self.require_none_uncertain()
        kind = _KIND[type(asked)]
        id_ = self._journal.take_id(self._device_last_id, kind, _values(asked))
        try:
            proposal = self._link.request(_with_id(asked, id_), Proposal)
            canonical = self._agreed(_with_id(asked, id_), proposal)
        except (LinkError, TransportError, ProposalMismatch):
            self._write_outcome(id_, "refused", 0.0, 0.0)
            raise
        self._journal.commit(id_, kind, _values(canonical))
        self.started.add(id_)
        return self._commit(id_, Commit(id_, proposal.token, proposal.digest))

    def result(self, id_: int) -> Dose:
        """Ask the pump what became of a command, and note it.

        Raises:
            DoseNotStarted: the pump never saw it.
            DoseUncertain: the pump does not answer, does not say, or has forgotten.
        """
        for _ in range(RESULT_ROUNDS):
            try:
                return self._settle(id_, self._link.request(CommandResultRequest(id_), CommandResult))
            except LinkTimeout:
                continue
            except (NakError, TransportError) as error:
                raise self._doubt(id_, error.sentence) from error
        raise self._doubt(id_, "the pump does not answer")

    def stopped(self) -> None:
        """The pump has confirmed a STOP: nothing runs, and what ran is asked for its result."""
        for id_ in self.started | set(self.uncertain):
            with contextlib.suppress(DoseUncertain, DoseNotStarted):
                self.result(id_)
        self.started.clear()

    def resolve(self, id_: int, by: str) -> None:
        """An operator takes an uncertain command, as delivered, on their name; it is still stopped on leaving.

        Raises:
            ValueError: the command is not uncertain, or there is no name.
            JournalError: it could not be noted, so it stays uncertain.
        """
        if id_ not in self.uncertain:
            raise ValueError(f"command {id_} is not uncertain")
        if not by.strip():
            raise ValueError(f'the name of the operator is missing: Pump.resolve({id_}, by="name")')
        volume_ul = self._journal.values(id_).get("volume_ul")
        self._journal.outcome(id_, "resolved", None if volume_ul is None else 0.0, volume_ul, by=by)
        del self.uncertain[id_]

    def _commit(self, id_: int, commit: Commit) -> Dose:
        """COMMIT and what became of it; an interrupt leaves the command in doubt, to be settled before the next."""
        try:
            return self._committed(id_, commit)
        except DriverError:
            raise
        except BaseException:
            self._doubt(id_, "the wait for the reply to COMMIT was interrupted")
            raise

    def _committed(self, id_: int, commit: Commit) -> Dose:
        try:
            return self._settle(id_, self._link.request(commit, CommandResult))
        except NakError as refusal:
            try:
                return self.result(id_)
            except DoseNotStarted:
                raise refusal from None
        except LinkTimeout:
            return self.result(id_)
        except TransportError as error:
            raise self._doubt(id_, f"the port was lost before the reply to COMMIT: {error.sentence}") from error

    def _settle(self, id_: int, result: CommandResult) -> Dose:
        state, low_ul, high_ul = result.state, result.delivered_low_ul, result.delivered_high_ul
        if result.command_id != id_:
            raise self._doubt(id_, f"the pump answers for command {result.command_id}")
        if state == CommandState.UNKNOWN:
            if id_ in self._seen_by_pump or self._journal.state(id_) not in (None, "", "not_started"):
                raise self._doubt(id_, "the pump now says that it never saw it")
            self._close(id_, "not_started", 0.0, 0.0)
            raise DoseNotStarted(self._link.port, f"the pump never saw command {id_}; nothing was dosed, ask again")
        self._seen_by_pump.add(id_)
        if state == CommandState.RUNNING:
            self.uncertain.pop(id_, None)
            self._note(id_, "running", low_ul, high_ul)
        elif state in _FINAL:
            self._close(id_, _FINAL[CommandState(state)], low_ul, high_ul)
        elif state == CommandState.FORGOTTEN:
            raise self._doubt(id_, "the pump has forgotten it")
        else:
            raise self._doubt(id_, f"the pump answers with the unknown state {state}")
        return Dose(id_, CommandState(state), low_ul, high_ul, self._journal.values(id_))

    def _close(self, id_: int, state: str, low_ul: float, high_ul: float) -> None:
        self.started.discard(id_)
        self.uncertain.pop(id_, None)
        self._note(id_, state, low_ul, high_ul)

    def _note(self, id_: int, state: str, low_ul: float, high_ul: float) -> None:
        """Journal a change of state of a command of ours."""
        if self._journal.state(id_) not in (None, state):
            self._write_outcome(id_, state, low_ul, high_ul)

    def _write_outcome(self, id_: int, state: str, low_ul: float, high_ul: float) -> None:
        try:
            self._journal.outcome(id_, state, low_ul, high_ul)
        except JournalError as error:
            self.journal_fault = error

    def _doubt(self, id_: int, why: str) -> DoseUncertain:
        """The error to raise; only a command whose end the journal does not tell blocks the next dose."""
        if id_ not in self._journal.unresolved():
            state = self._journal.state(id_)
            known = "does not know it" if state is None else f"has it as {state}"
            return DoseUncertain(
                self._link.port,
                f"what became of command {id_} cannot be told, because {why}; the journal {known}",
                (id_,),
            )
        values = ", ".join(f"{name} {value:g}" for name, value in self._journal.values(id_).items())
        self.uncertain[id_] = f"{values}: {why}"
        return DoseUncertain(
            self._link.port,
            f"command {id_} ({values}) may have been carried out wholly, partly or not at all, because {why}; it "
            f'counts as delivered. Open the pump again to ask it, or call Pump.resolve({id_}, by="name")',
            (id_,),
        )

    def _agreed(self, asked: Propose, proposal: Proposal) -> Propose:
        """The canonical values, if they are those asked for within the stated tolerances."""
        try:
            canonical = decode_payload(asked.TYPE, proposal.canonical)
        except DecodeError as error:
            raise ProposalMismatch(
                self._link.port, f"the pump's proposal cannot be read ({error}); nothing was dosed"
            ) from error
        assert isinstance(canonical, type(asked))
        if (proposal.command_id, canonical.command_id) != (asked.command_id, asked.command_id):
            raise ProposalMismatch(
                self._link.port, f"the pump's proposal is for command {canonical.command_id}; nothing was dosed"
            )
        if proposal.digest != proposal_digest(canonical):
            raise ProposalMismatch(
                self._link.port, "the pump's proposal does not match its own digest; nothing was dosed"
            )
        for name, wanted in _values(asked).items():
            offered = _values(canonical)[name]
            if not _is_agreed(name, wanted, offered):
                raise ProposalMismatch(
                    self._link.port,
                    f"{name} {wanted:g} was asked for and the pump would use {offered:g}, further off than the "
                    f"{_TOLERANCES[name]:g} (relative) that is let pass; nothing was dosed",
                )
        return canonical


_TOLERANCES = {
    "rate_ul_per_h": RATE_TOLERANCE,
    "volume_ul": VOLUME_TOLERANCE,
    "step_volume_nl": STEP_VOLUME_TOLERANCE,
}


def require_positive(value: float, what: str, unit: str) -> None:
    """
    Raises:
        ValueError: the value is not a positive, finite number.
    """
    if not (math.isfinite(value) and value > 0.0):
        raise ValueError(f"{what} must be a positive number of {unit}, not {value}")


def _is_agreed(name: str, wanted: float, offered: float) -> bool:
    if not (math.isfinite(offered) and offered > 0.0):
        return False
    if wanted == 0.0:
        return name == "rate_ul_per_h"
    return math.isclose(offered, wanted, rel_tol=_TOLERANCES[name])


def _values(message: Propose) -> dict[str, float]:
    return {name: value for name, value in asdict(message).items() if name != "command_id"}


def _with_id(message: Propose, id_: int) -> Propose:
    return type(message)(**{**asdict(message), "command_id": id_})
