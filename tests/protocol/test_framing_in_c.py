"""Our vectors against the frame in C, which was written from docs/protocol.md alone: both must say the same."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from protocol import RejectCause
from protocol.export.vectors import vectors

SOURCE = Path(__file__).parent / "reference" / "framing.c"
WARNINGS = ("-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror")
SANITIZERS = ("-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
COUNT_BYTES = {"u8": 1, "u16": 2}


@pytest.fixture(scope="session")
def document() -> dict[str, Any]:
    """The exported vectors."""
    found: dict[str, Any] = json.loads(vectors())
    return found


@pytest.fixture(scope="session")
def asked(document: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Callable[[list[str]], list[str]]:
    """Asks the compiled reference, which knows the messages of the vectors; a line of answer for each question."""
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("gcc is not installed: the frame in C was not compiled (apt-get install gcc)")
    program = tmp_path_factory.mktemp("framing") / "framing"
    command = [compiler, *WARNINGS, str(SOURCE), "-o", str(program)]
    done = subprocess.run([*command, *SANITIZERS], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        assert "cannot find" in done.stderr, done.stderr
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    messages = [layout(message) for message in document["messages"]]

    def ask(questions: list[str]) -> list[str]:
        given = "".join(f"{line}\n" for line in [*messages, *questions])
        answered = subprocess.run([str(program)], input=given, capture_output=True, text=True, check=False, timeout=30)
        assert answered.returncode == 0, answered.stderr
        answers = answered.stdout.splitlines()
        assert len(answers) == len(questions)
        return answers

    return ask


def layout(message: dict[str, Any]) -> str:
    """A message as the reference reads it: sizes of its parts, and where its texts are."""
    fields = message["fields"]
    last = fields[-1] if fields else {"kind": ""}
    count = COUNT_BYTES[last["count_kind"]] if last["kind"] == "records" else 0
    record = last["record_bytes"] if count else 0
    least = sum(field["size"] for field in fields) + count
    texts = [
        number for field in fields if field["kind"].startswith("text") for number in (field["offset"], field["size"])
    ]
    return words("T", message["type"], least, record, count, int(last["kind"] == "tail"), *texts)


def words(*values: object) -> str:
    return " ".join("-" if value in ("", None) else str(value) for value in values)


def test_the_reference_needs_no_texts_in_records(document) -> None:
    records = [
        field["record_fields"]
        for message in document["messages"]
        for field in message["fields"]
        if "record_fields" in field
    ]
    assert records
    assert not [field for fields in records for field in fields if field["kind"].startswith("text")]


def test_crcs_agree(document, asked) -> None:
    cases = document["crc"]["cases"]
    assert asked([words("C", case["data_hex"]) for case in cases]) == [case["crc"] for case in cases]
    records = [case for bulk in document["bulk"] for case in bulk["cases"]]
    assert asked([words("C", case["payload_hex"]) for case in records]) == [case["crc"] for case in records]


def test_cobs_agrees_in_both_directions(document, asked) -> None:
    cases = document["cobs"]
    assert asked([words("S", case["decoded_hex"]) for case in cases]) == [case["encoded_hex"] for case in cases]
    assert asked([words("U", case["encoded_hex"]) for case in cases]) == [case["decoded_hex"] or "-" for case in cases]


def frames(document: dict[str, Any]) -> list[tuple[str, str]]:
    """Version, type, seq, payload and trailer of every intact frame of the vectors, and its wire bytes."""
    found = [
        (words(16 * case["major"] | (case["trailer_hex"] is not None), case["type"], case["seq"], case["payload_hex"],
               case["trailer_hex"]), case["wire_hex"])
        for case in document["frames"]
    ]  # fmt: skip
    for message in document["messages"]:
        for case in message["cases"]:
            found.append((words(16, message["type"], case["seq"], case["payload_hex"], None), case["wire_hex"]))
    return found


def test_frames_are_the_same_bytes(document, asked) -> None:
    cases = frames(document)
    assert len(cases) > 150
    assert asked([f"F {content}" for content, _ in cases]) == [wire for _, wire in cases]


def test_frames_are_read_alike(document, asked) -> None:
    cases = frames(document)
    assert asked([f"R {wire}" for _, wire in cases]) == [content for content, _ in cases]


def test_rejects_have_the_same_causes(document, asked) -> None:
    cases = document["rejects"]
    assert {case["cause"] for case in cases} == {cause.name for cause in RejectCause}
    answers = asked([f"R {case['wire_hex']}" for case in cases])
    assert dict(zip((case["name"] for case in cases), answers, strict=True)) == {
        case["name"]: case["cause"] for case in cases
    }


def test_a_piece_of_254_bytes_may_be_followed_by_01(document, asked) -> None:
    run = "ff" + "11" * 254
    assert asked([f"U {run}", f"U {run}01"]) == ["11" * 254] * 2
