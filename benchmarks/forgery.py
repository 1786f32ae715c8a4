"""Mutated frames against live mock pumps with a key: no change of state, whatever was changed in the frame.

`python benchmarks/forgery.py --frames 10000000` seals many kinds of request under the keys of a genuine session,
changes each in many ways, makes its CRC right again, and gives it to the pump in place of the genuine one. After every
single frame all of the pump's state is compared: memory chip, motor, waiting token, key and counters of the session,
its cache, lease, streams, alarms. A frame that came out unchanged, or as one before it, is changed anew: no pump is
given a frame twice. At the end the genuine frame itself must be carried out, else the run is invalid. The command
prints a Markdown table and ends with status 1 if any state changed.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from forging.mutations import MUTATIONS, closed, opened  # noqa: E402  the path to them is set above
from forging.scene import BASAL_ID, Scene  # noqa: E402

import protocol  # noqa: E402
from protocol import HostSession, Message, Reply, StreamDecoder  # noqa: E402

FRAMES_PER_SCENE = 2_600
OTHERS = 90
TRIES = 4
ANOTHER = "1 to 8 bits"
SHOWN = 10


@dataclass(slots=True)
class Score:
    """What came of some frames; `changes` are sentences, `controls` and `refused` count the genuine frames."""

    frames: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    drawn_anew: int = 0
    controls: int = 0
    refused: list[str] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)
    cpu_s: float = 0.0

    def add(self, other: Score) -> None:
        self.frames += other.frames
        self.answered += other.answered
        self.drawn_anew += other.drawn_anew
        self.controls += other.controls
        self.refused += other.refused
        self.changes += other.changes
        self.cpu_s += other.cpu_s

    @property
    def is_good(self) -> bool:
        """No state changed, and every genuine frame was carried out."""
        return not self.changes and not self.refused and self.controls > 0


def requests_of(scene: Scene) -> list[Message]:
    """Genuine requests of kinds that a key is needed for, and one read, each of which changes what `state` shows."""
    waiting: Any = scene.waiting
    next_id = waiting.command_id + 1
    return [
        protocol.Stop(),
        protocol.Commit(waiting.command_id, waiting.token, waiting.digest),
        protocol.CommandResultRequest(waiting.command_id),
        protocol.CommandResultRequest(BASAL_ID),
        protocol.ProposeContinuous(next_id, 30.0, 0),
        protocol.ProposeBolus(next_id, 2.0, 0.0),
        protocol.ProposeMinimumRate(next_id, 0.0, 0),
        protocol.ProposeBridge(next_id, 50.0, 30.0, 25.0, 0),
        protocol.ProposeTrial(next_id, 30.0, 3600, 0),
        protocol.ProposePrime(next_id, 2.0, 0.0),
        protocol.ProposeRefill(next_id, 5_000.0),
        protocol.ProposeTherapyClock(next_id, 1_800_000_000, 3600),
        protocol.LeaseRequest(scene.lease_id, 5_000, "genuine host"),
        protocol.LeaseRelease(scene.lease_id),
        protocol.Subscribe(protocol.Stream.TELEMETRY, 0),
        protocol.AcknowledgeAlarms(protocol.Alarm.LOW_BATTERY, 60),
        protocol.SelfTestRequest(protocol.SelfTestItem.MEMORY),
        protocol.StatusRequest(),
    ]


def run_scene(seed: int, frames: int, build: Callable[[int, bytes], Scene] = Scene) -> Score:
    """One pump, one kind of genuine request, and so many changed copies of it."""
    began_s = time.process_time()
    score, draw = Score(), random.Random(seed)
    scene = build(seed, draw.randbytes(protocol.KEY_BYTES))
    scene.begin()
    requests = requests_of(scene)
    frame = sealed_by(scene, requests[seed % len(requests)])
    genuine = opened(frame)
    others = [opened(sealed_by(scene, request)) for request in draw.choices(requests, k=OTHERS)]
    used = {genuine.body, *(other.body for other in others)}
    names = list(MUTATIONS)
    before = scene.state()
    for number in range(frames):
        name = names[number % len(names)]
        body = MUTATIONS[name](genuine, others, draw)
        tries = 1
        while body in used:
            score.drawn_anew += 1
            tries += 1
            name = name if tries <= TRIES else ANOTHER
            body = MUTATIONS[name](genuine, others, draw)
        used.add(body)
        score.frames[name] += 1
        scene.hear(closed(body))
        if scene.said:
            score.answered[name] += 1
            answers = StreamDecoder().feed(scene.take_said())
            if any(answer.trailer is not None for answer in answers):
                score.changes.append(f"seed {seed}, {name}: a sealed answer to {body.hex()}")
        if scene.state() != before:
            score.changes.append(f"seed {seed}, {name}: the state changed by {body.hex()}")
            before = scene.state()
    scene.hear(frame)
    if (
        any(isinstance(event, Reply) for event in scene.host.receive(scene.take_said(), 0.0))
        and scene.state() != before
    ):
        score.controls += 1
    else:
        score.refused.append(f"seed {seed}: {type(requests[seed % len(requests)]).__name__} was not carried out")
    score.cpu_s = time.process_time() - began_s
    return score


def sealed_by(scene: Scene, request: Message) -> bytes:
    """The frame of a request as the genuine host would send it next; the last one sealed is the one it waits for."""
    session: HostSession = scene.host
    waiting = session._outstanding
    session.abandon()
    session.request(request, 0.0)
    frame = session.data_to_send()
    if waiting is not None:
        session._outstanding = waiting
    return frame


def main() -> int:
    options = _options()
    scenes = -(-options.frames // FRAMES_PER_SCENE)
    total, began_s = Score(), time.monotonic()
    with ProcessPoolExecutor(options.processes) as executor:
        seeds = range(options.seed, options.seed + scenes)
        for done, score in enumerate(executor.map(run_scene, seeds, [FRAMES_PER_SCENE] * scenes, chunksize=8), 1):
            total.add(score)
            if done % max(1, scenes // 10) == 0:
                print(f"{total.frames.total():,} frames", file=sys.stderr)
    _tell(total, time.monotonic() - began_s)
    return 0 if total.is_good else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=10_000_000, help="changed frames, about")
    parser.add_argument("--seed", type=int, default=1, help="of the first pump; each has its own")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    if options.frames < 1 or options.processes < 1 or options.seed < 0:
        parser.error("--frames and --processes must be at least 1, --seed at least 0")
    return options


def _tell(total: Score, took_s: float) -> None:
    print("| What was changed | Frames | Answered in the open | State changes |")
    print("|---|---:|---:|---:|")
    for name in MUTATIONS:
        changes = sum(f", {name}:" in change for change in total.changes)
        print(f"| {name} | {total.frames[name]:,} | {total.answered[name]:,} | {changes} |")
    print(f"| all | {total.frames.total():,} | {total.answered.total():,} | {len(total.changes)} |")
    print(
        f"\n{total.controls:,} genuine frames carried out, {len(total.refused)} not; {total.drawn_anew:,} frames "
        f"came out unchanged or as one before and were changed anew; {total.cpu_s:.0f} s of CPU, {took_s:.0f} s"
    )
    for sentence in (total.changes + total.refused)[:SHOWN]:
        print(sentence)


if __name__ == "__main__":
    sys.exit(main())
