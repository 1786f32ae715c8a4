"""A message that is registered tomorrow is exported without a change here, whatever its fields are called."""

import json
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path
from unittest import mock

import pytest
from construct import Enum, Float32l, GreedyBytes, Int8sl, Int16sl, Int32sl, Int32ul, PaddedString, Struct

from protocol import Message
from protocol.export import FORMATS
from protocol.export.vectors import vectors
from protocol.registry import DEFINITIONS, decode_payload, notification


class Huge(IntEnum):
    """Values that no C int holds."""

    SMALL = 1
    HUGE = 0xFFFFFFFF


@pytest.fixture
def _two_more() -> Iterator[None]:
    with mock.patch.dict(DEFINITIONS):

        @notification(
            0xFD,
            Struct(
                "default" / Int8sl,
                "register" / Int16sl,
                "offset_s" / Int32sl,
                "huge" / Enum(Int32ul, Huge),
                "humidity_pct" / Float32l,
                "label" / PaddedString(3, "utf8"),
                "rest" / GreedyBytes,
            ),
        )
        class Awkward(Message, frozen=True):
            """Ends a comment: */ and has a | in it; `default` is this | that."""

            default: int
            register: int
            offset_s: int
            huge: Huge | int
            humidity_pct: float
            label: str
            rest: bytes

        @notification(0xFE, Struct("all" / GreedyBytes))
        class OnlyTail(Message, frozen=True):
            """Nothing but a tail."""

            all: bytes

        yield


@pytest.mark.usefixtures("_two_more")
def test_its_struct_compiles(gcc, tmp_path: Path) -> None:
    path = tmp_path / "theca_protocol.h"
    text = FORMATS["c-header"]()
    path.write_text(text, encoding="utf-8")
    gcc("-fsyntax-only", "-x", "c", path)
    assert "int8_t default_; /* this | that */" in text
    assert "#define THECA_HUGE_HUGE 0xFFFFFFFFu" in text
    assert "#define THECA_ONLY_TAIL_ALL_MAX_BYTES 512u" in text


@pytest.mark.usefixtures("_two_more")
def test_its_table_keeps_its_columns() -> None:
    page = FORMATS["markdown"]()
    assert "| 0 | 1 | `int8_t` | `default` |  | this \\| that |" in page
    assert "| 7 | 4 | `uint32_t` | `huge` |  | [Huge](#huge) |" in page
    assert "| 11 | 4 | `float` | `humidity_pct` | % |  |" in page
    assert "| 0xFE | [OnlyTail](#0xfe-onlytail) | device to host |  |  | 0 to 512 |" in page


@pytest.mark.usefixtures("_two_more")
def test_its_vectors_decode() -> None:
    document = json.loads(vectors())
    awkward = next(message for message in document["messages"] if message["name"] == "Awkward")
    by_name = {case["name"]: case for case in awkward["cases"]}
    assert by_name["minimum"]["values"]["default"] == -128
    assert by_name["maximum"]["values"]["register"] == 32767
    assert by_name["maximum"]["values"]["label"] == "µx"
    assert by_name["typical"]["values"]["offset_s"] < 0
    for case in awkward["cases"]:
        message = decode_payload(0xFD, bytes.fromhex(case["payload_hex"]))
        assert isinstance(message, Message)
        assert getattr(message, "default") == case["values"]["default"]  # noqa: B009
