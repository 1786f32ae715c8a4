"""A slice of benchmarks/fuzz.py: the same targets on random bytes, and proof that each of them can see a fault."""

import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from protocol import (
    BulkReader,
    DeviceSession,
    Frame,
    HostSession,
    Reply,
    SessionError,
    StreamDecoder,
    decode_batch,
    own_schema,
)

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
TARGETS = [
    "stream-decoder",
    "batch-decoder",
    "device-session",
    "host-session",
    "sealed-device",
    "sealed-host",
    "bulk-reader",
    "schema",
]
Run = Callable[[bytes], None]


@pytest.fixture(scope="module")
def runs() -> Iterator[dict[str, Run]]:
    """The targets by name, loaded from their folder: benchmarks/ is no package."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        yield {name: target.run for name, target in import_module("fuzzing.targets").TARGETS.items()}


def random_inputs(seed: int, count: int) -> Iterator[bytes]:
    """Short and long inputs alike often."""
    rng = random.Random(seed)
    return (rng.randbytes(rng.randint(0, 2 ** rng.randint(0, 9))) for _ in range(count))


def fails(run: Run) -> bool:
    """Whether a target finds fault within a thousand inputs."""
    for data in random_inputs(1, 1000):
        try:
            run(data)
        except (AssertionError, SessionError):
            return True
    return False


def test_all_targets_are_tested_here(runs: dict[str, Run]) -> None:
    assert list(runs) == TARGETS


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("target", TARGETS)
def test_no_target_finds_fault_with_random_bytes(runs: dict[str, Run], target: str, seed: int) -> None:
    for data in random_inputs(seed, 2000):
        try:
            runs[target](data)
        except Exception as error:
            raise AssertionError(f"{target} fails on bytes.fromhex({data.hex()!r})") from error


def test_a_campaign_under_atheris_ends_with_status_0(tmp_path: Path) -> None:
    pytest.importorskip("atheris")
    command = [sys.executable, str(BENCHMARKS / "fuzz.py"), "--executions", "3000", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=50)
    assert done.returncode == 0, done.stdout + "".join(log.read_text() for log in tmp_path.glob("*.log"))[-3000:]
    assert "\n3,000 executions, seed 1, 0 failed targets" in done.stdout


class LosesFrames(StreamDecoder):
    """Loses a frame where a chunk completes three."""

    def feed(self, data: bytes) -> list[Frame]:
        frames = super().feed(data)
        return frames[:2] + frames[3:]


class KeepsChunks(StreamDecoder):
    """Holds on to whatever it was fed."""

    def __init__(self) -> None:
        super().__init__()
        self.kept = b""

    def scan(self, data: bytes) -> list[Any]:
        self.kept += data
        return super().scan(data)


class ForgetsRejects(StreamDecoder):
    """Counts no rejects."""

    def scan(self, data: bytes) -> list[Any]:
        found = super().scan(data)
        self.reject_counts.clear()
        return found


class ActsTwice(DeviceSession):
    """Takes each repeat for a new request."""

    def receive(self, data: bytes, now: float) -> list[Any]:
        self._plain.clear()
        return super().receive(data, now)


class ForgetsCounters(DeviceSession):
    """Takes old sealed frames again."""

    def receive(self, data: bytes, now: float) -> list[Any]:
        if self.is_sealed:
            self._guard._verifier._counter = 0
        return super().receive(data, now)


class KeepsOneCache(DeviceSession):
    """Lets a plain HELLO clear what a sealed session asked."""

    def __init__(self, guard: Any = None) -> None:
        super().__init__(guard)
        self._sealed = self._plain


class TakesPlain(HostSession):
    """Believes answers that nobody sealed."""

    def _is_proven(self, frame: Frame, verifier: Any) -> bool:
        return frame.trailer is None or super()._is_proven(frame, verifier)


class HearsTwice(HostSession):
    """Hands each reply up again."""

    def receive(self, data: bytes, now: float) -> list[Any]:
        events = super().receive(data, now)
        return events + [event for event in events if isinstance(event, Reply)]


class GivesUpEarly(HostSession):
    """Tries once, whatever was asked."""

    def __init__(self, *, timeout_s: float, attempts: int) -> None:
        super().__init__(timeout_s=timeout_s, attempts=1)


class DeliversDamaged(BulkReader):
    """Leaves out what is damaged, and says nothing."""

    @property
    def damaged(self) -> tuple[int, ...]:
        return ()


def loses_the_last_row(data: bytes) -> dict[int, Any]:
    return {type_byte: table[:-1] for type_byte, table in decode_batch(data).items()}


@pytest.mark.parametrize(
    ("target", "module", "name", "broken"),
    [
        ("stream-decoder", "decoders", "StreamDecoder", LosesFrames),
        ("stream-decoder", "decoders", "StreamDecoder", KeepsChunks),
        ("stream-decoder", "decoders", "StreamDecoder", ForgetsRejects),
        ("batch-decoder", "decoders", "decode_batch", loses_the_last_row),
        ("device-session", "sessions", "DeviceSession", ActsTwice),
        ("host-session", "sessions", "HostSession", HearsTwice),
        ("host-session", "sessions", "HostSession", GivesUpEarly),
        ("sealed-device", "sealed_device", "DeviceSession", ForgetsCounters),
        ("sealed-device", "sealed_device", "DeviceSession", KeepsOneCache),
        ("sealed-host", "sealed_host", "HostSession", TakesPlain),
        ("bulk-reader", "bulk", "BulkReader", DeliversDamaged),
        ("schema", "schema", "read_schema", lambda document, announced: own_schema()),
    ],
)
def test_a_target_sees_a_fault(
    runs: dict[str, Run], monkeypatch: pytest.MonkeyPatch, target: str, module: str, name: str, broken: Any
) -> None:
    monkeypatch.setattr(import_module(f"fuzzing.{module}"), name, broken)
    assert fails(runs[target])
