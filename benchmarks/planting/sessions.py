"""Bugs of the two sessions and of the line: retries, numbers, replies, damaged frames, a lost port."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cobs.cobs import DecodeError as CobsError
from cobs.cobs import decode as cobs_decode
from cobs.cobs import encode as cobs_encode
from fastcrc.crc32 import iscsi as crc32c

from bench.campaign.scoring import FindingKind
from driver.transport.base import Guarded
from planting.bug import Swap, bug, instead
from planting.dosing import token_not_compared
from protocol import DeviceSession, Frame, HostSession, StreamDecoder
from protocol.framing import RejectCause

DEAF_S = 3.0
CRC_BYTES = 4


@bug(
    "reply-cache-lost",
    "The pump keeps no replies: a retry is carried out like a new request.",
    "drop-reply duplicate",
    FindingKind.TWO_ANSWERS,
)
def reply_cache_lost() -> Iterable[Swap]:
    def new_exchange(original: Any, session: DeviceSession, frame: Frame, sealer: Any) -> Any:
        for exchanges in (session._plain, session._sealed):
            exchanges.pop(frame.seq, None)
        return original(session, frame, sealer)

    yield instead(DeviceSession, "_new_exchange", new_exchange)


@bug(
    "retry-with-new-seq",
    "The driver sends a retry under a new number.",
    "drop-reply drop-request",
    FindingKind.COMMIT_TWICE,
)
def retry_with_new_seq() -> Iterable[Swap]:
    def poll(original: Any, session: HostSession, now: float) -> Any:
        waiting = session._outstanding
        if waiting is not None and now >= waiting.deadline_s and waiting.attempts_left:
            waiting.seq = session._next_seq
            session._next_seq += 1
            waiting.frame = session._frame(waiting.message, waiting.seq)
        return original(session, now)

    yield instead(HostSession, "poll", poll)


@bug(
    "seq-never-counts",
    "The driver uses one number for all requests of a session.",
    "flip",
    FindingKind.REFUSED,
    FindingKind.SLOW,
    FindingKind.UNHANDLED,
)
def seq_never_counts() -> Iterable[Swap]:
    def request(original: Any, session: HostSession, message: Any, now: float) -> int:
        seq = int(original(session, message, now))
        session._next_seq = seq
        return seq

    yield instead(HostSession, "request", request)


@bug(
    "any-reply-will-do",
    "The driver takes a reply of the right type for its own, whatever its number, id and token.",
    "late duplicate",
    FindingKind.FALSE_DELIVERED,
    FindingKind.OUTSIDE,
    FindingKind.FALSE_NOT_DELIVERED,
    quick=False,
)
def any_reply_will_do() -> Iterable[Swap]:
    def event(original: Any, session: HostSession, frame: Frame) -> Any:
        if session._outstanding is not None and frame.seq:
            session._outstanding.seq = frame.seq
        return original(session, frame)

    yield instead(HostSession, "_event", event)
    yield from token_not_compared.swaps()


class Trusting(StreamDecoder):
    """Takes a frame whose CRC differs as if it did not."""

    def feed(self, data: bytes) -> list[Frame]:
        *runs, rest = data.split(b"\0")
        return super().feed(b"\0".join([*map(_with_right_crc, runs), rest]))


def _with_right_crc(run: bytes) -> bytes:
    try:
        body = cobs_decode(run)[:-CRC_BYTES]
    except CobsError:
        return run
    return bytes(cobs_encode(body + crc32c(body).to_bytes(CRC_BYTES, "little"))) if body else run


@bug(
    "crc-ignored",
    "The driver takes replies whose CRC differs.",
    "flip bit-rot",
    FindingKind.FALSE_DELIVERED,
    FindingKind.OUTSIDE,
    FindingKind.UNHANDLED,
    FindingKind.FALSE_NOT_DELIVERED,
    FindingKind.UNRESOLVED,
)
def crc_ignored() -> Iterable[Swap]:
    def init(original: Any, session: HostSession, **named: Any) -> None:
        original(session, **named)
        session.decoder = Trusting()

    yield instead(HostSession, "__init__", init)


@bug(
    "deaf-after-damage",
    "After a damaged frame the driver takes nothing for three seconds.",
    "flip noise bit-rot",
    FindingKind.SLOW,
)
def deaf_after_damage() -> Iterable[Swap]:
    def receive(original: Any, session: HostSession, data: bytes, now: float) -> Any:
        damaged, deaf_until_s = getattr(session.decoder, "damaged", (0, 0.0))
        if now < deaf_until_s:
            return []
        events = original(session, data, now)
        counts = session.decoder.reject_counts
        if (seen := counts[RejectCause.CRC] + counts[RejectCause.COBS]) != damaged:
            session.decoder.damaged = seen, now + DEAF_S  # type: ignore[attr-defined]
        return events

    yield instead(HostSession, "receive", receive)


@bug(
    "port-error-unnamed", "What the port raises goes up as it is.", "re-enumerate blocked-write", FindingKind.UNHANDLED
)
def port_error_unnamed() -> Iterable[Swap]:
    def keep(original: Any, guarded: Guarded, error: Exception) -> Any:
        return error

    yield instead(Guarded, "_keep", keep)


SESSION_BUGS = (
    reply_cache_lost,
    retry_with_new_seq,
    seq_never_counts,
    any_reply_will_do,
    crc_ignored,
    deaf_after_damage,
    port_error_unnamed,
)
