"""A simulated pump behind a line that plants one fault, and which checks each of the faults must fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from cobs import cobs
from fastcrc import crc32

from bench.conformance import ConformanceReport, Verdict, run_conformance
from firmware_mock import World
from firmware_mock.station import Station, read_rig, world_for
from protocol import Message, decode_payload, encode
from protocol.registry import DEFINITIONS

OWN_SEQS = 40_000


@dataclass(frozen=True)
class Run:
    """What lies between two zeros: the fields where the CRC holds, else the bytes as they are."""

    raw: bytes
    version: int = 0
    type: int = 0
    seq: int = 0
    payload: bytes = b""
    intact: bool = False

    @classmethod
    def read(cls, raw: bytes) -> Run:
        try:
            body = cobs.decode(raw)
        except cobs.DecodeError:
            return cls(raw)
        if len(body) < 10 or crc32.iscsi(body[:-4]) != int.from_bytes(body[-4:], "little"):
            return cls(raw)
        return cls(raw, body[0], body[1], int.from_bytes(body[2:4], "little"), body[6:-4], True)

    def sent_as(self, **changes: object) -> bytes:
        """The run with changes, right CRC and length field included."""
        new = Run(**{**{name: getattr(self, name) for name in self.__dataclass_fields__}, **changes})
        body = bytes([new.version, new.type]) + new.seq.to_bytes(2, "little")
        body += len(new.payload).to_bytes(2, "little") + new.payload
        return bytes(cobs.encode(body + crc32.iscsi(body).to_bytes(4, "little")))

    def message(self, kind: type[Message]) -> Message | None:
        """The message, if it is intact and of this kind."""
        if not self.intact or self.type != kind.TYPE or len(self.payload) < DEFINITIONS[kind.TYPE].codec.head.size:
            return None
        return decode_payload(self.type, self.payload)


class Line:
    """A transport between the checks and the pump, with a fault on it.

    A fault may have `host_sent(run)` and `device_sent(run)`, which give the runs that go on; `zeros(count)`, called
    at each zero that follows others; `takes(data)`, whether a chunk reaches the pump. It finds its line in `line`.
    """

    def __init__(self, inner, fault) -> None:
        fault.line = self
        self.name = inner.name
        self.to_host = b""
        self.read_run = Run.read
        self._host_sent = getattr(fault, "host_sent", unchanged)
        self._device_sent = getattr(fault, "device_sent", unchanged)
        self._count_zeros = getattr(fault, "zeros", lambda count: None)
        self._takes = getattr(fault, "takes", lambda data: True)
        self._swallow: set[int] = set()
        self._inner = inner
        self._out, self._in = b"", b""
        self._zeros = 0
        self._own_seq = OWN_SEQS

    @property
    def in_waiting(self) -> int:
        return len(self.to_host) + self._inner.in_waiting

    def write(self, data: bytes) -> None:
        for octet in data if self._takes(data) else b"":
            if octet:
                self._out += bytes([octet])
                self._zeros = 0
                continue
            run, self._out = self._out, b""
            if run:
                self.pass_on(self._host_sent(Run.read(run)))
            self._inner.write(b"\0")
            self._zeros += 1
            self._count_zeros(self._zeros)

    def read(self, timeout_s: float) -> bytes:
        data, self.to_host = self.to_host, b""
        if data:
            return data
        for octet in self._inner.read(timeout_s):
            if octet:
                self._in += bytes([octet])
                continue
            run, self._in = self._in, b""
            found = Run.read(run)
            if run and not (found.seq in self._swallow and found.type < 0xC0):
                for each in self._device_sent(found):
                    self.inject(each)
        data, self.to_host = self.to_host, b""
        return data

    def close(self) -> None:
        self._inner.close()

    def pass_on(self, runs: list[bytes]) -> None:
        for run in runs:
            self._inner.write(b"\0" + run + b"\0")

    def inject(self, run: bytes) -> None:
        """Let the host hear a frame."""
        self.to_host += b"\0" + run + b"\0"

    def inject_message(self, message: Message, seq: int) -> None:
        self.to_host += encode(message, seq=seq)

    def ask_unseen(self, message: Message) -> None:
        """Send a request whose reply the host does not hear."""
        seq = self.own_seq()
        self._swallow.add(seq)
        self._inner.write(encode(message, seq=seq))

    def own_seq(self) -> int:
        """A seq that the checks do not use."""
        self._own_seq += 1
        return self._own_seq


def unchanged(run: Run) -> list[bytes]:
    """Everything passes."""
    return [run.raw]


@dataclass(frozen=True)
class Tested:
    """A run of the checks, the pump's world and station behind it."""

    report: ConformanceReport
    world: World
    station: Station

    @property
    def failed(self) -> set[str]:
        """The names of the checks that failed."""
        return self._with(Verdict.FAIL)

    @property
    def skipped(self) -> set[str]:
        """The names of the checks that were skipped."""
        return self._with(Verdict.SKIPPED)

    def _with(self, verdict: Verdict) -> set[str]:
        return {outcome.check.name for outcome in self.report.outcomes if outcome.verdict is verdict}


class NoFault:
    """The line as it should be."""


@pytest.fixture
def tested() -> Iterator[Callable[..., Tested]]:
    """Runs the checks against the simulated pump behind a line with a fault."""
    worlds = []

    def run(fault: object = None, *, may_dose: bool = True, key: bytes | None = None, **options) -> Tested:
        rig = read_rig("sim")
        world = world_for(rig, seed=1)
        worlds.append(world)
        station = Station.from_rig_file(rig, world, key=key)
        line = Line(station.ports["pump"].host, fault or NoFault())
        return Tested(run_conformance(line, world, seed=1, may_dose=may_dose, **options), world, station)

    yield run
    for world in worlds:
        world.close()


EXPECTED: dict[str, dict[str, set[str]]] = {
    "session": {
        "answers retries twice": {"retry-from-cache"},
        "answers everything twice": {
            "answered-once",
            "answers-fit-requests",
            "bad-crc-ignored",
            "frames-in-any-portions",
            "refusals-are-not-stored",
            "retry-from-cache",
            "runs-of-zeros",
            "seq-reuse-refused",
        },
        "ignores that a seq is used again": {"seq-reuse-refused"},
        "acts on retries": {"hello-repeated-clears-nothing", "retry-from-cache", "sixteen-replies-kept"},
        "keeps its cache over HELLO": {"hello-clears-cache"},
        "holds seqs over HELLO": {"hello-clears-cache", "refusals-are-not-stored"},
        "answers echoes": {"echoes-not-answered"},
        "answers zeros": {"runs-of-zeros"},
        "ignores the CRC": {"bad-crc-ignored"},
        "loses the frame behind damage": {
            "bad-crc-ignored",
            "garbage-before-hello",
            "noise-before-hello",
            "not-cobs-ignored",
            "too-long-ignored",
            "too-short-ignored",
        },
        "answers damage": {"bad-crc-ignored", "noise-before-hello", "not-cobs-ignored", "too-short-ignored"},
        "takes frames only in one piece": {"frames-in-any-portions"},
        "reads every major version": {"other-major-refused"},
        "reads HELLO of its own major version only": {"hello-of-any-major-read"},
        "ignores unknown flags": {"unknown-flag-refused"},
        "refuses trailers": {"trailer-ignored"},
        "takes payloads of any length": {"wrong-payload-refused"},
        "stores refusals": {"refusals-are-not-stored"},
        "pads texts with garbage": {"hello-layout"},
        "answers with another type": {"answers-fit-requests", "therapy-read"},
    },
    "dosing": {
        "loses samples": {"samples-numbered"},
        "streams outlive HELLO": {"stream-ends"},
        "says another digest": {"digest-of-canonical"},
        "ignores the digest": {"wrong-digest-refused"},
        "takes stale ids": {"stale-id-refused"},
        "commits too late": {"token-expires"},
        "doses twice": {"committed-twice-dosed-once", "stop-stops"},
        "gives the lease to everybody": {"lease-held-for-others"},
        "stops for the holder only": {"lease-held-for-others"},
        "ignores the token": {"wrong-token-refused"},
        "lets old tokens live": {"asking-kills-token", "lease-runs-out", "new-proposal-kills-token"},
    },
    "therapies": {
        "takes any minute": {"flex-steps-refused"},
        "takes flex without a clock": {"flex-as-proposed"},
        "gives a patient bolus from standstill": {"patient-bolus-needs-a-therapy"},
        "takes limits that are off unseen": {"patient-limits-refused"},
        "says busy for limits": {"patient-limits-refused"},
    },
    "keys": {
        "refuses strangers as in the wrong state": {"forged-frames-come-to-nothing", "orders-need-the-key"},
        "stops for strangers": {"orders-need-the-key"},
        "takes any trailer": {"forged-frames-come-to-nothing"},
        "counts an id for what it refused": {"orders-need-the-key"},
        "counts an id for what was forged": {"forged-frames-come-to-nothing"},
    },
    "contents": {
        "refuses unknown types as malformed": {"unknown-type-refused"},
        "refuses malformed frames as unknown": {
            "refusals-are-not-stored",
            "text-not-utf8-refused",
            "wrong-length-refused",
            "wrong-payload-refused",
        },
        "does not announce its patient bolus": {"unannounced-refused"},
        "refuses what is out of range as busy": {
            "bulk-bounds",
            "flex-steps-refused",
            "lease-durations",
            "out-of-range-refused",
            "patient-limits-refused",
            "unknown-value-refused",
        },
        "announces another hash": {"layouts-described"},
        "describes a byte too few": {"layouts-described"},
        "tells another boot in its status": {"status-read"},
        "tells another alarm in its status": {"alarms-read"},
        "tells a clock that stands": {"clock-runs"},
        "tells the interval asked for": {"interval-really-used"},
        "damages bulk data": {"bulk-from-an-index", "bulk-read-whole", "bulk-resumed"},
        "announces another SHA-256": {"bulk-read-whole", "bulk-resumed"},
        "tells another step volume": {"calibration-read"},
        "tells another boot of its firmware": {"firmware-read"},
        "knows commands that nobody gave": {"asking-kills-token", "unknown-command"},
        "runs what was stopped": {"stop-kills-token"},
        "raises alarms when acknowledged": {"acknowledging-nothing"},
        "sounds for what is over": {"alarm-silenced", "alarms-sound"},
        "sounds once for what is critical": {"alarm-silenced"},
        "sounds while it is silenced": {"alarm-silenced"},
        "silences for an hour": {"alarm-silenced"},
        "sounds no more": {"alarm-silenced"},
        "sets its own clock": {"flex-as-proposed", "therapy-clock-read"},
        "enables its patient bolus sevenfold": {"patient-bolus-limits-read"},
        "passes what it did not test": {"self-test-reported"},
        "goes on a step after STOP": {"stop-always-answered", "stop-stops"},
        "tells another holder": {"lease-granted-and-released", "lease-held-for-others"},
        "refuses without a lease as in the wrong state": {
            "lease-granted-and-released",
            "lease-runs-out",
            "no-lease-to-lose",
        },
    },
}


@pytest.fixture(scope="session")
def expected() -> dict[str, dict[str, set[str]]]:
    """The checks that each fault must fail, and no others."""
    return EXPECTED
