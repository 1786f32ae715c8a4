"""Real host processes killed with SIGKILL while they dose a mock served over a pty, and what the rotor did meanwhile.

A phase is drawn, and an instant in it; where that comes too late the kill meets a later phase, and where the process
has ended by itself it does not count. The next process finds port, journal and pump as the kill has left them.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.campaign.claims import ENDED, NOT_STARTED, UNCERTAIN, Claim, DoseStory
from bench.campaign.kill_host import steps_of
from bench.campaign.kill_lives import Hosts
from bench.campaign.kill_mock import Turning, served_mock, truth_of, turnings_file, turnings_in
from bench.campaign.kill_words import Born, Failed, Gone, Order, Phase, Reached, Told
from bench.campaign.scoring import Finding, FindingKind, score
from bench.errors import SetupRefused
from bench.rigfile import load_rig_file
from driver.journal_file import read_contents
from protocol.profile import load_model

HOST_COMMAND = (sys.executable, "-m", "bench.campaign.kill_host")
SPEED = 600.0
KILLS_A_ROUND = 500
FEWEST_STEPS = 40
DOSES_A_KILL = 2
SPARE_DOSES = 30
WITNESS_TRIES = 3
JOURNALS = "journals"
JUDGED = (
    FindingKind.DOUBLE,
    FindingKind.FALSE_DELIVERED,
    FindingKind.FALSE_NOT_DELIVERED,
    FindingKind.OUTSIDE,
    FindingKind.UNRESOLVED,
    FindingKind.UNASKED,
    FindingKind.UNHANDLED,
)

_DRAWN = {
    Phase.STARTING: 1,
    Phase.OPENING: 1,
    Phase.RECONCILING: 1,
    Phase.WAITING: 1,
    Phase.ASKING: 1,
    Phase.PROPOSE: 2,
    Phase.AGREED: 2,
    Phase.COMMIT: 3,
    Phase.MOTION: 6,
    Phase.LEAVING: 2,
}
_JOURNAL_STATES = {"": UNCERTAIN, "refused": NOT_STARTED}
_NS_PER_S = 1e9


@dataclass(slots=True)
class KillTally:
    """The counts of some kills: by the phase that the process was in, and how many met a rotor that turned.

    `outlived` processes came to their end before the kill, which then did not count; `doses` were given to processes,
    `doses_moved` of them turned the rotor; `failures` are what processes gave up with, in the driver's words. In a
    finding the dose is a number of steps.
    """

    kills: Counter[Phase] = field(default_factory=Counter)
    while_turning: int = 0
    outlived: int = 0
    doses: int = 0
    doses_moved: int = 0
    said: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)


def run_kills(
    times: int,
    seed: int,
    folder: Path,
    *,
    host_command: Sequence[str] = HOST_COMMAND,
    progress: Callable[[int], None] | None = None,
) -> KillTally:
    """Kill so many host processes, at most 500 on one mock; journals and turnings stay in `folder`.

    Raises:
        SetupRefused: the mock or the host processes could not be started, hang, or keep coming to their end unkilled.
    """
    tally = KillTally()
    for first in range(0, times, KILLS_A_ROUND):
        here = folder / f"round-{first // KILLS_A_ROUND}"
        here.mkdir(parents=True)
        kills = min(KILLS_A_ROUND, times - first)
        stream = random.Random(f"{seed}/kills from {first}")
        with served_mock(here, SPEED, stream.getrandbits(32)) as port, Hosts(host_command) as hosts:
            round_ = _Round(hosts, port, here, stream, kills, tally)
            for _ in range(kills):
                round_.kill_one()
                if progress is not None:
                    progress(tally.kills.total())
            round_.settle()
        round_.score()
    return tally


class _Round:
    """The kills on one mock."""

    def __init__(
        self, hosts: Hosts, port: Path, folder: Path, stream: random.Random, kills: int, tally: KillTally
    ) -> None:
        rig, _ = load_rig_file("sim")
        self._hosts = hosts
        self._port = port
        self._folder = folder
        self._stream = stream
        self._tally = tally
        self._step_volume_ul = load_model(rig.pump.model).step_volume_nl * 1e-3
        self._numbers = list(range(FEWEST_STEPS, FEWEST_STEPS + DOSES_A_KILL * kills + SPARE_DOSES))
        stream.shuffle(self._numbers)
        self._claims: dict[int, list[Claim]] = {}
        self._phases: dict[int, str] = {}
        self._settled_id = 0
        self._lasts_s: dict[Phase, float] = {}
        self._killed_ns: list[int] = []
        self._rehearse()

    def kill_one(self) -> None:
        """Start processes until one is killed before its end.

        Raises:
            SetupRefused: too many ended before.
        """
        phases = tuple(_DRAWN)
        while True:
            (target,) = self._stream.choices(phases, tuple(_DRAWN.values()))
            if self._live(target):
                return

    def settle(self) -> None:
        """A last process, which nobody kills, settles what is left."""
        for _ in range(WITNESS_TRIES):
            failed = self._tally.failures.total()
            self._run(0, None)
            if self._tally.failures.total() == failed:
                return

    def score(self) -> None:
        """Hold every dose against the rotor, once the mock has ended."""
        turnings = turnings_in(turnings_file(self._folder).read_bytes())
        for steps, claim in self._journalled():
            self._note(steps, claim)
        stories = [
            DoseStory(steps, (), (), tuple(claims) or (Claim(NOT_STARTED, said="the journal has no commit"),), 0.0)
            for steps, claims in self._claims.items()
        ]
        truth = truth_of(turnings, self._step_volume_ul)
        tally = self._tally
        tally.while_turning += sum(_turned(turnings, at_ns) for at_ns in self._killed_ns)
        tally.doses += len(stories)
        tally.doses_moved += len(truth.starts)
        for story in stories:
            tally.said[story.claims[-1].state] += 1
        for finding in score(stories, truth, set(self._claims)):
            steps = stories[finding.dose].steps if finding.dose >= 0 else finding.dose
            self._find(replace(finding, dose=steps, sentence=f"{finding.sentence} ({self._phases.get(steps, '')})"))

    def _rehearse(self) -> None:
        """One process that nobody kills, to see that it doses and how long each phase takes."""
        self._live(None)
        if not self._settled_id:
            why = [*self._tally.failures, *(finding.sentence for finding in self._tally.findings), "it says nothing"]
            raise SetupRefused(f"a host process that nobody kills does not dose: {why[0]}")

    def _live(self, target: Phase | None) -> bool:
        """One process with a dose of its own; whether it was killed."""
        if not self._numbers:
            raise SetupRefused("host processes keep coming to their end before they are killed; is the machine busy?")
        steps = self._numbers.pop()
        self._claims[steps] = []
        killed_in = self._run(steps, target)
        self._phases[steps] = "not killed" if killed_in is None else f"killed in {killed_in.name}"
        if killed_in is not None:
            self._tally.kills[killed_in] += 1
        elif target is not None:
            self._tally.outlived += 1
        return killed_in is not None

    def _run(self, steps: int, target: Phase | None) -> Phase | None:
        """One process; the phase that it was killed in."""
        order = Order(
            str(self._port), str(self._folder / JOURNALS), SPEED, self._settled_id, steps, self._step_volume_ul
        )
        fraction = self._stream.random()
        pid, phase, entered_ns = 0, Phase.STARTING, time.monotonic_ns()
        killed_ns: int | None = None
        for word in self._hosts.life(order):
            match word:
                case Born():
                    pid = word.pid
                case Reached():
                    self._learn(phase, word.at_ns - entered_ns, steps)
                    phase, entered_ns = word.phase, word.at_ns
                case Told():
                    self._take(word)
                case Failed():
                    self._fail(word)
                case Gone() if word.signal == signal.SIGKILL and killed_ns is not None:
                    self._killed_ns.append(killed_ns)
                    return phase
                case Gone():
                    self._learn(phase, time.monotonic_ns() - entered_ns, steps)
                    if word.signal:
                        self._find(Finding(FindingKind.UNHANDLED, steps, f"a host process ended by {word.signal}"))
            if pid and target is not None and phase >= target and killed_ns is None and not isinstance(word, Gone):
                time.sleep(fraction * self._expected_s(phase, steps))
                killed_ns = time.monotonic_ns()
                os.kill(pid, signal.SIGKILL)
        return None

    def _learn(self, phase: Phase, lasted_ns: int, steps: int) -> None:
        """How long a phase takes, that of the motion for each step."""
        self._lasts_s[phase] = lasted_ns / _NS_PER_S / (steps if phase is Phase.MOTION and steps else 1)

    def _expected_s(self, phase: Phase, steps: int) -> float:
        return self._lasts_s.get(phase, 0.0) * (steps if phase is Phase.MOTION else 1)

    def _take(self, told: Told) -> None:
        claim = told.claim
        self._note(told.steps, claim)
        if claim.state in ENDED or claim.state == NOT_STARTED:
            self._settled_id = max(self._settled_id, claim.id)

    def _note(self, steps: int, claim: Claim) -> None:
        if steps in self._claims:
            self._claims[steps].append(claim)
        else:
            self._find(Finding(FindingKind.UNASKED, steps, f"command {claim.id} is for a number nobody asked for"))

    def _fail(self, failed: Failed) -> None:
        if failed.announced:
            self._tally.failures[failed.sentence] += 1
        else:
            self._find(Finding(FindingKind.UNHANDLED, -1, failed.sentence))

    def _find(self, finding: Finding) -> None:
        self._tally.findings.append(finding)
        self._tally.counts[finding.kind.value] += 1

    def _journalled(self) -> Iterator[tuple[int, Claim]]:
        """What the journal says in the end of each dose that was committed."""
        (path,) = (self._folder / JOURNALS).glob("*.jsonl")
        for id_, entry in read_contents(path, path.read_bytes())[0].entries.items():
            if entry.values is not None:
                state = _JOURNAL_STATES.get(entry.state, entry.state)
                yield steps_of(entry.values, self._step_volume_ul), Claim(state, *entry.bounds_ul, id_, "the journal")


def _turned(turnings: Sequence[Turning], at_ns: int) -> bool:
    return any(turning.began_ns <= at_ns <= turning.ended_ns for turning in turnings)
