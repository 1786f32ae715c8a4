"""A pump that takes frames or requests wrongly in one way fails the check of just that sentence."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cobs import cobs
from fastcrc import crc32

from protocol import (
    Ack,
    CommandResultRequest,
    Hello,
    HelloRequest,
    Nak,
    NakReason,
    Therapy,
)
from protocol.registry import DEFINITIONS


class AnswersRetriesTwice:
    def __init__(self) -> None:
        self._seen: set[bytes] = set()
        self._twice: set[int] = set()

    def host_sent(self, run) -> list[bytes]:
        if run.raw in self._seen:
            self._twice.add(run.seq)
        self._seen.add(run.raw)
        return [run.raw]

    def device_sent(self, run) -> list[bytes]:
        twice = run.type < 0xC0 and run.seq in self._twice
        self._twice.discard(run.seq)
        return [run.raw] * (2 if twice else 1)


class AnswersEverythingTwice:
    def device_sent(self, run) -> list[bytes]:
        return [run.raw] * (2 if run.type < 0xC0 else 1)


class Renumbers:
    """Takes some requests for new ones: they reach the pump with a seq of their own."""

    def __init__(self, is_renumbered: Callable[[bytes | None, bytes], bool]) -> None:
        self._is_renumbered = is_renumbered
        self._seen: dict[int, bytes] = {}
        self._seqs: dict[int, int] = {}

    def host_sent(self, run) -> list[bytes]:
        if not run.intact or run.type >= 0x80:
            return [run.raw]
        before = self._seen.get(run.seq)
        if run.type == HelloRequest.TYPE and before != run.raw:
            self._seen.clear()
        self._seen[run.seq] = run.raw
        if not self._is_renumbered(before, run.raw):
            return [run.raw]
        own_seq = self.line.own_seq()
        self._seqs[own_seq] = run.seq
        return [run.sent_as(seq=own_seq)]

    def device_sent(self, run) -> list[bytes]:
        return [run.sent_as(seq=self._seqs[run.seq])] if run.seq in self._seqs else [run.raw]


class KeepsCacheOverHello:
    def __init__(self) -> None:
        self._asked: dict[int, bytes] = {}
        self._replies: dict[bytes, bytes] = {}

    def host_sent(self, run) -> list[bytes]:
        if run.raw in self._replies:
            self.line.inject(self._replies[run.raw])
            return []
        if run.intact:
            self._asked[run.seq] = run.raw
        return [run.raw]

    def device_sent(self, run) -> list[bytes]:
        if run.type < 0xC0 and run.type != Nak.TYPE and run.seq in self._asked:
            self._replies[self._asked[run.seq]] = run.raw
        return [run.raw]


class HoldsSeqsOverHello:
    def __init__(self) -> None:
        self._seen: dict[int, bytes] = {}

    def host_sent(self, run) -> list[bytes]:
        before = self._seen.setdefault(run.seq, run.raw)
        if run.intact and before != run.raw and self.line.read_run(before).intact:
            self.line.inject_message(Nak(NakReason.SEQ_REUSED, ""), run.seq)
            return []
        return [run.raw]


class AnswersEchoes:
    def host_sent(self, run) -> list[bytes]:
        if run.intact and run.type >= 0x80:
            self.line.inject_message(Nak(NakReason.UNKNOWN_TYPE, ""), run.seq)
        return [run.raw]


class NaksZeros:
    def zeros(self, count: int) -> None:
        if count == 5:
            self.line.inject_message(Nak(NakReason.MALFORMED, ""), 1)


class IgnoresCrc:
    def host_sent(self, run) -> list[bytes]:
        try:
            body = cobs.decode(run.raw)
        except cobs.DecodeError:
            return [run.raw]
        if run.intact or len(body) < 10 or body[0] != 0x10 or body[1] not in DEFINITIONS:
            return [run.raw]
        return [bytes(cobs.encode(body[:-4] + crc32.iscsi(body[:-4]).to_bytes(4, "little")))]


class LosesTheFrameBehindDamage:
    _damaged = False

    def host_sent(self, run) -> list[bytes]:
        lost, self._damaged = self._damaged, not run.intact
        return [] if lost else [run.raw]


class NaksDamage:
    def host_sent(self, run) -> list[bytes]:
        if not run.intact and len(run.raw) < 40:
            self.line.inject_message(Nak(NakReason.MALFORMED, ""), 1)
        return [run.raw]


class NeedsWholeFrames:
    def takes(self, data: bytes) -> bool:
        return data[-1:] == b"\0" or len(data) > 255


class ReadsEveryMajor:
    def host_sent(self, run) -> list[bytes]:
        return [run.sent_as(version=0x10) if run.intact and run.version >> 4 != 1 else run.raw]


class ReadsHelloOfOwnMajorOnly:
    def host_sent(self, run) -> list[bytes]:
        if run.intact and run.version >> 4 != 1:
            self.line.inject_message(Nak(NakReason.VERSION, ""), run.seq)
            return []
        return [run.raw]


class IgnoresFlags:
    def host_sent(self, run) -> list[bytes]:
        return [run.sent_as(version=0x10) if run.intact and run.version & 0x0E else run.raw]


class RefusesTrailers:
    def host_sent(self, run) -> list[bytes]:
        if run.intact and run.version & 1:
            self.line.inject_message(Nak(NakReason.VERSION, ""), run.seq)
            return []
        return [run.raw]


class TakesPayloadsOfAnyLength:
    def host_sent(self, run) -> list[bytes]:
        if run.intact and run.type == CommandResultRequest.TYPE:
            return [run.sent_as(payload=run.payload.ljust(8, b"\0")[:8])]
        return [run.raw]


class StoresRefusals:
    def __init__(self) -> None:
        self._refused: dict[int, bytes] = {}

    def host_sent(self, run) -> list[bytes]:
        if run.intact and run.seq in self._refused:
            self.line.inject(self._refused[run.seq])
            return []
        return [run.raw]

    def device_sent(self, run) -> list[bytes]:
        if run.intact and run.type == Nak.TYPE and run.payload[0] == NakReason.MALFORMED:
            self._refused[run.seq] = run.raw
        return [run.raw]


class PadsTextsWithGarbage:
    def device_sent(self, run) -> list[bytes]:
        return [run.sent_as(payload=run.payload[:51] + b"!" + run.payload[52:]) if run.message(Hello) else run.raw]


class AnswersWithAnotherType:
    def device_sent(self, run) -> list[bytes]:
        return [run.sent_as(type=Ack.TYPE, payload=b"") if run.message(Therapy) else run.raw]


FAULTS: dict[str, Callable[[], object]] = {
    "answers retries twice": AnswersRetriesTwice,
    "answers everything twice": AnswersEverythingTwice,
    "ignores that a seq is used again": lambda: Renumbers(lambda before, now: before is not None and before != now),
    "acts on retries": lambda: Renumbers(lambda before, now: before == now),
    "keeps its cache over HELLO": KeepsCacheOverHello,
    "holds seqs over HELLO": HoldsSeqsOverHello,
    "answers echoes": AnswersEchoes,
    "answers zeros": NaksZeros,
    "ignores the CRC": IgnoresCrc,
    "loses the frame behind damage": LosesTheFrameBehindDamage,
    "answers damage": NaksDamage,
    "takes frames only in one piece": NeedsWholeFrames,
    "reads every major version": ReadsEveryMajor,
    "reads HELLO of its own major version only": ReadsHelloOfOwnMajorOnly,
    "ignores unknown flags": IgnoresFlags,
    "refuses trailers": RefusesTrailers,
    "takes payloads of any length": TakesPayloadsOfAnyLength,
    "stores refusals": StoresRefusals,
    "pads texts with garbage": PadsTextsWithGarbage,
    "answers with another type": AnswersWithAnotherType,
}


def test_every_kind_of_wrong_behaviour_is_expected_to_fail_something(expected) -> None:
    assert set(FAULTS) == set(expected["session"])


@pytest.mark.parametrize("fault", FAULTS)
def test_a_pump_that(fault: str, tested, expected) -> None:
    run = tested(FAULTS[fault]())
    assert run.failed == expected["session"][fault]
    assert run.report.pump_left.startswith("stopped")
