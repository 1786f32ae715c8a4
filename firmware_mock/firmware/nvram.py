"""What the pump remembers through a reset and without power: two slots with an image, a step journal, rows of records.

A write goes to one slot and then to the other, so one of them is whole at every instant: the old image or the new one.
The motor starts only after both. An image also reserves the first block of steps that the motor may make under it.
"""

from __future__ import annotations

from collections.abc import Callable

from firmware_mock.firmware.flash import ERASED, PAGE_BYTES, PROGRAM_NS, Flash, PowerLost
from firmware_mock.firmware.image import StoredImage, generation_of, image_bytes, pack_image, unpack_image
from firmware_mock.firmware.memory import Memory
from firmware_mock.firmware.motor import Motor
from firmware_mock.firmware.programming_mark import ProgrammingMark
from firmware_mock.firmware.rot import Cells, Page
from firmware_mock.firmware.rows import Row
from firmware_mock.firmware.step_journal import RECORD_BYTES, Reservation, StepJournal
from protocol import BulkObject

_KEYED = b"\0"
JOURNALLED_AT_LEAST = 5
_UNKNOWN = Memory(0.0, 0.0, 0.0, 0, 0, 0, None)


class Nvram:
    """`memory` is the image as the firmware holds it; `on_write` is called after each write of it.

    `is_lost`: neither slot held a whole image at the last start. Nothing is made up then and nothing written: `memory`
    holds zeros. `on_power_lost` is called when power fails in what was passed to `guarded`.
    """

    def __init__(self, factory: Memory, flash: Flash, motor: Motor, reserved_steps: int) -> None:
        self.memory = factory
        self.is_lost = False
        self.on_write: Callable[[], None] = lambda: None
        self.on_power_lost: Callable[[], None] = lambda: None
        self.events = Row(BulkObject.EVENT_LOG, flash)
        self.calibrations = Row(BulkObject.CALIBRATION_HISTORY, flash)
        self.doses = Row(BulkObject.DOSE_HISTORY, flash)
        self.rows: dict[int, Row] = {row.bulk_object: row for row in (self.events, self.calibrations, self.doses)}
        self._flash = flash
        self._motor = motor
        self._reserved_steps = reserved_steps
        self._journal = StepJournal()
        self._mark = ProgrammingMark(flash)
        self._counts_from_image = True
        self._slots = [bytearray(ERASED * PAGE_BYTES), bytearray(ERASED * PAGE_BYTES)]
        self._once = bytearray(ERASED if factory.key is None else _KEYED)
        self._image = StoredImage(0, motor.steps, motor.steps, factory)
        self.write(factory)

    @property
    def slots(self) -> tuple[bytearray, ...]:
        """The two pages with images."""
        return tuple(self._slots)

    def stored(self) -> list[Cells]:
        """All that lies on the chip."""
        images = (Page(slot, image_bytes(slot)) for slot in self._slots)
        return [*images, self._journal, self._mark, *self.rows.values()]

    @property
    def reserved_now(self) -> int:
        """How far the step counter may get before another reservation is written; no step with the memory lost."""
        return self._motor.steps if self.is_lost else self._reservations(1)[-1].reserved

    def write(self, memory: Memory) -> None:
        """Replace the image.

        Raises:
            PowerLost: power failed meanwhile.
        """
        if not self.is_lost:
            steps = self._motor.steps
            reserved = self._reserved_from(memory, steps)
            image = StoredImage(self._image.generation + 1, steps, reserved, memory)
            octets = pack_image(image)
            second_is_level = generation_of(self._slots[1]) == self._image.generation
            first, second = self._slots if second_is_level else reversed(self._slots)
            self._put(first, octets)
            self._image, self._counts_from_image = image, True
            self._put(second, octets)
        self.memory = memory
        self.on_write()

    @property
    def mark(self) -> ProgrammingMark:
        """That of the last therapy whose writing has begun."""
        return self._mark

    @property
    def was_keyed(self) -> bool:
        """Whether there ever was a key, by a byte of the chip that can be programmed once and never erased."""
        return self._once != ERASED

    def note_keyed(self) -> None:
        """Program that byte.

        Raises:
            PowerLost: power failed meanwhile.
        """
        self._flash.program(self._once, 0, _KEYED)

    def mark_programming(self, command_id: int, token: int) -> None:
        """Note that the writing of a therapy begins, under a token; the next image ends it.

        Raises:
            PowerLost: power failed meanwhile.
        """
        if not self.is_lost:
            self._mark.set(command_id, token)

    def programming_begun(self) -> tuple[int, int] | None:
        """After `start`: id and token of a therapy whose writing was begun and did not come to its end, else None."""
        mark = self._mark.read()
        is_open = mark is not None and not self.is_lost and mark[0] > self.memory.last_command_id
        return mark if is_open else None

    def start(self) -> None:
        """Take the memory from the slots, and pass over records that were never finished."""
        for row in self.rows.values():
            row.skip_torn()
        images = [image for slot in self._slots if (image := unpack_image(slot)) is not None]
        self.is_lost = not images
        if images:
            self._image = max(images, key=lambda image: image.generation)
            self.memory = self._image.memory
        else:
            self.memory = _UNKNOWN

    def lose_power(self) -> None:
        """Leave on the chip what the step journal holds at this instant.

        Those are the newest records, for the last may be torn and any may decay. Power that is lost again before the
        next image finds the journal as it was left.
        """
        if self.is_lost or not self._counts_from_image:
            return
        self._counts_from_image = False
        image = self._image
        for reservation in self._reservations(JOURNALLED_AT_LEAST):
            if reservation != Reservation(image.generation, image.steps, image.reserved):
                programmed_bytes = self._programmed_bytes(reservation.confirmed)
                self._journal.append(reservation, programmed_bytes=programmed_bytes)

    def step_counts(self) -> tuple[int, int]:
        """After power was lost and `start`: the confirmed step count, and the one that was reserved.

        Reservations that have decayed may each have allowed a block more to what was under way.
        """
        newest = self._journal.newest(None if self.is_lost else self._image.generation)
        if self.is_lost:
            return (0, 0) if newest is None else (newest.confirmed, newest.reserved)
        image, run = self._image, self._image.memory.under_way
        confirmed, reserved = (image.steps, image.reserved) if newest is None else (newest.confirmed, newest.reserved)
        if run is not None and run.step_ticks:
            for _ in range(self._journal.damaged_at_the_end()):
                overruns = run.last_steps is not None and reserved >= run.last_steps
                more = reserved + self._reserved_steps
                reserved = more if overruns else self._reserved_from(image.memory, reserved)
        return confirmed, reserved

    def guarded(self, act: Callable[[], None]) -> Callable[[], None]:
        """The same act, which ends where power fails in a write of it."""

        def run() -> None:
            try:
                act()
            except PowerLost:
                self.on_power_lost()

        return run

    def _put(self, slot: bytearray, octets: bytes) -> None:
        self._flash.erase(slot)
        self._flash.program(slot, 0, octets)

    def _reserved_from(self, memory: Memory, steps: int) -> int:
        """How far the counter may get from a count on before another reservation: up to the last step that is due."""
        run = memory.under_way
        if run is None or not run.step_ticks:
            return steps
        reserved = steps + self._reserved_steps
        return reserved if run.last_steps is None or steps > run.last_steps else min(reserved, run.last_steps)

    def _reservations(self, newest: int) -> list[Reservation]:
        """The newest ones under the present image, its own among them, oldest first.

        Each is made when the counter is where the one before ends. Beyond the last step that is due come only those of
        a rotor that makes more steps than it is driven to.
        """
        image, block, steps = self._image, self._reserved_steps, self._motor.steps
        run = image.memory.under_way
        last = steps if run is None or run.last_steps is None else run.last_steps
        overruns = image.steps <= last < steps
        due = range(image.steps, last if overruns else steps + 1, block)[-newest:]
        beyond = range(last, steps + 1, block)[-newest:] if overruns else ()
        reservations = [
            *(Reservation(image.generation, count, self._reserved_from(image.memory, count)) for count in due),
            *(Reservation(image.generation, count, count + block) for count in beyond),
        ]
        return reservations[-newest:]

    def _programmed_bytes(self, confirmed: int) -> int:
        """How much of a record is written that was begun when the counter reached a value.

        The next step comes long after the record is whole.
        """
        if self._motor.steps > confirmed:
            return RECORD_BYTES
        return min(RECORD_BYTES, self._motor.counted_for_ns(confirmed) // PROGRAM_NS)
