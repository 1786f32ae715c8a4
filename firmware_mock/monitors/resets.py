"""What a reset or a loss of power may change: nothing that was written, and no dose comes twice."""

from __future__ import annotations

from struct import Struct

from fastcrc import crc32

from firmware_mock.firmware.image import unpack_image
from firmware_mock.firmware.inside import Inside
from firmware_mock.firmware.memory import Memory
from firmware_mock.monitors.delivery import CRYSTAL_TOLERANCE, ROUNDING_UL
from firmware_mock.monitors.moment import Exchange, Findings, Moment
from protocol import Alarm, AlarmsRequest, ClockReply, ClockRequest, CommandState, StatusRequest, Stop

_ENDED = frozenset((CommandState.INTERRUPTED, CommandState.DONE, CommandState.STOPPED, CommandState.FAILED))
PS_PER_US = 1_000_000
_LENGTH = Struct("<IH")
_CRC = Struct("<I")


class Interrupted:
    """SP-26, SP-27: a bolus that a reset ends is told as interrupted, within bounds, and is not gone on with."""

    def __init__(self, inside: Inside, begin: Moment) -> None:
        self._bolus: tuple[int, int] | None = None
        self._interrupted_ps = 0
        self._period_ps = 0
        self._last_interrupted = 0

    def on_change(self, was: Moment, now: Moment) -> Findings:
        if now.memory.boot_id != was.memory.boot_id:
            yield from self._booted(now)
        elif now.is_on and self._interrupted_ps and now.period_ps == self._interrupted_ps:
            run = now.memory.under_way
            if run is None or abs(run.step_ticks * PS_PER_US / self._interrupted_ps - 1.0) > CRYSTAL_TOLERANCE:
                yield "SP-27", "the motor turns as for the bolus that a reset has ended"
        bolus = now.memory.bolus if now.works else None
        if bolus is not None and bolus.command_id == self._last_interrupted and was.memory.bolus is None:
            yield "SP-27", f"bolus {bolus.command_id}, which a reset has ended, begins again"
        if bolus is None:
            if now.works:
                self._bolus = None
        elif self._bolus is None or self._bolus[0] != bolus.command_id:
            self._bolus = (bolus.command_id, now.rotor_steps)
        if now.works and bolus is not None:
            self._period_ps = now.period_ps

    def _booted(self, now: Moment) -> Findings:
        bolus, self._bolus, self._interrupted_ps = self._bolus, None, 0
        if bolus is None or now.is_lost:
            return
        command_id, began_at = bolus
        self._interrupted_ps, self._last_interrupted = self._period_ps, command_id
        if now.memory.bolus is not None:
            yield "SP-27", f"bolus {now.memory.bolus.command_id} is under way after a reset"
        step_ul = now.memory.step_volume_nl * 1e-3
        made_ul = (now.rotor_steps - began_at) * step_ul
        result = next((it for it in now.memory.results if it.command_id == command_id), None)
        if result is None:
            yield "SP-26", f"nothing is told of bolus {command_id}, of which {made_ul:.6g} uL were made"
            return
        low_ul, high_ul = result.delivered_low_ul - ROUNDING_UL, result.delivered_high_ul + ROUNDING_UL
        if result.state not in _ENDED or not low_ul <= made_ul <= high_ul:
            told = f"{result.state.name}, {low_ul:.6g} to {high_ul:.6g} uL"
            yield "SP-26", f"bolus {command_id} is told as {told}; {made_ul:.6g} uL were made"


class StoredMemory:
    """SP-23: damaged memory is not believed: the pump stands with an alarm, and nothing is made up."""

    def __init__(self, inside: Inside, begin: Moment) -> None:
        self._nvram = inside.nvram
        self._slots: tuple[bytes, ...] = ()

    def on_change(self, was: Moment, now: Moment) -> Findings:
        if not now.is_on or now.hangs:
            return
        if now.is_lost:
            if now.period_ps:
                yield "SP-23", "the memory is lost, and the motor turns"
            if not now.alarms & Alarm.MEMORY_ERROR:
                yield "SP-23", "the memory is lost, and no MEMORY_ERROR"
        elif now.memory.boot_id != was.memory.boot_id and not was.is_lost and not now.committed:
            if now.memory.last_command_id < was.memory.last_command_id:
                yield "SP-23", f"the highest id fell to {now.memory.last_command_id} in a reset"
            if not was.committed and _settings(now.memory) != _settings(was.memory):
                yield "SP-23", "a reset has changed a setting"
        elif was.is_lost and now.memory.boot_id != was.memory.boot_id and not any(map(_is_whole, self._nvram.slots)):
            yield "SP-23", "no slot holds a whole image, and the memory is believed"


class InterruptedProgramming:
    """SP-42: where the mark of a therapy is on the chip and its image is not, the pump stands with an alarm."""

    def __init__(self, inside: Inside, begin: Moment) -> None:
        self._nvram = inside.nvram
        self._begun: int | None = None

    def on_change(self, was: Moment, now: Moment) -> Findings:
        if was.is_on and not now.is_on:
            self._begun = self._interrupted()
        if now.memory.boot_id == was.memory.boot_id or not now.is_on:
            return
        begun, self._begun = self._begun, None
        if begun is None or now.is_lost:
            return
        if now.period_ps or now.memory.in_hand is not None:
            yield "SP-42", f"the writing of therapy {begun} was interrupted, and the motor turns"
        if not now.alarms & Alarm.PROGRAMMING_INTERRUPTED:
            yield "SP-42", f"the writing of therapy {begun} was interrupted, and no PROGRAMMING_INTERRUPTED"

    def _interrupted(self) -> int | None:
        mark = self._nvram.mark.read()
        images = [image for slot in self._nvram.slots if (image := unpack_image(slot)) is not None]
        if mark is None or not images:
            return None
        newest = max(images, key=lambda image: image.generation)
        return mark[0] if mark[0] > newest.memory.last_command_id else None


class Times:
    """SP-36: device time goes on within a boot, boots are counted on, and the log keeps the order."""

    requests = (StatusRequest, Stop, AlarmsRequest, ClockRequest)

    def __init__(self, inside: Inside, begin: Moment) -> None:
        self._last = (begin.memory.boot_id, inside.clock.now_us())
        self._index = -1

    def on_change(self, was: Moment, now: Moment) -> Findings:
        for record in now.logged:
            yield from self._follows(record.boot_id, record.device_time_us)
            if record.index <= self._index:
                yield "SP-36", f"event {record.index} comes after event {self._index}"
            self._index = record.index

    def on_exchange(self, exchange: Exchange) -> Findings:
        answer = exchange.answer
        boot_id = getattr(answer, "boot_id", exchange.after.memory.boot_id)
        time_us = answer.sent_us if isinstance(answer, ClockReply) else getattr(answer, "device_time_us", None)
        if time_us is not None:
            yield from self._follows(boot_id, time_us)

    def _follows(self, boot_id: int, time_us: int) -> Findings:
        if (boot_id, time_us) < self._last:
            yield "SP-36", f"boot {boot_id}, {time_us} us comes after boot {self._last[0]}, {self._last[1]} us"
        self._last = (boot_id, time_us)


def _settings(memory: Memory) -> tuple[object, ...]:
    return (
        memory.step_volume_nl,
        memory.reservoir_ul,
        memory.reservoir_at_steps,
        memory.clock_utc_s,
        memory.clock_offset_s,
    )


def _is_whole(slot: bytes | bytearray) -> bool:
    """Whether a slot holds an image that its CRC-32C agrees with; see image.py for the layout."""
    length = _LENGTH.unpack_from(slot)[1]
    if not _LENGTH.size < length - _CRC.size <= len(slot) - _CRC.size:
        return False
    end = length - _CRC.size
    return int(_CRC.unpack_from(slot, end)[0]) == crc32.iscsi(bytes(slot[:end]))
