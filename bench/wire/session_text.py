"""A session of the wire for people and for programs: one line, or one JSON object, for each thing heard."""

from __future__ import annotations

import functools
import json
import math
import statistics
import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import IntEnum, IntFlag
from typing import Any, get_args

import msgspec
import msgspec.structs

from bench.wire.pairing import may_hold_key
from bench.wire.pcapng import NS_PER_S
from bench.wire.session import COUNTER_BYTES, Heard, Line, Tally
from driver.transport.tapped import Direction
from protocol import PairRequest
from protocol.export.description import unit_of
from protocol.framing import Frame, Reject, RejectCause

BYTES_SHOWN = 32
RECORDS_SHOWN = 8
HIDDEN = "not shown"
LEGEND = "--> host to device, <-- device to host; times in s from the first packet"

_ARROWS = {Direction.TO_DEVICE: "-->", Direction.TO_HOST: "<--", None: "---"}
_NS_PER_MS = 1e6
_SECRETS = frozenset({(PairRequest, "key")})


def text_line(heard: Heard, origin_ns: int | None) -> str:
    """The line of a frame or reject, its time in seconds after `origin_ns`."""
    seconds = _seconds(heard.time_ns, origin_ns)
    time = f"{seconds:12.6f} " if seconds is not None else ""
    what = _reject_text(heard, heard.item) if isinstance(heard.item, Reject) else _frame_text(heard.item)
    remarks = "; ".join(_remarks(heard))
    return f"{time}{_ARROWS[heard.direction]} {what}" + (f"  [{remarks}]" if remarks else "")


def json_entry(heard: Heard, origin_ns: int | None) -> dict[str, Any]:
    """The same as data: full field names, numbers as they are, names for named values, bytes as hex."""
    entry: dict[str, Any] = {"offset": heard.item.offset}
    if heard.packet is not None:
        entry["packet"] = heard.packet
    if heard.time_ns is not None:
        entry["time"] = utc_text(heard.time_ns)
        entry["time_s"] = _seconds(heard.time_ns, origin_ns)
    if heard.direction is not None:
        entry["direction"] = heard.direction.value
    if isinstance(heard.item, Reject):
        is_secret = may_hold_key(heard)
        entry |= {"reject": heard.item.cause.name, "meaning": heard.item.cause.value}
        entry["detail"] = _detail(heard.item, is_secret)
        entry["bytes"] = HIDDEN if is_secret else heard.raw.hex()
    if heard.frame is not None:
        entry |= {"message": heard.name, "type": heard.frame.type, "seq": heard.frame.seq}
    if isinstance(heard.item, Frame):
        entry["fields"] = _json_value(heard.item.message)
        if heard.item.trailer is not None:
            counter, tag = _trailer(heard.item.trailer)
            entry["trailer"] = {"counter": counter, "tag": tag.hex()}
    if heard.attempt > 1:
        entry["attempt"] = heard.attempt
    if heard.answers:
        entry["answers"] = heard.answers
    for name, duration_ns in (("latency_ms", heard.latency_ns), ("since_first_ms", heard.since_first_ns)):
        if duration_ns is not None:
            entry[name] = duration_ns / _NS_PER_MS
    if heard.lost_before:
        entry["lost_before"] = heard.lost_before
    if heard.note:
        entry["note"] = heard.note
    return entry


def summary_lines(tally: Tally) -> list[str]:
    """The counts of a session, for people."""
    duration = f" in {tally.duration_ns / NS_PER_S:.3f} s" if tally.duration_ns is not None else ""
    sent = ", ".join(f"{size} {_way(line)}" for line, size in tally.bytes.items())
    lines = [f"Summary: {_count(tally.frames, 'frame')}{duration}; bytes: {sent or 'none'}"]
    if tally.messages:
        lines.append("  messages: " + ", ".join(f"{name} {count}" for name, count in tally.messages.most_common()))
    requests = f"  requests: {tally.requests}, unanswered {tally.unanswered}, retries {tally.retries}"
    lines.append(requests + f", replies to no open request {tally.stray_replies}")
    if tally.latencies_ns:
        least, middle, most = (each / _NS_PER_MS for each in _spread(tally.latencies_ns))
        lines.append(f"  latency: least {least:.3f} ms, median {middle:.3f} ms, most {most:.3f} ms")
    rejects = ", ".join(f"{cause.name} ({cause.value}) {count}" for cause, count in tally.rejects.most_common())
    lines.append(f"  rejects: {rejects or 'none'}")
    lost = ", ".join(f"{name} {count}" for name, count in tally.lost.most_common())
    gaps = f" (in {_count(tally.gaps, 'gap')})" if lost else ""
    lines.append(f"  lost by sequence number: {lost or 'none'}{gaps}")
    if tally.open_bytes:
        lines.append(f"  unfinished at the end: {_count(tally.open_bytes, 'byte')}")
    return lines


def summary_json(tally: Tally) -> dict[str, Any]:
    """The counts of a session, for programs."""
    spread = [each / _NS_PER_MS for each in _spread(tally.latencies_ns)] if tally.latencies_ns else [None] * 3
    return {
        "frames": tally.frames,
        "duration_s": tally.duration_ns / NS_PER_S if tally.duration_ns is not None else None,
        "bytes": {_way(line): size for line, size in tally.bytes.items()},
        "messages": dict(tally.messages),
        "requests": tally.requests,
        "unanswered": tally.unanswered,
        "retries": tally.retries,
        "stray_replies": tally.stray_replies,
        "latency_ms": dict(zip(("least", "median", "most"), spread, strict=True)),
        "rejects": {cause.name: count for cause, count in tally.rejects.items()},
        "lost": dict(tally.lost),
        "gaps": tally.gaps,
        "open_bytes": tally.open_bytes,
    }


def utc_text(time_ns: int) -> str:
    """An instant in ISO 8601, to the nanosecond; the number of nanoseconds where no calendar reaches it."""
    seconds, ns = divmod(time_ns, NS_PER_S)
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{ns:09d}Z"
    except (ValueError, OverflowError, OSError):
        return f"{time_ns} ns"


def _frame_text(frame: Frame) -> str:
    message = frame.message
    parts = [f"{type(message).__name__:<20} seq {frame.seq:<5}"]
    parts += _fields(message)
    if frame.trailer is not None:
        counter, tag = _trailer(frame.trailer)
        parts.append(f"trailer(counter={counter} tag={tag.hex()})")
    return "  ".join(parts).rstrip()


def _reject_text(heard: Heard, reject: Reject) -> str:
    known = f"{heard.name} seq {heard.frame.seq}, " if heard.frame is not None else ""
    packet = f", packet {heard.packet}" if heard.packet is not None else ""
    place = f"{known}byte {reject.offset} of the stream{packet}"
    is_secret = may_hold_key(heard)
    shown = f"({_count(len(heard.raw), 'byte')} {HIDDEN})" if is_secret else _hex(heard.raw)
    return f"REJECTED {reject.cause.name} ({place}): {reject.cause.value}: {_detail(reject, is_secret)}  {shown}"


def _detail(reject: Reject, is_secret: bool) -> str:
    """What is wrong with it; the checksum of a secret is a part of it."""
    return HIDDEN if is_secret and reject.cause is RejectCause.CRC else reject.detail


def _remarks(heard: Heard) -> list[str]:
    remarks = []
    if heard.attempt > 1:
        remarks.append(f"retry {heard.attempt - 1}")
    if heard.lost_before:
        remarks.append(f"{heard.lost_before} LOST before it")
    if heard.answers:
        after = f" after {heard.latency_ns / _NS_PER_MS:.3f} ms" if heard.latency_ns is not None else ""
        since = heard.since_first_ns
        first = f", {since / _NS_PER_MS:.3f} ms from its first attempt" if since is not None else ""
        remarks.append(f"answers {heard.answers}{after}{first}")
    if heard.note:
        remarks.append(heard.note)
    return remarks


def _fields(struct: msgspec.Struct) -> list[str]:
    """Each field as `name=value unit`, its unit taken out of its name."""
    return [_field(name, value, named) for name, value, named in _values(struct)]


def _field(name: str, value: Any, named: bool) -> str:
    unit = unit_of(name)
    shown = f"{_stem(name, unit)}={_value(value)}"
    if named and not isinstance(value, IntEnum | IntFlag):
        shown += " (unknown)"
    return f"{shown} {unit}" if unit else shown


def _value(value: Any) -> str:
    if isinstance(value, IntFlag):
        return "|".join(map(str, _flag_names(value))) or "none"
    if isinstance(value, IntEnum):
        return value.name
    if isinstance(value, bytes):
        return _hex(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, float):
        return _float_text(value)
    if isinstance(value, msgspec.Struct):
        return "{" + " ".join(_fields(value)) + "}"
    if isinstance(value, tuple):
        more = [f"… {len(value) - RECORDS_SHOWN} more"] if len(value) > RECORDS_SHOWN else []
        return f"{len(value)} × [" + ", ".join([*map(_value, value[:RECORDS_SHOWN]), *more]) + "]"
    return str(value)


def _json_value(value: Any) -> Any:
    if isinstance(value, IntFlag):
        return _flag_names(value)
    if isinstance(value, IntEnum):
        return value.name
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, msgspec.Struct):
        return {name: _json_value(each) for name, each, _ in _values(value)}
    return [_json_value(each) for each in value] if isinstance(value, tuple) else value


def _flag_names(value: IntFlag) -> list[str]:
    """The names of the bits that are set; those without a name together in hex."""
    names = [flag.name for flag in type(value) if flag & value == flag and flag.name is not None]
    rest = functools.reduce(lambda left, flag: left & ~int(flag), type(value), int(value))
    return [*names, f"0x{rest:X}"] if rest else names


def _values(struct: msgspec.Struct) -> Iterator[tuple[str, Any, bool]]:
    """Each field's name, its value, flags as such even with unknown bits, and whether its values have names.

    What is secret is left out: a log is shown around.
    """
    for name, enum in _enums(type(struct)).items():
        value: Any = HIDDEN if (type(struct), name) in _SECRETS else getattr(struct, name)
        yield name, enum(value) if enum is not None and issubclass(enum, IntFlag) else value, enum is not None


@functools.cache
def _enums(struct: type[msgspec.Struct]) -> dict[str, type[IntEnum | IntFlag] | None]:
    """For each field of a class the enumeration that names its values, if there is one."""
    return {
        info.name: next((kind for kind in get_args(info.type) if _is_enum(kind)), None)
        for info in msgspec.structs.fields(struct)
    }


def _is_enum(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, IntEnum | IntFlag)


@functools.cache
def _stem(name: str, unit: str) -> str:
    """The name without the suffix that states the unit: the shortest suffix that does."""
    parts = name.split("_")
    for first in range(len(parts) - 1, 0, -1):
        if unit and unit_of("_" + "_".join(parts[first:])) == unit:
            return "_".join(parts[:first])
    return name


def _float_text(value: float) -> str:
    """The fewest digits that give a 32-bit value again; twelve of a 64-bit one, JSON has them all."""
    for digits in range(6, 10):
        text = f"{value:.{digits}g}"
        if _as_f32(float(text)) == value:
            return text
    return f"{value:.12g}"


def _as_f32(value: float) -> float | None:
    try:
        rounded: float = struct.unpack("<f", struct.pack("<f", value))[0]
    except OverflowError:
        return None
    return rounded


def _hex(data: bytes) -> str:
    if not data:
        return "(empty)"
    more = f" … {len(data)} bytes" if len(data) > BYTES_SHOWN else ""
    return data[:BYTES_SHOWN].hex(" ") + more


def _trailer(trailer: bytes) -> tuple[int, bytes]:
    return int.from_bytes(trailer[:COUNTER_BYTES], "little"), trailer[COUNTER_BYTES:]


def _seconds(time_ns: int | None, origin_ns: int | None) -> float | None:
    return None if time_ns is None or origin_ns is None else (time_ns - origin_ns) / NS_PER_S


def _spread(values: list[int]) -> tuple[float, float, float]:
    return min(values), statistics.median(values), max(values)


def _way(line: Line) -> str:
    return line.value if line is not None else "direction unknown"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
