"""The dosing commands that the crash sweep goes through, each as a script of a host process from opening to leaving."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from bench.campaign.claims import DONE, NOT_STARTED, UNCERTAIN, Claim, Moves
from bench.campaign.host import claim_of
from driver import CalibrationMismatch, CalibrationUnverified, Dose, DoseNotStarted, DoseUncertain, DriverError, Pump
from driver.clock import Clock
from driver.settings import BolusLimits
from driver.therapy import Bridge, Continuous, Flex, FlexStep, MinimumRate, Trial
from protocol import OnLeaseLoss

STEP_VOLUME_UL = 0.01
STEPS = 60
CALIBRATED_NL = 10.001
FILLED_UL = 15_000.0
SET_TO = datetime(2031, 5, 4, 3, 2, 1, tzinfo=timezone(timedelta(hours=2)))
LEASE_S = 2.0
RESOLVER = "crash sweep"


class Teller:
    """The host's side of a script: gives the one order, and notes all that the driver says of it.

    `on_stopped` is called when a STOP was confirmed; `left_behind` gives what the journal tells of the order.
    """

    def __init__(
        self, pump: Pump, clock: Clock, on_stopped: Callable[[], None], left_behind: Callable[[], Claim]
    ) -> None:
        self.pump = pump
        self.claims: list[Claim] = []
        self._clock = clock
        self._on_stopped = on_stopped
        self._left_behind = left_behind

    def give(self, order: Callable[[], Dose]) -> None:
        """Give the order; what the driver raises is what it claims."""
        highest_before = self._highest_id()
        try:
            self.claims.append(claim_of(order()))
        except DoseUncertain as error:
            ids = [id_ for id_ in error.dose_ids if id_ > highest_before]
            self.claims.append(Claim(UNCERTAIN if ids else NOT_STARTED, id=max(ids, default=0), said=str(error)))
        except DriverError as error:
            self.claims.append(Claim(NOT_STARTED, said=f"{type(error).__name__}: {error}"))

    def calibrate(self, step_volume_nl: float) -> None:
        """Write a calibration; that it cannot be read back says that it was written."""
        highest_before = self._highest_id()
        try:
            self.pump.write_calibration(step_volume_nl)
        except (CalibrationUnverified, CalibrationMismatch) as error:
            self.claims.append(Claim(DONE, id=self._highest_id(), said=str(error)))
        except DoseUncertain as error:
            ids = [id_ for id_ in error.dose_ids if id_ > highest_before]
            self.claims.append(Claim(UNCERTAIN if ids else NOT_STARTED, id=max(ids, default=0), said=str(error)))
        except DriverError as error:
            self.claims.append(Claim(NOT_STARTED, said=f"{type(error).__name__}: {error}"))
        else:
            self.claims.append(Claim(DONE, id=self._highest_id()))

    def ask(self) -> None:
        """Ask what became of it, where there is anything to ask."""
        if not self.claims or self.claims[-1].state == NOT_STARTED:
            return
        id_ = self.claims[-1].id
        try:
            self.claims.append(claim_of(self.pump.dose(id_)))
        except DoseUncertain as error:
            self.claims.append(Claim(UNCERTAIN, id=id_, said=str(error)))
        except DoseNotStarted as error:
            self.claims.append(Claim(NOT_STARTED, id=id_, said=str(error)))

    def wait(self, seconds: float) -> None:
        """Let time pass, the lease kept meanwhile."""
        self._clock.sleep(seconds)
        self.pump.service()

    def stop(self) -> None:
        """STOP."""
        self.pump.stop()
        self._on_stopped()

    def interrupted(self) -> None:
        """Ctrl-C kept the driver from saying anything of the order."""
        self.claims.append(self._left_behind())

    def _highest_id(self) -> int:
        return 0 if self.pump.journal is None else self.pump.journal.highest_id


@dataclass(frozen=True, slots=True)
class SweptCommand:
    """A command: its script, what the host before has done, and what of it the judge has to know.

    `prepare` is what a host before has set, `basal` whether it has left a rate running.
    `steps` is how many are asked for: of a bolus, of the first part of a bridge, of a trial. `lease_s` is how long the
    control lease may outlive its holder. `is_in_doubt`: the pump has forgotten an earlier dose, and runs for another
    host. `is_keyed`: pump and hosts have a key. `must_stop`: STOP is to be confirmed whatever happens.
    """

    name: str
    moves: Moves
    script: Callable[[Teller], None]
    steps: int = 0
    basal: bool = False
    prepare: Callable[[Pump], object] | None = None
    lease_s: float = 0.0
    is_in_doubt: bool = False
    is_keyed: bool = False
    must_stop: bool = False


def commands() -> dict[str, SweptCommand]:
    """All that the simulated pump takes, by name."""
    return {command.name: command for command in _COMMANDS}


def _bolus(host: Teller) -> None:
    host.give(lambda: host.pump.bolus(STEPS * STEP_VOLUME_UL))


def _stopped_bolus(host: Teller) -> None:
    host.give(lambda: host.pump.bolus(STEPS * STEP_VOLUME_UL, wait=False))
    host.wait(1.0)
    host.stop()
    host.ask()


def _prime(host: Teller) -> None:
    host.give(lambda: host.pump.prime(STEPS * STEP_VOLUME_UL, rate_ul_per_h=900.0))


def _continuous(host: Teller) -> None:
    host.give(lambda: host.pump.start(Continuous(720.0)))
    host.wait(2.0)
    host.ask()
    host.stop()
    host.ask()


def _minimum_rate(host: Teller) -> None:
    host.give(lambda: host.pump.start(MinimumRate()))
    host.wait(300.0)
    host.ask()


def _flex(host: Teller) -> None:
    host.give(lambda: host.pump.start(Flex((FlexStep(0, 720.0), FlexStep(720, 720.0)))))
    host.wait(2.0)
    host.ask()
    host.stop()
    host.ask()


def _patient_bolus(host: Teller) -> None:
    host.give(lambda: host.pump.patient_bolus())


def _limit_patient_bolus(pump: Pump) -> object:
    return pump.write_patient_bolus_limits(BolusLimits(STEPS * STEP_VOLUME_UL, 900.0, 300, 1, 3600, 100.0))


def _set_clock(pump: Pump) -> object:
    return pump.set_therapy_clock(SET_TO)


def _bridge(host: Teller) -> None:
    host.give(lambda: host.pump.start(Bridge(STEPS * STEP_VOLUME_UL, 800.0, 700.0)))
    host.wait(4.0)
    host.ask()


def _trial(host: Teller) -> None:
    host.give(lambda: host.pump.start(Trial(720.0, 3)))
    host.wait(4.0)
    host.ask()


def _leased(host: Teller) -> None:
    with host.pump.take_control(LEASE_S, holder="sweep"):
        host.give(lambda: host.pump.start(Continuous(720.0, OnLeaseLoss.STOP)))
        for _ in range(4):
            host.wait(0.7)
        host.ask()
        host.stop()
        host.ask()


def _calibration(host: Teller) -> None:
    host.calibrate(CALIBRATED_NL)


def _refill(host: Teller) -> None:
    host.give(lambda: host.pump.refill(FILLED_UL))


def _therapy_clock(host: Teller) -> None:
    host.give(lambda: host.pump.set_therapy_clock(SET_TO))


def _resolve(host: Teller) -> None:
    for id_ in host.pump.uncertain_doses:
        host.pump.resolve(id_, by=RESOLVER, because="swept")
    _bolus(host)


_COMMANDS = (
    SweptCommand("bolus", Moves.ONCE, _bolus, STEPS),
    SweptCommand("stopped-bolus", Moves.ONCE, _stopped_bolus, STEPS),
    SweptCommand("bolus-keyed", Moves.ONCE, _bolus, STEPS, is_keyed=True),
    SweptCommand("bolus-over-basal", Moves.ONCE, _bolus, STEPS, basal=True),
    SweptCommand("prime", Moves.ONCE, _prime, STEPS),
    SweptCommand("continuous", Moves.ON, _continuous),
    SweptCommand("minimum-rate", Moves.ON, _minimum_rate),
    SweptCommand("flex", Moves.ON, _flex, prepare=_set_clock),
    SweptCommand("patient-bolus", Moves.ONCE, _patient_bolus, STEPS, basal=True, prepare=_limit_patient_bolus),
    SweptCommand("bridge", Moves.ON, _bridge, STEPS),
    SweptCommand("trial", Moves.ON, _trial, STEPS),
    SweptCommand("leased", Moves.ON, _leased, lease_s=LEASE_S),
    SweptCommand("calibration", Moves.NOTHING, _calibration),
    SweptCommand("refill", Moves.NOTHING, _refill, basal=True),
    SweptCommand("therapy-clock", Moves.NOTHING, _therapy_clock),
    SweptCommand("resolve", Moves.ONCE, _resolve, STEPS, is_in_doubt=True),
)
