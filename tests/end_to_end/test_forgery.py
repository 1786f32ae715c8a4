"""Slices of benchmarks/forgery.py and benchmarks/replay.py, and proof that each sees a pump that lets one in."""

import hmac
import importlib
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import protocol.security
from protocol.registry import DEFINITIONS, FIRST_REPLY_TYPE, Role
from protocol.security import Verdict, Verifier
from protocol.wire import TRAILER_BYTES

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
KINDS_OF_REQUEST = 18
REQUESTS = [number for number, entry in DEFINITIONS.items() if entry.role is Role.REQUEST]


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


@pytest.mark.parametrize("number", REQUESTS, ids=lambda number: DEFINITIONS[number].message.__name__)
def test_no_request_without_the_key_changes_anything_in_the_open_or_with_a_trailer(
    forgery: ModuleType, number: int
) -> None:
    draw, codec = random.Random(number), DEFINITIONS[number].codec
    scene = forgery.Scene(number, draw.randbytes(protocol.KEY_BYTES))
    scene.begin()
    before = scene.state()
    tail = codec.fields[-1] if codec.has_tail else None
    least = codec.head.size + (1 if tail is not None and tail.record is not None else 0)
    for payload in (bytes(least), *(draw.randbytes(least) for _ in range(20))):
        for trailer in (None, draw.randbytes(TRAILER_BYTES)):
            scene.hear(protocol.encode_frame(number, draw.randint(1, 0xFFFF), payload, trailer=trailer))
            assert all(frame.trailer is None for frame in protocol.StreamDecoder().feed(scene.take_said()))
            assert scene.state() == before
    assert isinstance(scene.commit(scene.waiting), protocol.CommandResult), "the waiting token is as good as before"


def test_no_pump_is_given_a_frame_twice_so_each_that_is_counted_is_another_one(forgery: ModuleType) -> None:
    given = []

    class Watched(forgery.Scene):
        def hear(self, data: bytes) -> None:
            given.append(data)
            super().hear(data)

    score = forgery.run_scene(0, 1_300, Watched)
    *changed, genuine = given[-1_301:]
    assert len({*changed, genuine}) == 1 + score.frames.total() == 1_301


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


def test_a_host_that_does_not_compare_counters_is_seen(replay: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    genuine = Verifier.verdict

    def forgetful(self: Verifier, frame: protocol.Frame) -> Verdict:
        if frame.type >= FIRST_REPLY_TYPE:
            self._counter = 0
        return genuine(self, frame)

    monkeypatch.setattr(Verifier, "verdict", forgetful)
    score = replay.run_pump(1, 2)
    way = "to the host of the same session"
    assert {sentence.partition(":")[0] for sentence in score.accepted} == {way}
    assert len(score.accepted) == score.frames[way], "whatever the frame is"


def test_a_host_that_does_not_look_at_the_tag_is_seen(replay: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    genuine = Verifier.verdict

    def credulous(self: Verifier, frame: protocol.Frame) -> Verdict:
        return Verdict.GENUINE if frame.trailer and frame.type >= FIRST_REPLY_TYPE else genuine(self, frame)

    monkeypatch.setattr(Verifier, "verdict", credulous)
    score = replay.run_pump(1, 4)
    for way in ("to the host of the same session", "to the host of a later session"):
        assert sum(sentence.startswith(f"{way}:") for sentence in score.accepted) == score.frames[way]
