"""Bugs of the driver: how it doses, and what it makes of what the pump says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from msgspec import structs

from bench.campaign.scoring import FindingKind
from driver import stopping
from driver.dose import Dose, DoseState
from driver.dosing import Dosing
from driver.errors import DoseNotStarted, DoseUncertain, LinkTimeout, TransportError
from driver.journal import Journal
from driver.link import Link
from driver.orders import Orders
from driver.pump import Pump
from planting.bug import Swap, bug, instead
from protocol import CommandResult, CommandState, Commit, Stopped

UNSEEN = "planted: taken as not done"
FALSE, NOT, OUTSIDE = FindingKind.FALSE_DELIVERED, FindingKind.FALSE_NOT_DELIVERED, FindingKind.OUTSIDE
DOUBT_LOST, REFUSED = FindingKind.DOUBT_LOST, FindingKind.REFUSED


@bug(
    "blind-retry",
    "Where the driver is in doubt about a bolus, it gives it again.",
    "drop-reply stuck-line",
    FindingKind.DOUBLE,
)
def blind_retry() -> Iterable[Swap]:
    def bolus(original: Any, pump: Pump, volume_ul: float, **named: Any) -> Any:
        try:
            return original(pump, volume_ul, **named)
        except DoseUncertain:
            for id_ in pump.uncertain_doses:
                pump.resolve(id_, by="nobody", because="planted")
            return original(pump, volume_ul, **named)

    yield instead(Pump, "bolus", bolus)


def _link_request(answer_to_commit: Any) -> Swap:
    def request(original: Any, link: Link, message: Any, answer: Any, **named: Any) -> Any:
        if isinstance(message, Commit):
            return answer_to_commit(lambda: original(link, message, answer, **named), link)
        return original(link, message, answer, **named)

    return instead(Link, "request", request)


@bug(
    "commit-anew",
    "A COMMIT without an answer is sent again as a new request, not asked for.",
    "drop-reply stuck-line",
    FindingKind.COMMIT_TWICE,
)
def commit_anew() -> Iterable[Swap]:
    def again(send: Any, _: Link) -> Any:
        try:
            return send()
        except LinkTimeout:
            return send()

    yield _link_request(again)


@bug("silence-is-no", "A COMMIT without an answer is taken as not carried out.", "drop-reply stuck-line", NOT)
def silence_is_no() -> Iterable[Swap]:
    def not_started(send: Any, link: Link) -> Any:
        try:
            return send()
        except LinkTimeout as error:
            raise DoseNotStarted(link.port, UNSEEN) from error

    yield _link_request(not_started)


@bug(
    "lost-port-is-no",
    "A port lost before the answer to COMMIT is taken as: not carried out.",
    "re-enumerate blocked-write",
    NOT,
)
def lost_port_is_no() -> Iterable[Swap]:
    def not_started(send: Any, link: Link) -> Any:
        try:
            return send()
        except TransportError as error:
            raise DoseNotStarted(link.port, UNSEEN) from error

    yield _link_request(not_started)


def _result_as(wrong: dict[CommandState, CommandState]) -> Swap:
    def settle(original: Any, dosing: Dosing, id_: int, result: CommandResult, *more: Any) -> Any:
        state = wrong.get(CommandState(result.state), result.state)
        return original(dosing, id_, structs.replace(result, state=state), *more)

    return instead(Dosing, "_settle", settle)


@bug("running-is-done", "A dose that runs is told as done.", "flip late", FALSE, OUTSIDE)
def running_is_done() -> Iterable[Swap]:
    yield _result_as({CommandState.RUNNING: CommandState.DONE})


@bug("interrupted-is-done", "A dose that a reset interrupted is told as done.", "reboot power-cut", FALSE)
def interrupted_is_done() -> Iterable[Swap]:
    yield _result_as({CommandState.INTERRUPTED: CommandState.DONE})


@bug("failed-is-done", "A dose that a stalled motor ended is told as done.", "stuck-motor", FALSE)
def failed_is_done() -> Iterable[Swap]:
    yield _result_as({CommandState.FAILED: CommandState.DONE})


@bug("forgotten-is-no", "What the pump has forgotten is told as not started.", "evidence-lost", NOT)
def forgotten_is_no() -> Iterable[Swap]:
    def settle(original: Any, dosing: Dosing, id_: int, result: CommandResult, *more: Any) -> Any:
        if result.state == CommandState.FORGOTTEN:
            raise DoseNotStarted("planted", UNSEEN)
        return original(dosing, id_, result, *more)

    yield instead(Dosing, "_settle", settle)


@bug("forgotten-is-done", "What the pump has forgotten is told as done.", "evidence-lost", FALSE, OUTSIDE)
def forgotten_is_done() -> Iterable[Swap]:
    def settle(original: Any, dosing: Dosing, id_: int, result: CommandResult) -> Any:
        if result.state == CommandState.FORGOTTEN:
            return _done(id_, dosing._journal.values(id_))
        return original(dosing, id_, result)

    yield instead(Dosing, "_settle", settle)


@bug("token-not-compared", "A result is believed for its id, whoever's proposal it came of.", "second-host", FALSE)
def token_not_compared() -> Iterable[Swap]:
    yield instead(Dosing, "_settle", _settle_for_its_own)


def _settle_for_its_own(original: Any, dosing: Dosing, id_: int, result: CommandResult) -> Any:
    entry = dosing._journal.entry(id_)
    token = result.token if entry is None or entry.token is None else entry.token
    return original(dosing, id_, structs.replace(result, command_id=id_, token=token))


def _done(id_: int, canonical: Mapping[str, Any]) -> Dose:
    volume_ul = float(canonical.get("volume_ul", 0.0))
    return Dose(id_, DoseState.DELIVERED, volume_ul, volume_ul, dict(canonical), CommandState.DONE)


@bug(
    "upper-end-lost", "Only the confirmed volume is told, without what a power cut left in doubt.", "power-cut", OUTSIDE
)
def upper_end_lost() -> Iterable[Swap]:
    def settle(original: Any, dosing: Dosing, *arguments: Any) -> Any:
        dose = original(dosing, *arguments)
        return replace(dose, delivered_high_ul=dose.delivered_low_ul)

    yield instead(Dosing, "_settle", settle)


@bug(
    "journal-skipped",
    "Doses that the journal leaves open are not asked for at the opening, and block nothing.",
    "evidence-lost",
    DOUBT_LOST,
)
def journal_skipped() -> Iterable[Swap]:
    yield instead(Dosing, "reconcile", lambda original, dosing: None)


@bug("doubt-lets-pass", "A dose in doubt does not keep the next one back.", "evidence-lost", DOUBT_LOST)
def doubt_lets_pass() -> Iterable[Swap]:
    yield instead(Dosing, "require_none_uncertain", lambda original, dosing: None)


@bug(
    "doubt-not-kept",
    "The doubt about a dose lives as long as the process: the journal has it as ended.",
    "evidence-lost",
    DOUBT_LOST,
)
def doubt_not_kept() -> Iterable[Swap]:
    yield instead(Journal, "unresolved", lambda original, journal: {})


@bug(
    "ids-from-memory",
    "Command ids begin at 1 with each process; neither journal nor pump is asked.",
    "reset-on-open",
    REFUSED,
)
def ids_from_memory() -> Iterable[Swap]:
    def take_id(original: Any, journal: Journal, device_last_id: int, *arguments: Any) -> int:
        journal.highest_id = getattr(journal, "ids_taken", 0)
        journal.ids_taken = journal.highest_id + 1  # type: ignore[attr-defined]
        return int(original(journal, 0, *arguments))

    yield instead(Journal, "take_id", take_id)


@bug(
    "ids-from-journal",
    "Command ids follow the journal alone, not what the pump says it has seen.",
    "evidence-lost second-host",
    REFUSED,
)
def ids_from_journal() -> Iterable[Swap]:
    yield instead(Journal, "take_id", lambda original, journal, device_last_id, *rest: original(journal, 0, *rest))


@bug("ids-of-4-bits", "The driver counts its command ids in four bits.", "evidence-lost flip", REFUSED)
def ids_of_4_bits() -> Iterable[Swap]:
    def take_id(original: Any, journal: Journal, device_last_id: int, *arguments: Any) -> int:
        return int(original(journal, device_last_id, *arguments)) & 15

    yield instead(Journal, "take_id", take_id)


@bug(
    "stop-not-awaited", "STOP is told as confirmed when it is sent.", "stuck-line drop-request", FindingKind.AFTER_STOP
)
def stop_not_awaited() -> Iterable[Swap]:
    def send_stop(original: Any, link: Link) -> Stopped:
        try:
            return original(link)
        except Exception:
            return Stopped(0, 0, 0.0)

    yield instead(stopping, "send_stop", send_stop)
    yield instead(Dosing, "stopped", lambda original, dosing: ())


@bug(
    "volume-rounded",
    "The volume of a bolus is rounded to a tenth of a microlitre.",
    "flip",
    FindingKind.UNASKED,
    OUTSIDE,
)
def volume_rounded() -> Iterable[Swap]:
    yield instead(
        Pump, "bolus", lambda original, pump, volume_ul, **named: original(pump, round(volume_ul, 1), **named)
    )


@bug(
    "wait-too-short",
    "A bolus is told as done when its time is over, without asking.",
    "reboot stuck-motor",
    FALSE,
    OUTSIDE,
)
def wait_too_short() -> Iterable[Swap]:
    def ended(original: Any, orders: Orders, dose: Any) -> Any:
        orders._clock.sleep(3600.0 * dose.canonical["volume_ul"] / dose.canonical["rate_ul_per_h"] + 1.0)
        return _done(dose.id, dose.canonical)

    yield instead(Orders, "_ended", ended)


DOSING_BUGS = (
    blind_retry,
    commit_anew,
    silence_is_no,
    lost_port_is_no,
    running_is_done,
    wait_too_short,
    interrupted_is_done,
    failed_is_done,
    forgotten_is_no,
    forgotten_is_done,
    token_not_compared,
    upper_end_lost,
    journal_skipped,
    doubt_lets_pass,
    doubt_not_kept,
    ids_from_memory,
    ids_from_journal,
    ids_of_4_bits,
    stop_not_awaited,
    volume_rounded,
)
