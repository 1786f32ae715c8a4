"""How pump and driver behaved, whatever was said of the doses: what passed on the line against what the motor was told.

Instants are ns of the world. Frames are taken as they were handed to the line, before any fault, so a rule is broken by
whoever sent them and not by the line.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from bench.campaign.scoring import Finding, FindingKind
from protocol import Commit, Event, EventCode, Frame, Hello, Nak, NakReason, Proposal, StreamDecoder
from protocol.device_session import REPLIES_KEPT
from protocol.registry import FIRST_NOTIFICATION_TYPE

TOKEN_NS = 30_000_000_000
TRIAL = -1

_TYPE_AT = 3  # of a frame with its zeros: COBS leaves a type, which is never 0, where it is
_COMMIT = bytes([Commit.TYPE])
_NOT_KEPT = frozenset({NakReason.SEQ_REUSED, NakReason.UNAUTHENTICATED})


@dataclass(frozen=True, slots=True)
class Span:
    """From one instant to another; for what happens at one, they are the same."""

    from_ns: int
    until_ns: int


@dataclass(frozen=True, slots=True)
class Start:
    """The motor was told to turn: for the dose with a number of steps, None where it was for none of them."""

    at_ns: int
    steps: int | None


@dataclass(slots=True)
class Record:
    """What a trial notes as it goes.

    `asked`: the calls of the driver that asked for a dose, in order, by its number of steps. `running_on`: those of
    them that go on until told otherwise; a reset starts them anew. `stops`: from the sending
    of a STOP, ours or another host's, to its confirmation. `leases`: those that another host on this line was granted
    and no reset can have ended; they bind us from our next HELLO on, before which the pump takes us for that host.
    `line`: when, whether from the device, and what was handed over.
    """

    asked: dict[int, Span] = field(default_factory=dict)
    running_on: set[int] = field(default_factory=set)
    stops: list[Span] = field(default_factory=list)
    leases: list[Span] = field(default_factory=list)
    starts: Sequence[Start] = ()
    line: Sequence[tuple[int, bool, bytes]] = ()


def breaches(record: Record) -> list[Finding]:
    """All that is wrong, each once."""
    said = _frames((at_ns, data) for at_ns, is_said, data in record.line if is_said)
    commits = _frames(
        (at_ns, data) for at_ns, is_said, data in record.line if not is_said and data.startswith(_COMMIT, _TYPE_AT)
    )
    found = [*_commits_sent_anew(commits), *_two_answers(said), *_wrong_starts(record, commits, said)]
    return list(dict.fromkeys(found))


def _frames(line: Iterable[tuple[int, bytes]]) -> list[tuple[int, Frame]]:
    """Each frame with the instant at which it was handed over."""
    written = list(line)
    ends = list(accumulate(len(data) for _, data in written))
    frames = StreamDecoder().feed(b"".join(data for _, data in written))
    return [(written[bisect_right(ends, frame.offset)][0], frame) for frame in frames]


def _commits_sent_anew(commits: Sequence[tuple[int, Frame]]) -> Iterator[Finding]:
    """A retry keeps its seq; another seq is another COMMIT."""
    seqs: dict[int, set[int]] = defaultdict(set)
    for _, frame in commits:
        seqs[_command_id(frame)].add(frame.seq)
    for id_, used in seqs.items():
        if len(used) > 1:
            yield Finding(FindingKind.COMMIT_TWICE, TRIAL, f"COMMIT of command {id_} went out under {len(used)} seqs")


def _two_answers(said: Sequence[tuple[int, Frame]]) -> Iterator[Finding]:
    """Within a session, as long as its reply is kept, a request is acted on once: its answer never changes.

    Sealed requests have a cache of their own.
    """
    kept: dict[tuple[bool, int], tuple[int, bytes]] = {}
    for _, frame in said:
        if frame.type >= FIRST_NOTIFICATION_TYPE:
            if isinstance(frame.message, Event) and frame.message.code == EventCode.BOOT:
                kept.clear()
            continue
        if frame.type == Hello.TYPE:
            kept.clear()
        elif isinstance(frame.message, Nak) and frame.message.reason in _NOT_KEPT:
            continue
        answer = frame.type, frame.payload
        if kept.setdefault((frame.trailer is None, frame.seq), answer) != answer:
            yield Finding(FindingKind.TWO_ANSWERS, TRIAL, f"seq {frame.seq}: another {type(frame.message).__name__}")
        if len(kept) > REPLIES_KEPT:
            del kept[next(iter(kept))]


def _wrong_starts(
    record: Record, commits: Sequence[tuple[int, Frame]], said: Sequence[tuple[int, Frame]]
) -> Iterator[Finding]:
    began_ns: dict[int, list[int]] = defaultdict(list)
    for start in record.starts:
        if start.steps is not None:
            began_ns[start.steps].append(start.at_ns)
    greeted_ns = [at_ns for at_ns, frame in said if frame.type == Hello.TYPE]
    proposed_ns: dict[int, int] = {}
    for at_ns, frame in said:
        if frame.type == Proposal.TYPE:
            proposed_ns.setdefault(_command_id(frame), at_ns)
    for number, (steps, call) in enumerate(record.asked.items()):
        sent = [(at_ns, frame) for at_ns, frame in commits if call.from_ns <= at_ns <= call.until_ns]
        agreed_ns = proposed_ns.get(_command_id(sent[0][1])) if sent else None
        for place, start_ns in enumerate(began_ns[steps]):
            is_first = place == 0 or steps not in record.running_on
            if is_first and not any(at_ns <= start_ns <= at_ns + TOKEN_NS for at_ns, _ in sent):
                yield Finding(FindingKind.OVERDUE, number, _when(start_ns, f"{len(sent)} COMMITs of it went out"))
            for stop in record.stops:
                if agreed_ns is not None and agreed_ns < stop.from_ns and stop.until_ns < start_ns:
                    yield Finding(FindingKind.AFTER_STOP, number, _when(start_ns, f"STOP at {_s(stop.until_ns)}"))
            for lease in record.leases:
                if is_first and any(lease.from_ns < at_ns < start_ns < lease.until_ns for at_ns in greeted_ns):
                    sentence = _when(start_ns, f"the lease was held from {_s(lease.from_ns)} to {_s(lease.until_ns)}")
                    yield Finding(FindingKind.FOREIGN_LEASE, number, sentence)


def _command_id(frame: Frame) -> int:
    message = frame.message
    assert isinstance(message, Commit | Proposal)
    return message.command_id


def _when(start_ns: int, against: str) -> str:
    return f"the motor started at {_s(start_ns)}; {against}"


def _s(time_ns: int) -> str:
    return f"{time_ns / 1e9:.6f} s"
