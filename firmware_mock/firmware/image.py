"""An image of the memory as it lies in a slot of the chip, little-endian:

    generation u32 | length u16 | steps u64 | reserved u64 | settings | key | therapy | bolus | limits | results
    | patient_starts | stretches | conditions | CRC-32C u32

`length` counts all of it; the CRC covers what is before it. What is absent takes no room.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import Any

from fastcrc import crc32

from firmware_mock.firmware.conditions import Conditions, pack_conditions, unpack_conditions
from firmware_mock.firmware.memory import BolusLimits, Memory, Result, Run
from firmware_mock.firmware.stretches import Stretch
from protocol import KEY_BYTES, CommandState, Mode, SelfTestItem

_HEAD = Struct("<IHQQ")
_SETTINGS = Struct("<dddQqqqiIIIQQHHBBB")
_RUN = Struct("<QQBBQqq?QQQH")
_RESULT = Struct("<QQBBdd")
_LIMITS = Struct("<?ddIHId")
_START = Struct("<q")
_STRETCH = Struct("<qQQd")
_CRC = Struct("<I")
_NONE = -1
_AT_REST = Conditions()
_PRIMED, _LEASED, _LEASE_LOST, _THERAPY, _BOLUS, _KEYED, _STALLED = 1, 2, 4, 8, 16, 32, 64
_INTERRUPTED, _LIMITED, _CONDITIONS = 128, 256, 512


@dataclass(frozen=True, slots=True)
class StoredImage:
    """The memory of one generation. The step count was `steps`, and may be up to `reserved` before it says more."""

    generation: int
    steps: int
    reserved: int
    memory: Memory


def pack_image(image: StoredImage) -> bytes:
    """The bytes of a slot."""
    memory = image.memory
    runs = (memory.therapy, memory.bolus)
    parts = [_pack_settings(memory), memory.key or b"", *(_pack_run(run) for run in runs if run is not None)]
    if memory.limits is not None:
        parts.append(_pack_limits(memory.limits))
    for result in memory.results:
        volumes = (result.delivered_low_ul, result.delivered_high_ul)
        parts.append(_RESULT.pack(result.command_id, result.token, result.propose_type, result.state, *volumes))
    parts += [_START.pack(start_us) for start_us in memory.patient_starts_us]
    parts += [_pack_stretch(stretch) for stretch in memory.stretches]
    if memory.conditions != _AT_REST:
        parts.append(pack_conditions(memory.conditions))
    body = b"".join(parts)
    length = _HEAD.size + len(body) + _CRC.size
    octets = _HEAD.pack(image.generation, length, image.steps, image.reserved) + body
    return octets + _CRC.pack(crc32.iscsi(octets))


def generation_of(slot: bytes | bytearray) -> int | None:
    """The generation of the image in a slot, None where it is damaged or was never finished."""
    generation, length, _, _ = _HEAD.unpack_from(slot)
    if not _HEAD.size + _SETTINGS.size + _CRC.size <= length <= len(slot):
        return None
    end = length - _CRC.size
    is_whole = _CRC.unpack_from(slot, end)[0] == crc32.iscsi(bytes(slot[:end]))
    return int(generation) if is_whole else None


def image_bytes(slot: bytes | bytearray) -> int:
    """How much of a slot an image takes, as far as that can be told."""
    return min(int(_HEAD.unpack_from(slot)[1]), len(slot))


def unpack_image(slot: bytes | bytearray) -> StoredImage | None:
    """The image in a slot, None where there is none, as `generation_of`."""
    generation = generation_of(slot)
    if generation is None:
        return None
    _, _, steps, reserved = _HEAD.unpack_from(slot)
    fields = _SETTINGS.unpack_from(slot, _HEAD.size)
    step_volume_nl, previous_nl, reservoir_ul, at_steps, utc_s, set_at_us, stood_since_us = fields[:7]
    offset_s, clock_generation, calibrations, boot_id, last_command_id, forgotten_id, failed, flags = fields[7:15]
    ended, starts, stretches = fields[15:]
    offset = _HEAD.size + _SETTINGS.size
    key = None
    if flags & _KEYED:
        key = bytes(slot[offset : offset + KEY_BYTES])
        offset += KEY_BYTES
    runs: list[Run | None] = []
    for flag in (_THERAPY, _BOLUS):
        run, offset = _unpack_run(slot, offset) if flags & flag else (None, offset)
        runs.append(run)
    limits = None
    if flags & _LIMITED:
        limits = BolusLimits(*_LIMITS.unpack_from(slot, offset))
        offset += _LIMITS.size
    results, offset = _unpack_row(_RESULT, slot, offset, ended)
    patient_starts_us, offset = _unpack_row(_START, slot, offset, starts)
    driven, offset = _unpack_row(_STRETCH, slot, offset, stretches)
    conditions = unpack_conditions(slot, offset) if flags & _CONDITIONS else _AT_REST
    memory = Memory(
        step_volume_nl=step_volume_nl,
        previous_step_volume_nl=previous_nl,
        reservoir_ul=reservoir_ul,
        reservoir_at_steps=at_steps,
        clock_utc_s=utc_s,
        clock_set_at_us=set_at_us,
        stood_since_us=_optional(stood_since_us),
        clock_offset_s=offset_s,
        clock_generation=clock_generation,
        generation=calibrations,
        boot_id=boot_id,
        last_command_id=last_command_id,
        primed=bool(flags & _PRIMED),
        therapy=runs[0],
        bolus=runs[1],
        leased=bool(flags & _LEASED),
        lease_lost=bool(flags & _LEASE_LOST),
        motor_stalled=bool(flags & _STALLED),
        forgotten_command_id=forgotten_id,
        self_test_failed=SelfTestItem(failed),
        results=tuple(
            Result(command_id, token, propose_type, CommandState(state), low_ul, high_ul)
            for command_id, token, propose_type, state, low_ul, high_ul in results
        ),
        programming_interrupted=bool(flags & _INTERRUPTED),
        limits=limits,
        patient_starts_us=tuple(start_us for (start_us,) in patient_starts_us),
        stretches=tuple(Stretch(*stretch) for stretch in driven),
        conditions=conditions,
        key=key,
    )
    return StoredImage(generation, steps, reserved, memory)


def _pack_settings(memory: Memory) -> bytes:
    flags = (
        _PRIMED * memory.primed
        | _LEASED * memory.leased
        | _LEASE_LOST * memory.lease_lost
        | _THERAPY * (memory.therapy is not None)
        | _BOLUS * (memory.bolus is not None)
        | _KEYED * (memory.key is not None)
        | _STALLED * memory.motor_stalled
        | _INTERRUPTED * memory.programming_interrupted
        | _LIMITED * (memory.limits is not None)
        | _CONDITIONS * (memory.conditions != _AT_REST)
    )
    return _SETTINGS.pack(
        memory.step_volume_nl,
        memory.previous_step_volume_nl,
        memory.reservoir_ul,
        memory.reservoir_at_steps,
        memory.clock_utc_s,
        memory.clock_set_at_us,
        _or_none(memory.stood_since_us),
        memory.clock_offset_s,
        memory.clock_generation,
        memory.generation,
        memory.boot_id,
        memory.last_command_id,
        memory.forgotten_command_id,
        memory.self_test_failed,
        flags,
        len(memory.results),
        len(memory.patient_starts_us),
        len(memory.stretches),
    )


def _pack_limits(limits: BolusLimits) -> bytes:
    return _LIMITS.pack(
        limits.enabled,
        limits.volume_ul,
        limits.rate_ul_per_h,
        limits.lockout_s,
        limits.most_per_day,
        limits.window_s,
        limits.window_limit_ul,
    )


def _pack_stretch(stretch: Stretch) -> bytes:
    return _STRETCH.pack(stretch.began_us, stretch.began_at_steps, stretch.step_ticks, stretch.step_volume_nl)


def _pack_run(run: Run) -> bytes:
    head = _RUN.pack(
        run.command_id,
        run.token,
        run.propose_type,
        run.mode,
        run.step_ticks,
        _or_none(run.steps),
        _or_none(run.then_step_ticks),
        run.ends_with_lease,
        run.counted_steps,
        run.doubtful_steps,
        run.taken_up_at_steps,
        len(run.canonical),
    )
    return head + run.canonical


def _unpack_row(layout: Struct, slot: bytes | bytearray, offset: int, count: int) -> tuple[list[tuple[Any, ...]], int]:
    """So many of a layout, one after the other, and where they end."""
    end = offset + count * layout.size
    return list(layout.iter_unpack(bytes(slot[offset:end]))), end


def _unpack_run(slot: bytes | bytearray, offset: int) -> tuple[Run, int]:
    """A run, and where it ends."""
    command_id, token, propose_type, mode, *ticks, leased, counted, doubtful, taken_up, length = _RUN.unpack_from(
        slot, offset
    )
    start = offset + _RUN.size
    end = start + length
    canonical = bytes(slot[start:end])
    step_ticks, steps, then_ticks = ticks
    run = Run(
        command_id,
        token,
        propose_type,
        canonical,
        Mode(mode),
        step_ticks,
        _optional(steps),
        _optional(then_ticks),
        leased,
        counted,
        doubtful,
        taken_up,
    )
    return run, end


def _or_none(value: int | None) -> int:
    return _NONE if value is None else value


def _optional(value: int) -> int | None:
    return None if value == _NONE else value
