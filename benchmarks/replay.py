"""Recorded sessions, replayed against live mock pumps with a key: not one frame is accepted.

`python benchmarks/replay.py --sessions 1000` has a host open, read, dose and stop a pump so many times and records
every frame of both directions. The frames are then given, one by one: in the session itself, in a later session of the
same pump (before and after its reset, and whole, HELLO and handshake included), to another pump (of another key, and of
the same key by mistake), and reflected to the side that they came from. Accepted is a frame that changes any state of
the pump, is answered sealed, or is heard by the host as the pump's. What goes in the open is answered in the open, and
is counted apart. The control group is each session when it is recorded: all of it must be accepted then. The command
prints a Markdown table and ends with status 1 if anything was accepted.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from forging.scene import Scene  # noqa: E402  the path to it is set above

from protocol import (  # noqa: E402
    KEY_BYTES,
    Commit,
    Frame,
    ProposeBolus,
    ProposeContinuous,
    StatusRequest,
    Stop,
    Stream,
    StreamDecoder,
    Subscribe,
    encode_frame,
)

SESSIONS_PER_PUMP = 10
WAYS = (
    "same session",
    "to the host of the same session",
    "later session",
    "later session, after a reset",
    "whole session again, after a reset",
    "another pump",
    "another pump with the same key",
    "reflected to the pump",
    "reflected to the host",
    "to the host of a later session",
)


@dataclass(slots=True)
class Recording:
    """The frames of a session that were genuine, as they were on the wire."""

    to_device: list[bytes] = field(default_factory=list)
    to_host: list[bytes] = field(default_factory=list)


@dataclass(slots=True)
class Score:
    """What came of replayed frames, by way; `accepted` are sentences."""

    sessions: int = 0
    sealed_recorded: int = 0
    frames: Counter[str] = field(default_factory=Counter)
    in_the_open: Counter[str] = field(default_factory=Counter)
    accepted: list[str] = field(default_factory=list)

    def add(self, other: Score) -> None:
        self.sessions += other.sessions
        self.sealed_recorded += other.sealed_recorded
        self.frames += other.frames
        self.in_the_open += other.in_the_open
        self.accepted += other.accepted


class Recorder:
    """A pump and its host, whose frames are kept: `session` makes one and gives them."""

    def __init__(self, seed: int, key: bytes, serial_number: str = "SIM-P-0001") -> None:
        self.scene = Scene(seed, key, serial_number)
        self._draw = random.Random(seed)
        self._next_id = 1

    def session(self) -> Recording:
        """Open, read, dose, stop: what a host does, in a session of its own. Everything in it was accepted."""
        scene, recording = self.scene, Recording()
        scene.tap = lambda to_device, data: (recording.to_device if to_device else recording.to_host).extend(
            _frames(data)
        )
        try:
            scene.open()
            for request in self._draw.sample([StatusRequest(), Subscribe(Stream.MOTOR, 1000), Stop()], 2):
                scene.ask(request)
            id_ = self._next_id
            propose = self._draw.choice((ProposeContinuous(id_, 20.0, 0), ProposeBolus(id_, 1.0, 0.0)))
            self._next_id += 1
            proposal: Any = scene.ask(propose)
            scene.ask(Commit(proposal.command_id, proposal.token, proposal.digest))
            scene.ask(Stop())
            scene.ask(ProposeContinuous(self._next_id, 25.0, 0))  # waits for its COMMIT: a replayed STOP would kill it
        finally:
            scene.tap = None
        return recording


def run_pump(seed: int, sessions: int = SESSIONS_PER_PUMP) -> Score:
    """Some sessions with a pump, and all of their frames again in every way."""
    draw, score = random.Random(f"{seed}/keys"), Score()
    key = draw.randbytes(KEY_BYTES)
    ours = Recorder(seed, key)
    strangers = {
        "another pump": Recorder(seed + 1, draw.randbytes(KEY_BYTES), "SIM-P-0002"),
        "another pump with the same key": Recorder(seed + 2, key, "SIM-P-0003"),
    }
    for stranger in strangers.values():
        stranger.session()
    earlier: list[Recording] = []
    for _ in range(sessions):
        recording = ours.session()
        score.sessions += 1
        score.sealed_recorded += sum(_is_sealed(frame) for frame in recording.to_device + recording.to_host)
        _to_pump(score, "same session", ours.scene, recording.to_device)
        _to_pump(score, "reflected to the pump", ours.scene, recording.to_host)
        _to_host(score, "to the host of the same session", ours.scene, recording.to_host)
        _to_host(score, "reflected to the host", ours.scene, recording.to_device)
        for way, stranger in strangers.items():
            stranger.scene.open()  # else the wrong confirmations soon close it to handshakes
            _to_pump(score, way, stranger.scene, recording.to_device)
        if earlier:
            old = draw.choice(earlier)
            _to_pump(score, "later session", ours.scene, old.to_device)
            _to_host(score, "to the host of a later session", ours.scene, old.to_host)
        earlier.append(recording)
        ours.scene.firmware.reboot()
        ours.scene.take_said()
        _to_pump(score, "whole session again, after a reset", ours.scene, recording.to_device)
        ours.scene.open()
        _to_pump(score, "later session, after a reset", ours.scene, recording.to_device)
    return score


def _frames(data: bytes) -> list[bytes]:
    return [_wire(frame) for frame in StreamDecoder().feed(data)]


def _wire(frame: Frame) -> bytes:
    return encode_frame(frame.type, frame.seq, frame.payload, trailer=frame.trailer)


def _is_sealed(frame: bytes) -> bool:
    return StreamDecoder().feed(frame)[0].trailer is not None


def _to_pump(score: Score, way: str, scene: Scene, frames: list[bytes]) -> None:
    """Give frames to a pump, and hold its state against what it was before."""
    before = scene.state()
    for frame in frames:
        scene.hear(frame)
        answers = StreamDecoder().feed(scene.take_said())
        state = scene.state()
        if state != before or any(answer.trailer is not None for answer in answers):
            score.accepted.append(f"{way}: {frame.hex()}")
        before = state
        if _is_sealed(frame):
            score.frames[way] += 1
        else:
            score.in_the_open[way] += 1


def _to_host(score: Score, way: str, scene: Scene, frames: list[bytes]) -> None:
    """Give frames to a host that waits for an answer to each of their seqs in turn; only what is proven is heard."""
    for frame in frames:
        scene.host.last_heard_s = None
        seq = StreamDecoder().feed(frame)[0].seq
        scene.host.abandon()
        scene.host._next_seq = seq or 1
        scene.host.request(StatusRequest(), 0.0)
        scene.host.data_to_send()
        if scene.host.receive(frame, 0.0) or scene.host.last_heard_s is not None:
            score.accepted.append(f"{way}: {frame.hex()}")
        if _is_sealed(frame):
            score.frames[way] += 1
        else:
            score.in_the_open[way] += 1
    scene.host.abandon()


def main() -> int:
    options = _options()
    pumps = -(-options.sessions // SESSIONS_PER_PUMP)
    total, began_s = Score(), time.monotonic()
    with ProcessPoolExecutor(options.processes) as executor:
        for score in executor.map(run_pump, range(options.seed, options.seed + pumps)):
            total.add(score)
    print("| Replayed | Sealed frames | In the open | Accepted |")
    print("|---|---:|---:|---:|")
    for way in WAYS:
        accepted = sum(sentence.startswith(f"{way}:") for sentence in total.accepted)
        print(f"| {way} | {total.frames[way]:,} | {total.in_the_open[way]:,} | {accepted} |")
    print(
        f"\n{total.sessions:,} sessions recorded with {total.sealed_recorded:,} sealed frames, all accepted the first "
        f"time; {total.frames.total():,} sealed frames replayed in {time.monotonic() - began_s:.0f} s"
    )
    for sentence in total.accepted[:10]:
        print(sentence)
    return 1 if total.accepted or not total.sealed_recorded else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    if options.sessions < 1 or options.processes < 1 or options.seed < 0:
        parser.error("--sessions and --processes must be at least 1, --seed at least 0")
    return options


if __name__ == "__main__":
    sys.exit(main())
