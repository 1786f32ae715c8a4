"""The Lua dissector under tshark: names, values and faults as the encoder and the decoder of Python have them."""

import json
import math
import struct
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from xml.etree import ElementTree

import pytest

from protocol import (
    Alarm,
    AlarmEntry,
    Alarms,
    BulkData,
    CommandResult,
    CommandState,
    Day,
    Event,
    EventCode,
    FlexStep,
    Mode,
    Nak,
    NakReason,
    OnLeaseLoss,
    Proposal,
    ProposeFlex,
    Severity,
    Status,
    Stop,
    Tone,
    encode,
    encode_frame,
)
from protocol.export.description import snake_case
from protocol.export.vectors import vectors
from protocol.export.wireshark import wireshark
from protocol.registry import DEFINITIONS

CRC_BYTE = -2
VECTORS: dict[str, Any] = json.loads(vectors())

Packet = dict[str, list[ElementTree.Element]]
Tshark = Callable[[str, list[bytes]], list[Packet]]
Dissect = Callable[[list[bytes]], list[Packet]]


@pytest.fixture(scope="module")
def dissect(tshark: Tshark) -> Dissect:
    """Packets of bytes through tshark and the export; the fields of each by name."""
    script = wireshark()
    return lambda packets: tshark(script, packets)


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
            encode(CommandResult(1, 200, 0.25, 0.5, 9), seq=7),
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
        **{f"alarms.{str(alarm.name).lower()}": str(alarm is Alarm.LOW_BATTERY) for alarm in Alarm},
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
        prefix = f"theca.{snake_case(message['name'])}."
        expected = _fields_in(message["fields"], bytes.fromhex(case["payload_hex"]), prefix)
        flags = {name for name in packet if name.rpartition(".")[0] in expected and name not in expected}
        shown = [name for name in packet if name.startswith(prefix) and name not in flags]
        assert shown == list(expected), where
        for name, values in expected.items():
            for element, (field, raw) in zip(packet[name], values, strict=True):
                assert element.get("size") == str(len(raw)), f"{where}, {name}"
                assert element.get("value") == ("" if field["kind"] == "records" else raw.hex()), f"{where}, {name}"
                _assert_shows(element.get("show", ""), field, raw, f"{where}, {name}")


Shown = dict[str, list[tuple[dict[str, Any], bytes]]]


def _fields_in(fields: list[dict[str, Any]], octets: bytes, prefix: str) -> Shown:
    """Full name → the bytes of each occurrence, in the order in which the fields lie."""
    found: Shown = {}
    for field in fields:
        name, start = prefix + field["name"], field["offset"]
        if field["kind"] == "records":
            size = int(field["count_kind"][1:]) // 8
            count = {"kind": field["count_kind"]}
            found[f"{name}_count"] = [(count, octets[start : start + size])]
            rest, width = octets[start + size :], field["record_bytes"]
            for record in (rest[at : at + width] for at in range(0, len(rest), width)):
                found.setdefault(name, []).append((field, record))
                for inner, values in _fields_in(field["record_fields"], record, name + ".").items():
                    found.setdefault(inner, []).extend(values)
        elif raw := octets[start : start + field["size"] if field["kind"] != "tail" else None]:
            found[name] = [(field, raw)]
    return found


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
    elif kind == "records":
        assert show == "", where
    elif kind == "tail" or kind.startswith("bytes"):
        assert show == raw.hex(":"), where
    elif raw.rstrip(b"\0").decode().isprintable():
        assert show == raw.rstrip(b"\0").decode(), where


def test_records_are_shown_one_by_one_with_names_and_values(dissect: Dissect) -> None:
    steps = (FlexStep(Day.MONDAY | Day.FRIDAY, 90, 12.5), FlexStep(Day.SUNDAY, 1439, 0.0))
    entries = (
        AlarmEntry(Alarm.MOTOR_STALL, Severity.CRITICAL, 1, 0, 5_000_000, 2, 60, Tone.DUAL),
        AlarmEntry(Alarm.LOW_BATTERY, 9, 0, 1, 7, 1, 0, 0),
    )
    flex, alarms, none = dissect(
        [
            encode(ProposeFlex(1, OnLeaseLoss.STOP, steps), seq=1),
            encode(Alarms(8, entries), seq=2),
            encode(Alarms(8, ()), seq=3),
        ]
    )
    prefix = "theca.propose_flex."
    assert _labels(flex, prefix + "on_lease_loss") == ["STOP (1)"]
    assert _labels(flex, prefix + "steps_count") == ["2"]
    assert [element.get("showname", element.get("show")) for element in flex[prefix + "steps"]] == [
        "steps[0]",
        "steps[1]",
    ]
    assert _labels(flex, prefix + "steps.days") == ["0x11", "0x40"]
    assert _labels(flex, prefix + "steps.days.monday") == ["True", "False"]
    assert _labels(flex, prefix + "steps.days.sunday") == ["False", "True"]
    assert _labels(flex, prefix + "steps.start_min") == ["90", "1439"]
    assert _labels(flex, prefix + "steps.rate_ul_per_h") == ["12.5", "0"]
    prefix = "theca.alarms.entries."
    assert _labels(alarms, prefix + "alarm") == ["0x00000010", "0x00000004"]
    assert _labels(alarms, prefix + "alarm.motor_stall") == ["True", "False"]
    assert _labels(alarms, prefix + "severity") == ["CRITICAL (1)", "Unknown (9)"]
    assert _labels(alarms, prefix + "tone") == ["DUAL (2)", "SILENT (0)"]
    assert _labels(alarms, prefix + "raised_at_us") == ["5000000", "7"]
    assert _labels(none, "theca.alarms.entries_count") == ["0"]
    assert "theca.alarms.entries" not in none
    assert not any(_rejects(packet) for packet in (flex, alarms, none))


def _labels(packet: Packet, name: str) -> list[str]:
    return [element.get("showname", "").rpartition(": ")[2] for element in packet[name]]


def test_a_count_that_lies_about_the_length_is_marked_and_shows_no_records(dissect: Dissect) -> None:
    lies = [
        (count, size)
        for count in (0, 1, 2, 45, 46, 254, 255)
        for size in (0, 1, 10, 11, 12, 22, 494, 495, 496, 502)
        if size != 11 * count
    ]
    packets = dissect(
        [encode_frame(ProposeFlex.TYPE, 1, bytes(9) + bytes([count]) + bytes(size)) for count, size in lies]
    )
    for (count, size), packet in zip(lies, packets, strict=True):
        (fault,) = _rejects(packet).items()
        assert fault[0] == "PAYLOAD"
        needed = f"announces {count} records, that is {10 + 11 * count} bytes of payload, not {10 + size}"
        assert needed in fault[1], (count, size)
        assert not [name for name in packet if name.startswith("theca.propose_flex.")]


def test_a_payload_without_its_count_is_marked(dissect: Dissect) -> None:
    packets = dissect([encode_frame(ProposeFlex.TYPE, 1, bytes(size)) for size in range(10)])
    assert [list(_rejects(packet)) for packet in packets] == [["PAYLOAD"]] * 10


def test_the_data_of_a_bulk_transfer_stay_bytes(dissect: Dissect) -> None:
    (packet,) = dissect([encode(BulkData(1, 2, b"\x01\x00\xff"), seq=1)])
    assert packet["theca.bulk_data.data"][0].get("value") == "0100ff"
    assert not _rejects(packet)


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
            for inner in () if field.record is None else field.record.fields:
                assert f'name = "{inner.name}"' in text
    for state in CommandState:
        assert f'[{int(state)}] = "{state.name}"' in text
