"""Therapy in force, alarms and self-test: what of a pump takes more than one plain request."""

from __future__ import annotations

from driver.errors import ReplyInvalid
from driver.lease import holder_named
from driver.link import Link
from driver.schemas import Layouts
from driver.validation import require_whole
from protocol import (
    Ack,
    AcknowledgeAlarms,
    Alarm,
    DecodeError,
    Proposable,
    SelfTestItem,
    SelfTestReport,
    SelfTestRequest,
    Therapy,
    TherapyRequest,
    decode_payload,
)

MOST_SILENCE_S = 2**32 - 1


def therapy_in_force(link: Link, layouts: Layouts) -> Proposable | None:
    """The proposal that the therapy in force was committed from, with the values really used; None when stopped.

    Raises:
        VersionMismatch: therapy is laid out differently.
        ReplyInvalid: what the pump says is no proposal.
        LinkError, TransportError: the pump cannot be asked.
    """
    layouts.require_therapy(link.port)
    answer = link.request(TherapyRequest(), Therapy)
    if answer.propose_type == 0:
        return None
    try:
        proposal = decode_payload(answer.propose_type, answer.canonical)
    except DecodeError as error:
        raise ReplyInvalid(link.port, f"the pump's therapy cannot be read ({error})") from error
    if not isinstance(proposal, Proposable):
        raise ReplyInvalid(link.port, f"the pump gives {type(proposal).__name__} for its therapy, which is no proposal")
    return proposal


def acknowledge(link: Link, alarms: Alarm, silence_s: int) -> None:
    """Tell the pump that somebody has seen these alarms; an active one keeps quiet for `silence_s`.

    Raises:
        ValueError: no alarm is named, or the silence is no whole number of seconds.
        LeaseHeld: another host holds the control lease.
        LinkError, TransportError: the pump cannot be asked.
    """
    if not alarms:
        raise ValueError("no alarm is named; give those to acknowledge, such as Alarm.LOW_RESERVOIR")
    require_whole(silence_s, "an alarm's silence", "seconds", least=0, most=MOST_SILENCE_S)
    with holder_named(link):
        link.request(AcknowledgeAlarms(alarms, silence_s), Ack)


def self_test(link: Link, items: SelfTestItem | int) -> SelfTestReport:
    """Have the pump test itself.

    Raises:
        LeaseHeld: another host holds the control lease.
        LinkError, TransportError: the pump cannot be asked.
    """
    with holder_named(link):
        return link.request(SelfTestRequest(items), SelfTestReport)
