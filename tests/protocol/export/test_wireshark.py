"""The Lua dissector under tshark: names, values and faults as the encoder and the decoder of Python have them."""

import json
import math
import shutil
import struct
import subprocess
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from protocol import (
    Alarm,
    CommandResult,
    CommandState,
    Event,
    EventCode,
    Mode,
    Nak,
    NakReason,
    Proposal,
    Status,
    Stop,
    encode,
    encode_frame,
)
from protocol.export.description import snake_case
from protocol.export.vectors import vectors
from protocol.export.wireshark import wireshark
from protocol.registry import DEFINITIONS

LINKTYPE_USER0 = 147
CRC_BYTE = -2
VECTORS: dict[str, Any] = json.loads(vectors())

Packet = dict[str, list[ElementTree.Element]]
Dissect = Callable[[list[bytes]], list[Packet]]


@pytest.fixture(scope="module")
def dissect(tmp_path_factory: pytest.TempPathFactory) -> Dissect:
    """Packets of bytes through tshark; the fields of each by name. Skipped where there is no tshark."""
    tshark = shutil.which("tshark")
    if tshark is None:
        pytest.skip("tshark is not installed: the Lua dissector was not run (apt-get install tshark)")
    folder = tmp_path_factory.mktemp("wireshark")
    script, capture = folder / "theca.lua", folder / "session.pcap"
    script.write_text(wireshark(), encoding="utf-8")

    def run(packets: list[bytes]) -> list[Packet]:
        _write_pcap(capture, packets)
        command = [tshark, "-n", "-X", f"lua_script:{script}", "-r", str(capture), "-T", "pdml"]
        done = subprocess.run(command, capture_output=True, check=False, timeout=50)
        errors = done.stderr.decode()
        assert done.returncode == 0, errors
        assert "Lua" not in errors, errors
        dissected = [_fields(packet) for packet in ElementTree.fromstring(done.stdout).iter("packet")]
        assert len(dissected) == len(packets)
        assert not any("_ws.lua.error" in packet or "_ws.malformed" in packet for packet in dissected)
        return dissected

    return run


def _write_pcap(path: Path, packets: list[bytes]) -> None:
    records = [
        struct.pack("<IIII", 1, second, len(packet), len(packet)) + packet for second, packet in enumerate(packets)
    ]
    path.write_bytes(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, LINKTYPE_USER0) + b"".join(records))


def _fields(packet: ElementTree.Element) -> Packet:
    found: Packet = {}
    for element in packet.iter("field"):
        found.setdefault(element.get("name", ""), []).append(element)
    return found


def _shown(packet: Packet) -> dict[str, str]:
    """Name → label of the fields of the protocol, without the fields' own names."""
    return {
        name.removeprefix("theca."): elements[0].get("showname", "").rpartition(": ")[2]
        for name, elements in packet.items()
        if name.startswith("theca.")
    }


def _rejects(packet: Packet) -> dict[str, str]:
    prefix = "theca.reject."
    return {
        name.removeprefix(prefix).upper(): elements[0].get("showname", "")
        for name, elements in packet.items()
        if name.startswith(prefix)
    }


def _damaged(wire: bytes) -> bytes:
    flipped = wire[CRC_BYTE] ^ 0x80
    return wire[:CRC_BYTE] + bytes([flipped or 0x81]) + wire[CRC_BYTE + 1 :]


def test_a_session_is_shown_with_names_and_values(dissect: Dissect) -> None:
    status = Status(
        1_500_000, 7, Mode.BOLUS, Alarm.LOW_BATTERY, 125.5, 10, 0.5, 19875.0, 2800, -9.75, 0.1, 2**64 - 1, 0
    )
    stop, answer, event, damaged, result, nak = dissect(
        [
            encode(Stop(), seq=5),
            encode(status, seq=0xFFFE),
            b"\0\0" + encode(Event(3, 4, EventCode.LOW_BATTERY, -5)) + b"\0\0",
            _damaged(encode(status, seq=6)),
            encode(CommandResult(1, 200, 0.25, 0.5), seq=7),
            encode(Nak(NakReason.SEQ_REUSED, "déjà vu"), seq=8),
        ]
    )
    assert _shown(stop) == {
        "message": "Stop", "major": "1", "flags": "0x0", "flags.trailer": "False",
        "type": "Stop (0x15)", "seq": "5", "length": "0", "crc": _shown(stop)["crc"],
    }  # fmt: skip
    shown = _shown(answer)
    assert (shown["message"], shown["type"], shown["seq"]) == ("Status", "Status (0x82)", "65534")
    assert {name.removeprefix("status."): value for name, value in shown.items() if name.startswith("status.")} == {
        "device_time_us": "1500000",
        "boot_id": "7",
        "mode": "BOLUS (2)",
        "alarms": "0x00000004",
        "alarms.low_reservoir": "False",
        "alarms.empty_reservoir": "False",
        "alarms.low_battery": "True",
        "alarms.memory_error": "False",
        "rate_ul_per_h": "125.5",
        "steps": "10",
        "delivered_ul": "0.5",
        "reservoir_ul": "19875",
        "battery_mv": "2800",
        "head_temperature_c": "-9.75",
        "step_volume_nl": "0.1",
        "last_command_id": "18446744073709551615",
        "active_command_id": "0",
    }
    assert (_shown(event)["event.code"], _shown(event)["event.argument"]) == ("LOW_BATTERY (8)", "-5")
    assert list(_rejects(damaged)) == ["CRC"]
    assert not any(name.startswith("status.") for name in _shown(damaged))
    assert _shown(damaged)["message"] == "Status"
    assert _shown(result)["command_result.state"] == "Unknown (200)"
    assert (_shown(nak)["nak.reason"], _shown(nak)["nak.detail"]) == ("SEQ_REUSED (9)", "déjà vu")
    assert not any(_rejects(packet) for packet in (stop, answer, event, result, nak))


def test_every_message_of_the_vectors_is_shown_field_by_field(dissect: Dissect) -> None:
    cases = [(message, case) for message in VECTORS["messages"] for case in message["cases"]]
    packets = dissect([bytes.fromhex(case["wire_hex"]) for _, case in cases])
    for (message, case), packet in zip(cases, packets, strict=True):
        where = f"{message['name']}, {case['name']}"
        assert not _rejects(packet), where
        assert _shown(packet)["message"] == message["name"], where
        assert packet["theca.seq"][0].get("show") == str(case["seq"]), where
        payload = bytes.fromhex(case["payload_hex"])
        prefix = f"theca.{snake_case(message['name'])}."
        by_field = {
            name.removeprefix(prefix): elements[0]
            for name, elements in packet.items()
            if name.startswith(prefix) and name.count(".") == 2
        }
        sized = [f for f in message["fields"] if f["kind"] != "tail" or len(payload) > f["offset"]]
        assert list(by_field) == [field["name"] for field in sized], where
        for field in sized:
            size = field["size"] or len(payload) - field["offset"]
            raw = payload[field["offset"] : field["offset"] + size]
            assert by_field[field["name"]].get("value") == raw.hex(), f"{where}, {field['name']}"
            _assert_shows(by_field[field["name"]].get("show", ""), field, raw, f"{where}, {field['name']}")


def _assert_shows(show: str, field: dict[str, Any], raw: bytes, where: str) -> None:
    kind = field["kind"]
    if kind[0] in "ui":
        assert int(show, 0) == int.from_bytes(raw, "little", signed=kind[0] == "i"), where
    elif kind in ("f32", "f64"):
        (value,) = struct.unpack("<f" if kind == "f32" else "<d", raw)
        if math.isfinite(value):
            exact = Decimal(value)  # 15 digits of the largest double round to more than it
            assert abs(Decimal(show) - exact) <= abs(exact) * Decimal("1e-5"), where
        else:
            assert show.lstrip("-") == ("nan" if math.isnan(value) else "inf"), where
            assert math.isnan(value) or show.startswith("-") == (value < 0), where
    elif kind == "tail" or kind.startswith("bytes"):
        assert show == raw.hex(":"), where
    elif raw.rstrip(b"\0").decode().isprintable():
        assert show == raw.rstrip(b"\0").decode(), where


def test_every_rejected_frame_of_the_vectors_has_an_expert_info_with_its_cause(dissect: Dissect) -> None:
    packets = dissect([bytes.fromhex(reject["wire_hex"]) for reject in VECTORS["rejects"]])
    found = {reject["name"]: list(_rejects(packet)) for reject, packet in zip(VECTORS["rejects"], packets, strict=True)}
    assert found == {reject["name"]: [reject["cause"]] for reject in VECTORS["rejects"]}


def test_a_zero_within_a_frame_is_bad_cobs(dissect: Dissect) -> None:
    wire = encode(Event(0x01020304, 2, 3, 4))
    (packet,) = dissect([wire[:3] + b"\0" + wire[4:]])
    assert list(_rejects(packet)) == ["COBS"]


def test_an_expert_info_says_what_differs(dissect: Dissect) -> None:
    unused = next(type_byte for type_byte in range(1, 256) if type_byte not in DEFINITIONS)
    unknown, short = dissect([encode_frame(unused, 1, b"\x01\x02"), encode_frame(Event.TYPE, 1, b"\x01")])
    assert f"message type 0x{unused:02X} is unknown" in _rejects(unknown)["UNKNOWN_TYPE"]
    assert "22 bytes of payload, not 1" in _rejects(short)["PAYLOAD"]


def test_frames_with_trailers_and_long_payloads_are_taken_as_python_takes_them(dissect: Dissect) -> None:
    packets = dissect([bytes.fromhex(entry["wire_hex"]) for entry in VECTORS["frames"]])
    for entry, packet in zip(VECTORS["frames"], packets, strict=True):
        assert not _rejects(packet), entry["name"]
        payload = [element.get("value") for element in packet.get("theca.payload", [])]
        assert payload == [entry["payload_hex"]] * bool(entry["payload_hex"]), entry["name"]
        trailer = [
            packet[name][0].get("value") for name in ("theca.trailer.counter", "theca.trailer.tag") if name in packet
        ]
        assert "".join(map(str, trailer)) == (entry["trailer_hex"] or ""), entry["name"]


def test_the_tail_of_a_proposal_is_shown_and_may_be_missing(dissect: Dissect) -> None:
    full, empty = dissect([encode(Proposal(1, 2, bytes(8), 3, tail), seq=1) for tail in (b"\x01\x00\xff", b"")])
    assert full["theca.proposal.canonical"][0].get("value") == "0100ff"
    assert "theca.proposal.canonical" not in empty
    assert not _rejects(empty)


def test_the_text_names_every_message_field_and_state_and_is_equal_at_every_call() -> None:
    text = wireshark()
    assert text == wireshark()
    for entry in DEFINITIONS.values():
        assert f'[0x{entry.type_byte:02X}] = "{entry.message.__name__}"' in text
        for field in entry.codec.fields:
            assert f'name = "{field.name}"' in text
    for state in CommandState:
        assert f'[{int(state)}] = "{state.name}"' in text
