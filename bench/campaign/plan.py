"""What a trial depends on, as data: drawn from a seed, or kept in a file."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from bench.toml_file import FileError
from firmware_mock.faults import Fault, FaultKind, draw_fault
from protocol import ProposeBolus, ProposeBridge, ProposeFlex, ProposePatientBolus, ProposePrime, ProposeRefill

DOSES_PER_TRIAL = 6
MOST_DRAWS = 4
FEWEST_STEPS, MOST_STEPS = 30, 400
STEPS_PER_S = 1000.0 / 3600.0 / 0.01

_LONGEST_IDLE_S = 1800.0
_BOLUS_SHARE = 0.4
_SETTING_LASTS_S = 0.1


class Command(StrEnum):
    """What a dose is given by."""

    BOLUS = "bolus"
    PRIME = "prime"
    PATIENT_BOLUS = "patient-bolus"
    BRIDGE = "bridge"
    FLEX = "flex"
    REFILL = "refill"


_PROPOSED_BY = {
    Command.BOLUS: ProposeBolus.TYPE,
    Command.PRIME: ProposePrime.TYPE,
    Command.PATIENT_BOLUS: ProposePatientBolus.TYPE,
    Command.BRIDGE: ProposeBridge.TYPE,
    Command.FLEX: ProposeFlex.TYPE,
    Command.REFILL: ProposeRefill.TYPE,
}
_OTHERS = tuple(command for command in Command if command is not Command.BOLUS)


@dataclass(frozen=True, slots=True)
class DosePlan:
    """A command for a number of steps, no two alike in a trial; `fresh`: by a process that has just started.

    The steps are those of a bolus, or of a bridge's volume; rates and fillings follow from them. `stop_after_s` ends it
    by STOP, when the host does not wait for its end; `idle_s` passes before the next.
    """

    steps: int
    wait: bool
    fresh: bool
    stop_after_s: float | None
    idle_s: float
    faults: tuple[Fault, ...]
    command: Command = Command.BOLUS


@dataclass(frozen=True, slots=True)
class TrialPlan:
    """All that a trial depends on; `keyed`: pump and host have a key, and so has the second host of a fault."""

    seed: int
    basal: bool
    doses: tuple[DosePlan, ...]
    keyed: bool = False


class Drawing:
    """The doses of a trial from its seed, one after the other; its basal rate, key, and crystal's error."""

    def __init__(self, seed: int, kinds: tuple[FaultKind, ...]) -> None:
        self._stream = stream = random.Random(f"{seed}/trial")
        self._kinds = kinds
        self.basal = stream.random() < 0.5
        self.keyed = random.Random(f"{seed}/keyed").random() < 0.5
        self._steps = stream.sample(range(FEWEST_STEPS, MOST_STEPS), DOSES_PER_TRIAL * MOST_DRAWS)
        self._drift = draw_fault(FaultKind.CLOCK_DRIFT, stream, longest_delay_s=0.0, opens=False)
        self._commands = random.Random(f"{seed}/commands")
        self.clock_error_ppm = float(self._drift.amount) if FaultKind.CLOCK_DRIFT in kinds else 0.0

    def dose(self) -> DosePlan:
        """The next one."""
        stream = self._stream
        steps = self._steps.pop()
        wait = stream.random() < 0.6
        stops = not wait and stream.random() < 0.4
        lasts_s = steps / STEPS_PER_S
        command = self._command()
        longest_delay_s = _SETTING_LASTS_S if command is Command.REFILL else lasts_s
        fresh = FaultKind.RESET_ON_OPEN in self._kinds or stream.random() < 0.3
        return DosePlan(
            steps=steps,
            wait=wait,
            fresh=fresh,
            stop_after_s=stream.random() * lasts_s if stops else None,
            idle_s=_LONGEST_IDLE_S * stream.random() ** 4,
            faults=tuple(
                self._drift
                if kind is FaultKind.CLOCK_DRIFT
                else draw_fault(
                    kind, stream, longest_delay_s=longest_delay_s, opens=fresh, propose_type=_PROPOSED_BY[command]
                )
                for kind in self._kinds
            ),
            command=command,
        )

    def _command(self) -> Command:
        stream = self._commands
        return Command.BOLUS if stream.random() < _BOLUS_SHARE else stream.choice(_OTHERS)


def plan_as_json(plan: TrialPlan) -> bytes:
    """A plan to be kept: a trial that once found something is run for ever."""
    return msgspec.json.format(msgspec.json.encode(plan), indent=1) + b"\n"


def plan_from_json(data: bytes) -> TrialPlan:
    """A plan that was kept.

    Raises:
        FileError: it is none.
    """
    try:
        return msgspec.json.decode(data, type=TrialPlan)
    except msgspec.MsgspecError as error:
        raise FileError(f"not a trial's plan: {error}; take one that `campaign --trial … --save …` wrote") from error
