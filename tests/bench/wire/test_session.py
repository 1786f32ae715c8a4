"""Sessions as text and JSON: names, units, rejects, retries, latencies and losses, from hand-made frames."""

from __future__ import annotations

import json
import math
import re

import msgspec
import pytest

from bench.wire.pcapng import Packet
from bench.wire.session import Session
from bench.wire.session_text import json_entry, summary_json, summary_lines, text_line, utc_text
from driver.transport.tapped import Direction
from protocol import (
    Alarm,
    CommandResult,
    CommandResultRequest,
    CommandState,
    Event,
    EventCode,
    Nak,
    NakReason,
    StatusRequest,
    Stop,
    Stopped,
    encode,
    encode_frame,
)
from protocol.enums import Day, OnLeaseLoss
from protocol.export.vectors import vectors
from protocol.messages import AcknowledgeAlarms, FlexStep, ProposeFlex
from protocol.registry import DEFINITIONS

TO_DEVICE, TO_HOST = Direction.TO_DEVICE, Direction.TO_HOST
START_NS = 1_795_000_000_000_000_000
VECTORS = json.loads(vectors())


def follow(*told):
    """Heard items and tally of (ms, direction, bytes)."""
    session = Session()
    heard = [
        item
        for number, (at_ms, direction, data) in enumerate(told, 1)
        for item in session.feed(Packet(START_NS + round(at_ms * 1e6), direction, data, number=number))
    ]
    return heard, session.tally


def lines(*told):
    return [text_line(item, START_NS) for item in follow(*told)[0]]


def event(sequence):
    return encode(Event(sequence, 5, EventCode.STARTED, 1))


def flipped(wire):
    return wire[:-2] + bytes([wire[-2] ^ 0x80 or 1]) + wire[-1:]


def test_a_session_reads_as_one_line_for_each_frame():
    told = lines(
        (0.0, TO_DEVICE, encode(Stop(), seq=7)),
        (1.5, TO_HOST, encode(Stopped(1_500_000, 42, 0.35000000000000003), seq=7)),
        (20.0, TO_HOST, encode(Event(3, 2_000_000, EventCode.STOPPED, -1))),
        (30.25, TO_DEVICE, encode(CommandResultRequest(9), seq=8)),
        (31.0, TO_HOST, encode(CommandResult(9, CommandState.DONE, 0.1, 2.0, 7), seq=8)),
        (32.0, TO_DEVICE, encode(CommandResultRequest(9), seq=9)),
        (33.0, TO_HOST, encode(Nak(NakReason.BUSY, 'say "please"'), seq=9)),
    )
    expected = """\
    0.000000 --> Stop                 seq 7
    0.001500 <-- Stopped              seq 7      device_time=1500000 µs  steps=42  delivered=0.35 µL  \
[answers Stop after 1.500 ms]
    0.020000 <-- Event                seq 0      sequence=3  device_time=2000000 µs  code=STOPPED  argument=-1
    0.030250 --> CommandResultRequest seq 8      command_id=9
    0.031000 <-- CommandResult        seq 8      command_id=9  state=DONE  delivered_low=0.1 µL  delivered_high=2 µL  \
token=7  [answers CommandResultRequest after 0.750 ms]
    0.032000 --> CommandResultRequest seq 9      command_id=9
    0.033000 <-- Nak                  seq 9      reason=BUSY  detail="say \\"please\\""  [answers CommandResultRequest \
after 1.000 ms]
"""
    assert "\n".join(told) + "\n" == expected


def test_rejects_have_cause_offset_packet_detail_and_bytes():
    stop = encode(Stop(), seq=7)
    unknown = next(type_byte for type_byte in range(1, 256) if type_byte not in DEFINITIONS)
    told = [(0.0, TO_HOST, stop[:4]), (1.0, TO_HOST, stop[4:] + flipped(stop)), (2.0, TO_DEVICE, b"\x03")]
    heard, tally = follow(*told, (3.0, TO_DEVICE, b"\x01\x00"), (4.0, TO_HOST, encode_frame(unknown, 5, b"\xaa")))
    texts = [text_line(item, START_NS) for item in heard[1:]]
    assert re.fullmatch(
        rf"    0\.001000 <-- REJECTED CRC \(byte {len(stop) + 1} of the stream, packet 2\): "
        rf"CRC-32C differs: computed 0x\w{{8}}, received 0x\w{{8}}  {flipped(stop).hex(' ')}",
        texts[0],
    )
    assert texts[1].startswith("    0.003000 --> REJECTED COBS (byte 0 of the stream, packet 4): not COBS: ")
    assert texts[1].endswith("  03 01 00")
    assert f"REJECTED UNKNOWN_TYPE (type 0x{unknown:02X} seq 5, byte {2 * len(stop) + 1} of the" in texts[2]
    assert {cause.name: count for cause, count in tally.rejects.items()} == {"CRC": 1, "COBS": 1, "UNKNOWN_TYPE": 1}
    entry = json_entry(heard[1], START_NS)
    assert (entry["reject"], entry["offset"], entry["bytes"]) == ("CRC", len(stop) + 1, flipped(stop).hex())


def test_retries_are_marked_and_the_reply_has_both_latencies():
    stop, stopped = encode(Stop(), seq=7), encode(Stopped(1, 2, 3.0), seq=7)
    asked = [(at_ms, TO_DEVICE, stop) for at_ms in (0, 500, 1000)]
    heard, tally = follow(*asked, (1002, TO_HOST, stopped), (1003, TO_HOST, stopped))
    texts = [text_line(item, START_NS) for item in heard]
    assert [item.attempt for item in heard] == [1, 2, 3, 1, 1]
    assert texts[1].endswith("Stop                 seq 7  [retry 1]")
    assert texts[2].endswith("[retry 2]")
    assert texts[3].endswith("[answers Stop after 2.000 ms, 1002.000 ms from its first attempt]")
    assert texts[4].endswith("[answers Stop after 3.000 ms; answered before]")
    assert (tally.requests, tally.unanswered, tally.retries, tally.stray_replies) == (1, 0, 2, 1)
    assert tally.latencies_ns == [2_000_000]


def test_a_retry_with_a_fresh_trailer_is_a_retry_and_other_content_is_not():
    first, again = (encode_frame(Stop.TYPE, 7, b"", trailer=bytes([count]) + bytes(11)) for count in (1, 2))
    other = encode(StatusRequest(), seq=7)
    heard, tally = follow((0, TO_DEVICE, first), (1, TO_DEVICE, again), (2, TO_DEVICE, other), (3, TO_DEVICE, first))
    assert [item.attempt for item in heard] == [1, 2, 1, 1]
    assert "trailer(counter=2 tag=0000000000000000)" in text_line(heard[1], START_NS)
    assert json_entry(heard[1], START_NS)["trailer"] == {"counter": 2, "tag": "00" * 8}
    assert (tally.requests, tally.unanswered) == (3, 3)


def test_replies_that_fit_nothing_say_why():
    told = [
        (0, TO_HOST, encode(Stopped(1, 2, 3.0), seq=7)),
        (1, TO_DEVICE, encode(StatusRequest(), seq=8)),
        (2, TO_HOST, encode(Stopped(1, 2, 3.0), seq=8)),
        (3, TO_DEVICE, encode(Stop(), seq=9)),
        (4, TO_DEVICE, encode(StatusRequest(), seq=10)),
        (5, TO_HOST, encode(Stopped(1, 2, 3.0), seq=9)),
        (6, TO_HOST, encode(StatusRequest(), seq=11)),
        (7, TO_DEVICE, event(1)),
    ]
    heard, tally = follow(*told)
    assert [item.note for item in heard if item.note] == [
        "answers no request that was heard",
        "does not answer StatusRequest, which has this seq",
        "late: the host had gone on",
        "an echo: no device sends a request",
        "from the host, though only a device sends it",
    ]
    assert (tally.requests, tally.unanswered, tally.stray_replies) == (3, 2, 2)


def test_lost_notifications_are_counted_by_their_numbers_and_a_reset_is_no_loss():
    heard, tally = follow(*((0, TO_HOST, event(n)) for n in (2**32 - 2, 2**32 - 1, 2, 3, 3, 7, 1, 2)))
    assert [item.lost_before for item in heard] == [0, 0, 2, 0, 0, 3, 0, 0]
    assert text_line(heard[2], START_NS).endswith("[2 LOST before it]")
    assert (dict(tally.lost), tally.gaps) == ({"Event": 5}, 2)


def test_without_directions_roles_are_told_by_the_message():
    session = Session()
    stream = encode(Stop(), seq=7) + b"noise" + encode(Stopped(1, 2, 3.0), seq=7)
    heard = list(session.feed(Packet(None, None, stream)))
    rejected = "--- REJECTED COBS (byte 13 of the stream): not COBS: not enough input bytes for length code"
    assert [text_line(item, None) for item in heard] == [
        "--- Stop                 seq 7",
        f"{rejected}  6e 6f 69 73 65 00",
        "--- Stopped              seq 7      device_time=1 µs  steps=2  delivered=3 µL  [answers Stop]",
    ]
    assert (session.tally.unanswered, session.tally.duration_ns) == (0, None)


def test_the_summary_counts_everything():
    told = [
        (0, TO_DEVICE, encode(Stop(), seq=7)),
        (2, TO_HOST, encode(Stopped(1, 2, 3.0), seq=7)),
        (3, TO_HOST, event(1)),
    ]
    _, tally = follow(*told, (4, TO_HOST, event(3)), (5, TO_HOST, b"\x09\x00"), (6, TO_DEVICE, b"abc"))
    assert summary_lines(tally) == [
        "Summary: 4 frames in 0.006 s; bytes: 16 host to device, 109 device to host",
        "  messages: Event 2, Stop 1, Stopped 1",
        "  requests: 1, unanswered 0, retries 0, replies to no open request 0",
        "  latency: least 2.000 ms, median 2.000 ms, most 2.000 ms",
        "  rejects: COBS (not COBS) 1",
        "  lost by sequence number: Event 1 (in 1 gap)",
        "  unfinished at the end: 3 bytes",
    ]
    counts = summary_json(tally)
    assert counts["latency_ms"] == {"least": 2.0, "median": 2.0, "most": 2.0}
    assert (counts["lost"], counts["rejects"], counts["open_bytes"]) == ({"Event": 1}, {"COBS": 1}, 3)


@pytest.mark.parametrize("entry", VECTORS["messages"], ids=lambda entry: entry["name"])
def test_every_message_is_printed_with_all_its_fields(entry):
    for case in entry["cases"]:
        (heard,), _ = follow((0, None, bytes.fromhex(case["wire_hex"])))
        text = text_line(heard, START_NS)
        assert text.split()[2] == entry["name"]
        assert text.count("=") >= len(entry["fields"])
        known = msgspec.json.decode(msgspec.json.encode(json_entry(heard, START_NS)))
        assert (known["message"], known["seq"], known["type"]) == (entry["name"], case["seq"], entry["type"])
        assert list(known["fields"]) == [field["name"] for field in entry["fields"]]


@pytest.mark.parametrize("entry", VECTORS["rejects"], ids=lambda entry: entry["name"])
def test_every_reject_is_printed_with_its_cause(entry):
    heard, _ = follow((0, None, bytes.fromhex(entry["wire_hex"])))
    assert [f"REJECTED {entry['cause']} (" in text_line(item, START_NS) for item in heard] == [True] * len(heard)
    assert heard


def test_records_in_a_message_are_printed_with_their_units_and_the_many_cut_short():
    steps = tuple(FlexStep(Day.MONDAY, number, float(number)) for number in range(20))
    (heard,), _ = follow((0, TO_DEVICE, encode(ProposeFlex(5, OnLeaseLoss.STOP, steps))))
    text = text_line(heard, START_NS)
    assert "steps=20 × [{days=MONDAY start=0 min rate=0 µL/h}, {days=MONDAY start=1 min rate=1 µL/h}, " in text
    assert text.endswith("{days=MONDAY start=7 min rate=7 µL/h}, … 12 more]")
    records = json_entry(heard, START_NS)["fields"]["steps"]
    assert len(records) == 20
    assert records[19] == {"days": ["MONDAY"], "start_min": 19, "rate_ul_per_h": 19.0}


def test_flags_are_named_and_bits_without_a_name_stay_visible():
    alarms = Alarm.LOW_BATTERY | Alarm.LOW_RESERVOIR | Alarm(0x4000_0000)
    (heard,), _ = follow((0, TO_DEVICE, encode(AcknowledgeAlarms(alarms, 60))))
    assert text_line(heard, START_NS).endswith("alarms=LOW_RESERVOIR|LOW_BATTERY|0x40000000  silence=60 s")
    assert json_entry(heard, START_NS)["fields"]["alarms"] == ["LOW_RESERVOIR", "LOW_BATTERY", "0x40000000"]


def test_unknown_enum_values_and_odd_numbers_stay_visible():
    heard, _ = follow((0, TO_HOST, encode(Event(1, 2, 999, 3))), (1, TO_HOST, encode(Stopped(1, 2, math.nan), seq=1)))
    assert "code=999 (unknown)" in text_line(heard[0], START_NS)
    assert json_entry(heard[0], START_NS)["fields"]["code"] == 999
    assert "delivered=nan µL" in text_line(heard[1], START_NS)
    assert json_entry(heard[1], START_NS)["fields"]["delivered_ul"] == "nan"


def test_times_are_utc_to_the_nanosecond():
    assert utc_text(1_795_000_000_123_456_789) == "2026-11-18T11:06:40.123456789Z"
    assert utc_text(10**30) == f"{10**30} ns"
