"""Slices of benchmarks/forgery.py and benchmarks/replay.py, and proof that each sees a pump that lets one in."""

import hmac
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import protocol.security
from protocol.security import Verdict, Verifier

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
KINDS_OF_REQUEST = 15


@pytest.fixture(scope="module")
def campaigns() -> Iterator[dict[str, ModuleType]]:
    """The campaigns' modules: benchmarks/ is no package."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        yield {name: importlib.import_module(name) for name in ("forgery", "replay")}
    for name in [name for name in sys.modules if name.partition(".")[0] in ("forgery", "replay", "forging")]:
        del sys.modules[name]


@pytest.fixture
def forgery(campaigns: dict[str, ModuleType]) -> ModuleType:
    return campaigns["forgery"]


@pytest.fixture
def replay(campaigns: dict[str, ModuleType]) -> ModuleType:
    return campaigns["replay"]


@pytest.mark.parametrize("seed", range(KINDS_OF_REQUEST))
def test_no_mutated_frame_changes_anything_and_the_genuine_one_does(forgery: ModuleType, seed: int) -> None:
    score = forgery.run_scene(seed, 650)
    assert (score.changes, score.refused, score.controls) == ([], [], 1)
    assert score.frames.total() > 500
    assert set(score.frames) >= set(forgery.MUTATIONS) - {"shorter payload"}  # some requests have none


def test_no_frame_of_an_earlier_session_or_of_another_pump_is_accepted(replay: ModuleType) -> None:
    score = replay.run_pump(1, 6)
    assert score.accepted == []
    assert set(score.frames) == set(replay.WAYS)
    assert score.sessions == 6


def test_a_pump_that_does_not_look_at_the_tag_is_seen(forgery: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hmac, "compare_digest", lambda *_: True)
    assert forgery.run_scene(0, 130).changes


def test_a_pump_that_moves_its_counter_before_it_looks_at_the_tag_is_seen(
    forgery: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine = Verifier.verdict

    def hasty(self: Verifier, frame: protocol.Frame) -> Verdict:
        before = self._counter
        verdict = genuine(self, frame)
        if frame.trailer is not None:
            self._counter = max(before, int.from_bytes(frame.trailer[:4], "little"))
        return verdict

    monkeypatch.setattr(Verifier, "verdict", hasty)
    score = forgery.run_scene(0, 130)
    assert score.changes
    assert score.refused  # a forged maximal counter has locked the genuine host out


def test_a_pump_whose_tag_leaves_something_out_is_seen(forgery: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = protocol.security._tag
    monkeypatch.setattr(
        protocol.security, "_tag", lambda begun, version, type_, seq, counter, payload: whole(
            begun, version, 0, 0, counter, payload
        )
    )  # fmt: skip
    assert any(forgery.run_scene(seed, 650).changes for seed in range(3))


def test_a_pump_that_takes_what_it_refuses_in_the_open_is_seen(
    forgery: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol.handshake, "READ_ONLY_TYPES", frozenset(range(0x80)))
    assert any(forgery.run_scene(seed, 130).changes for seed in range(3))


def test_a_pump_that_does_not_compare_counters_is_seen(replay: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    genuine = Verifier.verdict

    def forgetful(self: Verifier, frame: protocol.Frame) -> Verdict:
        self._counter = 0
        return genuine(self, frame)

    monkeypatch.setattr(Verifier, "verdict", forgetful)
    accepted = replay.run_pump(1, 2).accepted
    assert {sentence.partition(":")[0] for sentence in accepted} >= {"same session"}
