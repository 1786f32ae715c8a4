"""What must be so of the pump between two doses, whatever was said of them: therapy, setting, doubt, STOP."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from bench.campaign.claims import DONE, ENDED, NOT_STARTED, RUNNING, UNCERTAIN, Claim
from bench.campaign.host import Host
from bench.campaign.orders import filling_ul, is_basal, is_of
from bench.campaign.scoring import FindingKind

_FORBIDDEN_STEPS = 25


class Turning(Protocol):
    """A stretch of the motor."""

    @property
    def step_ticks(self) -> int: ...


class Setting(Protocol):
    """What the memory holds: µL in the reservoir, at a step count."""

    @property
    def filling(self) -> tuple[float, int]: ...


class Watched(Protocol):
    """The pump as its motor and its memory chip show it."""

    @property
    def step_volume_ul(self) -> float: ...

    @property
    def turning(self) -> Turning | None: ...

    @property
    def settings(self) -> Sequence[Setting]: ...


class Between:
    """Holds the pump of a trial to it; `find` is told what is wrong.

    `therapy_runs` is what must be so between two doses, None where a fault has left it open.
    """

    def __init__(self, pump: Watched, find: Callable[[FindingKind, str], None]) -> None:
        self.therapy_runs: bool | None = False
        self._pump = pump
        self._find = find

    def note_stop(self, *, is_confirmed: bool) -> None:
        """A STOP was sent; where it is confirmed, nothing turns."""
        self.therapy_runs = False if is_confirmed else None
        if is_confirmed and self._pump.turning is not None:
            self._find(FindingKind.AFTER_STOP, "STOP was confirmed and the motor turns")

    def check_running(self, steps: int) -> None:
        """A therapy is said to run, and no fault acts any more: so the motor was told to turn for it."""
        turning = self._pump.turning
        if turning is None or not is_of(turning.step_ticks, steps, self._pump.step_volume_ul):
            self._find(FindingKind.BASAL_LOST, f"said {RUNNING}, and the motor {_doing(turning)}")

    def check_motor(self, said: Claim) -> None:
        """It turns for the basal therapy, or stands, when the last dose has come to an end."""
        if self.therapy_runs is None or not (said.state in ENDED or said.state == NOT_STARTED):
            return
        turning = self._pump.turning
        if self.therapy_runs and (turning is None or not is_basal(turning.step_ticks, self._pump.step_volume_ul)):
            self._find(FindingKind.BASAL_LOST, f"the motor {_doing(turning)}")
        elif not self.therapy_runs and turning is not None:
            self._find(FindingKind.UNASKED, "the motor turns between two doses, and no therapy was started")

    def check_filling(self, steps: int, said: Claim) -> None:
        """A refill that is done is still in the memory, where nobody else has written and nothing has decayed."""
        held_ul, _ = self._pump.settings[-1].filling
        if said.state == DONE and held_ul != filling_ul(steps):
            sentence = f"said {DONE}, and the memory holds {held_ul:.10g} µL, not {filling_ul(steps):.10g}"
            self._find(FindingKind.FALSE_DELIVERED, sentence)

    def check_doubt(self, host: Host, said: Claim) -> None:
        """A new process knows of the doubt and gives no dose; then an operator ends it."""
        doubted = host.uncertain_doses()
        if said.state == UNCERTAIN and not host.has_noted_the_end_of(said.id):
            if said.id not in doubted:
                self._find(
                    FindingKind.DOUBT_LOST, f"command {said.id} is uncertain, and a new process doubts {doubted}"
                )
            claim = host.bolus(_FORBIDDEN_STEPS * self._pump.step_volume_ul, wait=False)
            if claim.state != NOT_STARTED:
                self._find(FindingKind.DOUBT_LOST, f"a dose was {claim.state} though command {said.id} is uncertain")
        host.resolve(doubted)


def _doing(turning: Turning | None) -> str:
    return "stands" if turning is None else f"does {turning}"
