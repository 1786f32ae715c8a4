"""What the pump remembers through a reset: one frozen image, replaced whole at every write, and rows of records."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from math import isfinite
from typing import Any

from protocol import BulkObject, CommandState, Mode, Record, SelfTestItem, seal_record, unseal_record
from protocol.errors import DecodeError

RESULTS_KEPT = 32
RECORDS_KEPT = 1024
_NOTHING = SelfTestItem(0)


@dataclass(frozen=True, slots=True)
class Run:
    """A dosing command under way: a step every `step_ticks`, `steps` of them, or None until told otherwise.

    `counted_steps` were made before the motor last took it up, at the step count `taken_up_at_steps`; `steps` is what
    was left then. A bridge goes on with `then_step_ticks`. `propose_type` and `canonical` are those of its PROPOSE. One
    that `ends_with_lease` was started under the control lease that is held and stops when that runs out.
    """

    command_id: int
    propose_type: int
    canonical: bytes
    mode: Mode
    step_ticks: int
    steps: int | None = None
    then_step_ticks: int | None = None
    ends_with_lease: bool = False
    counted_steps: int = 0
    taken_up_at_steps: int = 0


@dataclass(frozen=True, slots=True)
class Result:
    """How a command ended, and what it delivered by counted steps, in µL."""

    command_id: int
    state: CommandState
    delivered_ul: float


@dataclass(frozen=True, slots=True)
class Memory:
    """The image. The reservoir held `reservoir_ul` at the step count `reservoir_at_steps`.

    `primed`: the priming bolus of this filling was begun. `clock_utc_s` was the therapy clock at `clock_set_at_us` of
    the counter that runs through resets; so was the instant since when the pump stands, None while it does not.
    `leased`: the control lease was granted; `lease_lost`: it ran out under a therapy that stopped, and nothing has been
    started since.
    """

    step_volume_nl: float
    previous_step_volume_nl: float
    reservoir_ul: float
    reservoir_at_steps: int
    clock_utc_s: int
    clock_set_at_us: int
    stood_since_us: int | None
    clock_offset_s: int = 0
    clock_generation: int = 0
    generation: int = 0
    boot_id: int = 0
    last_command_id: int = 0
    primed: bool = False
    therapy: Run | None = None
    bolus: Run | None = None
    leased: bool = False
    lease_lost: bool = False
    self_test_failed: SelfTestItem = _NOTHING
    results: tuple[Result, ...] = ()

    def ended(self, result: Result) -> tuple[Result, ...]:
        """The stored results with one more; the oldest are forgotten."""
        return (*self.results, result)[-RESULTS_KEPT:]

    def is_consistent(self, *, steps: int, now_us: int) -> bool:
        """Whether the fields agree with each other, with the step counter and with the counter through resets."""
        runs = [run for run in (self.therapy, self.bolus) if run is not None]
        ids = [*(run.command_id for run in runs), *(result.command_id for result in self.results)]
        volumes = (self.step_volume_nl, self.previous_step_volume_nl, self.reservoir_ul)
        return (
            all(isfinite(volume) and volume >= 0.0 for volume in volumes)
            and self.step_volume_nl > 0.0
            and self.reservoir_at_steps <= steps
            and self.clock_set_at_us <= now_us
            and all(0 < command_id <= self.last_command_id for command_id in ids)
            and all(run.step_ticks > 0 for run in runs)
            and (self.stood_since_us is None) == bool(runs)
            and (self.stood_since_us is None or self.stood_since_us <= now_us)
        )


class Row:
    """The newest records of one object, kept as they are sent: encoded, each with the CRC-32C it was stored with.

    The index of the next one counts for ever.
    """

    def __init__(self, bulk_object: BulkObject) -> None:
        self.bulk_object = bulk_object
        self.next_index = 0
        self._sealed: deque[bytes] = deque(maxlen=RECORDS_KEPT)

    def append(self, record: Record) -> None:
        """Store the record with `next_index`; the oldest is overwritten where there is no room."""
        self._sealed.append(seal_record(self.bulk_object, record))
        self.next_index += 1

    def since(self, index: int) -> tuple[int, list[bytes]]:
        """The records with at least this index as they are stored, oldest first, and the index of the first.

        That is `next_index` where there are none.
        """
        oldest = self.next_index - len(self._sealed)
        first = min(max(index, oldest), self.next_index)
        return first, list(islice(self._sealed, first - oldest, None))

    def is_consistent(self) -> bool:
        """Whether all records are undamaged and their indices follow each other up to the next one."""
        oldest = self.next_index - len(self._sealed)
        records = (self._unsealed(sealed) for sealed in self._sealed)
        return all(record is not None and record.index == index for index, record in enumerate(records, start=oldest))

    def newest(self) -> Any:
        """The newest record; None where there is none, or it is damaged."""
        return self._unsealed(self._sealed[-1]) if self._sealed else None

    def _unsealed(self, sealed: bytes) -> Any:
        try:
            return unseal_record(self.bulk_object, sealed)
        except DecodeError:
            return None


class Nvram:
    """Holds the image; a write replaces it at once, so readers see the old one or the new one.

    `on_write` is called after each write of the image.
    """

    def __init__(self, factory: Memory) -> None:
        self.memory = factory
        self.on_write: Callable[[], None] = lambda: None
        self.events = Row(BulkObject.EVENT_LOG)
        self.calibrations = Row(BulkObject.CALIBRATION_HISTORY)
        self.doses = Row(BulkObject.DOSE_HISTORY)
        self.rows: dict[int, Row] = {row.bulk_object: row for row in (self.events, self.calibrations, self.doses)}

    def write(self, memory: Memory) -> None:
        """Replace the image."""
        self.memory = memory
        self.on_write()
