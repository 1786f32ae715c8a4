"""Dosing exactly once, or reported as uncertain: PROPOSE, compare, journal, COMMIT; and what to do about a lost reply.

The rules are in docs/protocol.md and in the design: an id is durable before its first byte is sent, a lost COMMIT reply
is settled by asking for the id's result and never by committing again, and what cannot be settled counts as delivered.
"""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from driver.agreement import agreed, described, values_of
from driver.errors import (
    DoseNotStarted,
    DoseUncertain,
    DriverError,
    JournalError,
    LinkError,
    LinkTimeout,
    NakError,
    TransportError,
)
from driver.journal import Journal
from driver.link import Link
from protocol import (
    CommandResult,
    CommandResultRequest,
    CommandState,
    Commit,
    Proposable,
    Proposal,
    ProposeBolus,
    ProposeBridge,
    ProposeCalibration,
    ProposeContinuous,
    ProposeFlex,
    ProposeMinimumRate,
    ProposePatientBolus,
    ProposePatientBolusLimits,
    ProposePrime,
    ProposeRefill,
    ProposeTherapyClock,
    ProposeTrial,
)

RESULT_ROUNDS = 3

_FINAL = {CommandState.DONE: "done", CommandState.STOPPED: "stopped", CommandState.INTERRUPTED: "interrupted"}
_KIND: dict[type[Proposable], str] = {
    ProposeContinuous: "continuous",
    ProposeMinimumRate: "minimum_rate",
    ProposeFlex: "flex",
    ProposeBolus: "bolus",
    ProposePatientBolus: "patient_bolus",
    ProposePrime: "prime",
    ProposeBridge: "bridge",
    ProposeTrial: "trial",
    ProposePatientBolusLimits: "patient_bolus_limits",
    ProposeCalibration: "calibration",
    ProposeRefill: "refill",
    ProposeTherapyClock: "therapy_clock",
}
_GIVES_ITS_VOLUME_ONCE = frozenset({"bolus", "patient_bolus", "prime"})


@dataclass(frozen=True, slots=True)
class Dose:
    """A dosing command and what the pump says became of it; what it delivered lies between the two volumes in µL.

    For a therapy that runs on the volumes are so far; `canonical` are the values the pump really uses, by field name,
    flex steps as a list of such.
    """

    id: int
    state: CommandState
    delivered_low_ul: float
    delivered_high_ul: float
    canonical: dict[str, Any]


class Dosing:
    """The dosing commands of one pump and one host process.

    `started` are the ids this process may have set going and whose end it has not seen; `uncertain` those, also of
    earlier processes, whose result the pump could not tell, with a description; `journal_fault` is the last failure to
    note an outcome, which harms no dose: the pump is asked for it again at the next opening.
    """

    def __init__(self, link: Link, journal: Journal) -> None:
        self._link = link
        self._journal = journal
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

    def carry_out(self, asked: Proposable, device_last_id: int) -> Dose:
        """Propose, compare and commit; `asked.command_id` is replaced by one above the highest the pump tells.

        Raises:
            DoseUncertain: an earlier command is unresolved, or this one's result cannot be had.
            ProposalMismatch: the pump would use other values; nothing was dosed.
            NakError, LinkTimeout, JournalError, DoseNotStarted: nothing was dosed.
            PortLost: the port was gone before COMMIT; nothing was dosed.
        """
        self.require_none_uncertain()
        kind = _KIND[type(asked)]
        id_ = self._journal.take_id(device_last_id, kind, values_of(asked))
        asked = replace(asked, command_id=id_)
        try:
            proposal = self._link.request(asked, Proposal)
            canonical = agreed(self._link.port, asked, proposal)
            self._journal.commit(id_, kind, values_of(canonical))
        except BaseException:
            self._write_outcome(id_, "refused", 0.0, 0.0)
            raise
        return self._commit(id_, Commit(id_, proposal.token, proposal.digest))

    def result(self, id_: int) -> Dose:
        """Ask the pump what became of a command, and note it.

        That it never saw it is final: the question kills the token, so no COMMIT still on its way can start it.

        Raises:
            DoseNotStarted: the pump never saw it.
            DoseUncertain: the pump does not answer, does not say, or has forgotten.
        """
        for _ in range(RESULT_ROUNDS):
            try:
                return self._settle(id_, self._link.request(CommandResultRequest(id_), CommandResult))
            except LinkTimeout:
                continue
            except (LinkError, TransportError) as error:
                raise self._doubt(id_, error.sentence) from error
        raise self._doubt(id_, "the pump does not answer")

    def stopped(self) -> tuple[int, ...]:
        """The pump has confirmed a STOP: what ran is asked for its result. Gives what it says still runs."""
        running = set()
        for id_ in sorted(self.started | set(self.uncertain)):
            with contextlib.suppress(DoseUncertain, DoseNotStarted):
                if self.result(id_).state == CommandState.RUNNING:
                    running.add(id_)
        self.started &= running
        return tuple(sorted(running))

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
        gave_once = self._journal.kind(id_) in _GIVES_ITS_VOLUME_ONCE
        volume_ul = self._journal.values(id_)["volume_ul"] if gave_once else None
        self._journal.outcome(id_, "resolved", 0.0 if gave_once else None, volume_ul, by=by)
        del self.uncertain[id_]

    def _commit(self, id_: int, commit: Commit) -> Dose:
        """COMMIT and what became of it; an interrupt leaves the command in doubt, to be settled before the next."""
        try:
            self.started.add(id_)
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
        if state == CommandState.FORGOTTEN:
            raise self._doubt(id_, "the pump has forgotten it")
        if state != CommandState.RUNNING and state not in _FINAL:
            raise self._doubt(id_, f"the pump answers with the unknown state {state}")
        self._seen_by_pump.add(id_)
        if not 0.0 <= low_ul <= high_ul < math.inf:
            raise self._doubt(id_, f"the pump says that it delivered between {low_ul:g} and {high_ul:g} µL")
        if state == CommandState.RUNNING:
            self.uncertain.pop(id_, None)
            self._note(id_, "running", low_ul, high_ul)
        else:
            self._close(id_, _FINAL[CommandState(state)], low_ul, high_ul)
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
        values = described(self._journal.values(id_))
        self.uncertain[id_] = f"{values}: {why}"
        return DoseUncertain(
            self._link.port,
            f"command {id_} ({values}) may have been carried out wholly, partly or not at all, because {why}; it "
            f'counts as delivered. Open the pump again to ask it, or call Pump.resolve({id_}, by="name")',
            (id_,),
        )
