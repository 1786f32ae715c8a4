"""Dosing exactly once, or reported as uncertain: PROPOSE, compare, journal, COMMIT; and what to do about a lost reply.

The rules are in docs/protocol.md and in the design: an id is durable before its first byte is sent, a lost COMMIT reply
is settled by asking for the id's result and never by committing again, and what cannot be settled counts as delivered.
"""

from __future__ import annotations

import contextlib
import math

from msgspec.structs import replace

from driver.agreement import agreed, described, values_of
from driver.dose import Dose, DoseState, state_of
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
    NakReason,
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

_RESOLVE = 'Pump.resolve({}, by="name", because="reason")'
_FINAL = {
    CommandState.DONE: "done",
    CommandState.STOPPED: "stopped",
    CommandState.INTERRUPTED: "interrupted",
    CommandState.FAILED: "failed",
}
_NEVER_BEGUN = (None, "", "refused", "not_started")
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


class Dosing:
    """The dosing commands of one pump and one host process.

    `started` are the ids this process may have set going and whose end it has not seen; `uncertain` those, also of
    earlier processes, whose result the pump could not tell, with why; `journal_fault` is the last failure to note an
    outcome, which harms no dose: the pump is asked for it again at the next opening.
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
            doses = tuple(self._uncertain_dose(id_, None) for id_ in self.uncertain)
            listed = "; ".join(f"command {d.id} ({described(d.canonical)}): {self.uncertain[d.id]}" for d in doses)
            raise DoseUncertain(
                self._link.port,
                f"no dosing before the uncertain is resolved: {listed}. It counts as delivered: weigh or inspect, "
                f"then call {_RESOLVE.format('id')} for each",
                doses,
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
            self._journal.commit(id_, kind, values_of(canonical), proposal.token)
        except BaseException:
            self._write_outcome(id_, "refused", 0.0, 0.0)
            raise
        return self._commit(id_, Commit(id_, proposal.token, proposal.digest))

    def result(self, id_: int) -> Dose:
        """Ask the pump what became of a command, and note it.

        That it never saw it is final: the question kills the token, so no COMMIT still on its way can start it. So is
        that it did something else by this id, under another proposal's token: an id is used once.

        Raises:
            DoseNotStarted: the pump never saw it, or another host took the id.
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
                if self.result(id_).state is DoseState.PENDING:
                    running.add(id_)
        self.started &= running
        return tuple(sorted(running))

    def resolve(
        self, id_: int, *, by: str, because: str, as_: DoseState | str, volume_ul: tuple[float, float] | None
    ) -> None:
        """An operator takes a command whose end is not known on their name; it is still stopped on leaving.

        Raises:
            ValueError: its end is known, it runs, or what the operator says cannot be.
            JournalError: it could not be noted, so nothing has changed.
        """
        cannot_tell = id_ in self.uncertain
        self._journal.resolve(id_, by=by, because=because, as_=as_, volume_ul=volume_ul, pump_lost=cannot_tell)
        self.uncertain.pop(id_, None)

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
            except DoseNotStarted as told:
                if refusal.reason == NakReason.BAD_TOKEN:
                    raise told from refusal
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
            raise self._not_begun(id_, state, "it never saw it", f"the pump never saw command {id_}")
        if state == CommandState.FORGOTTEN:
            raise self._doubt(id_, "the pump has forgotten it", state)
        if state != CommandState.RUNNING and state not in _FINAL:
            raise self._doubt(id_, f"the pump answers with the unknown state {state}", state)
        entry = self._journal.entry(id_)
        if entry is not None and entry.token != result.token:
            if result.token == 0:
                raise self._doubt(id_, "the pump does not tell whose proposal became of it", state)
            denial = f"another host took command {id_} first, so this one was not carried out and never will be"
            raise self._not_begun(id_, state, "another host took it", denial)
        self._seen_by_pump.add(id_)
        if not 0.0 <= low_ul <= high_ul < math.inf:
            raise self._doubt(id_, f"the pump says that it delivered between {low_ul:g} and {high_ul:g} µL", state)
        said = CommandState(state)
        if said == CommandState.RUNNING:
            self.uncertain.pop(id_, None)
            self._note(id_, "running", low_ul, high_ul)
        else:
            self._close(id_, _FINAL[said], low_ul, high_ul)
        canonical = entry.values if entry is not None and entry.values is not None else {}
        return Dose(id_, state_of(said, high_ul), low_ul, high_ul, dict(canonical), said)

    def _not_begun(
        self, id_: int, said: CommandState | int, denial: str, sentence: str
    ) -> DoseNotStarted | DoseUncertain:
        """The error to raise where the pump denies a command; it is not believed if it once said otherwise."""
        if id_ in self._seen_by_pump or self._journal.state(id_) not in _NEVER_BEGUN:
            return self._doubt(id_, f"the pump now says that {denial}", said)
        self._close(id_, "not_started", 0.0, 0.0)
        return DoseNotStarted(self._link.port, f"{sentence}; nothing was dosed, ask again")

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

    def _doubt(self, id_: int, why: str, said: CommandState | int | None = None) -> DoseUncertain:
        """The error to raise; only a command whose end the journal does not tell blocks the next dose."""
        dose = self._uncertain_dose(id_, said)
        if id_ not in self._journal.unresolved():
            state = self._journal.state(id_)
            known = "does not know it" if state is None else f"has it as {state}"
            return DoseUncertain(
                self._link.port,
                f"what became of command {id_} cannot be told, because {why}; the journal {known}",
                (dose,),
            )
        self.uncertain[id_] = why
        return DoseUncertain(
            self._link.port,
            f"command {id_} ({described(dose.canonical)}) may have been carried out wholly, partly or not at all, "
            f"because {why}; it counts as delivered. Open the pump again to ask it, or call {_RESOLVE.format(id_)}",
            (dose,),
        )

    def _uncertain_dose(self, id_: int, said: CommandState | int | None) -> Dose:
        """What is known of a command without the pump: what the journal tells."""
        entry = self._journal.entry(id_)
        if entry is None or entry.values is None:
            return Dose(id_, DoseState.UNCERTAIN, 0.0, math.inf, {}, said)
        return Dose(id_, DoseState.UNCERTAIN, *entry.bounds_ul, dict(entry.values), said)
