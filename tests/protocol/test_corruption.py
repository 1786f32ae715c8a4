"""A slice of benchmarks/corruption.py: the same code on fewer frames, and proof that its score can see a fault."""

import importlib.util
import random
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from protocol import DecodeError, decode_payload
from protocol.registry import DEFINITIONS

CAMPAIGN = Path(__file__).parents[2] / "benchmarks" / "corruption.py"
SEEDS = (1, 2, 3)


@pytest.fixture(scope="module")
def corruption() -> ModuleType:
    """The module of the campaign, loaded from its file: benchmarks/ is no package."""
    spec = importlib.util.spec_from_file_location("thecabench_corruption", CAMPAIGN)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, spec.name, module)
        spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("telemetry_only", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_damaged_stream_loses_no_intact_frame_and_gives_none_that_was_not_sent(
    corruption: ModuleType, seed: int, telemetry_only: bool
) -> None:
    rng = random.Random(seed)
    stream = corruption.damaged_stream(4000, rng, telemetry_only=telemetry_only)
    score = corruption.score_stream(stream, rng)
    assert (len(stream.damaged), score.lost, score.foreign) == (200, 0, 0)
    assert score.survivors + score.rejects > 100


@pytest.mark.parametrize("seed", SEEDS)
def test_both_sessions_work_through_a_damaged_stream_without_an_exception(corruption: ModuleType, seed: int) -> None:
    rng = random.Random(seed)
    assert corruption.exceptions_in_sessions(corruption.damaged_stream(4000, rng), rng) == 0


def test_no_copy_of_a_48_byte_frame_with_one_or_two_wrong_bits_is_accepted(corruption: ModuleType) -> None:
    frame, content = corruption.frame_of_48_bytes(random.Random(1))
    assert len(frame) == 48
    assert corruption.all_flips_of_one_bit(frame, content) == corruption.FlipScore(384, 0, 0)
    assert corruption.all_flips_of_two_bits(frame, content) == corruption.FlipScore(384 * 383 // 2, 0, 0)


def test_no_copy_of_a_maximal_frame_with_one_or_three_wrong_bits_is_accepted(corruption: ModuleType) -> None:
    frame, content = corruption.maximal_frame(random.Random(1))
    assert corruption.all_flips_of_one_bit(frame, content) == corruption.FlipScore(8 * len(frame), 0, 0)
    assert corruption.random_flips_of_three_bits(frame, content, 20_000, 1) == corruption.FlipScore(20_000, 0, 0)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_hello_behind_64_kib_of_noise_connects_at_the_first_try(corruption: ModuleType, seed: int) -> None:
    assert corruption.connects_behind_noise(seed)


def test_the_score_names_an_intact_frame_that_is_missing_and_a_frame_that_was_not_sent(corruption: ModuleType) -> None:
    rng = random.Random(1)
    stream = corruption.damaged_stream(200, rng)
    number = min(set(range(200)) - stream.damaged)
    type_byte, seq, payload, trailer = stream.contents[number]
    contents = list(stream.contents)
    contents[number] = (type_byte, seq ^ 1, payload, trailer)
    score = corruption.score_stream(replace(stream, contents=contents), rng)
    assert (score.lost, score.foreign) == (1, 1)


def test_flips_that_turn_a_bit_back_are_told_from_flips_that_are_accepted(corruption: ModuleType) -> None:
    frame, content = corruption.frame_of_48_bytes(random.Random(1))
    broken = bytes([frame[0], frame[1], frame[2] ^ 0x10, *frame[3:]])
    assert corruption.all_flips_of_one_bit(broken, content) == corruption.FlipScore(384, 0, 1)
    other = (content[0], content[1] ^ 1, *content[2:])
    assert corruption.all_flips_of_one_bit(broken, other) == corruption.FlipScore(384, 1, 0)


@pytest.mark.parametrize("how", ["flips", "truncation", "insertion", "deletion", "duplicated run"])
def test_every_damage_changes_the_frame(corruption: ModuleType, how: str) -> None:
    rng = random.Random(1)
    frame, _ = corruption.frame_of_48_bytes(rng)
    assert all(corruption.damage(frame, how, rng) != frame for _ in range(500))


def test_an_unknown_damage_is_refused_by_name(corruption: ModuleType) -> None:
    with pytest.raises(ValueError, match="damage 'rust' is unknown; known: flips, truncation"):
        corruption.damage(b"\0\0", "rust", random.Random(1))


def test_random_payloads_fit_their_types(corruption: ModuleType) -> None:
    rng = random.Random(1)
    for type_byte, definition in DEFINITIONS.items():
        for _ in range(20):
            payload = corruption.random_payload(definition, rng)
            try:
                decode_payload(type_byte, payload)
            except DecodeError as error:
                pytest.fail(str(error))
