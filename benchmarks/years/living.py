"""A pump with its clinic and its patient, for years of virtual time: flex therapy, a button, refills."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import count
from typing import Any

from firmware_mock import World
from firmware_mock.body_effects import CatheterFacts
from firmware_mock.physics.catheter import Catheter, Condition
from firmware_mock.physics.effects import PumpEffects
from firmware_mock.physics.infusion import Infusion
from firmware_mock.ports import Port
from firmware_mock.pump_parts import pump_parts
from firmware_mock.world import NS_PER_S
from protocol import (
    PROTOCOL_MAJOR,
    PROTOCOL_MINOR,
    Commit,
    Day,
    FlexStep,
    Hello,
    HelloRequest,
    HostSession,
    Message,
    OnLeaseLoss,
    Proposal,
    ProposeContinuous,
    ProposeFlex,
    ProposePatientBolusLimits,
    ProposeRefill,
    ProposeTherapyClock,
    Refused,
    Reply,
)
from protocol.profile import ModelProfile, load_model

MODEL = "implantable-20ml"
DAY_NS = 86_400 * NS_PER_S
MINUTE_NS = 60 * NS_PER_S
EVERY_DAY = Day(127)
REFILL_DAYS = 60
FLEX_STEPS = ((0, 2.0), (6 * 60, 3.0), (12 * 60, 5.0), (18 * 60, 3.0))
"""Minute of the day, rate in µL/h: little enough for the battery to last its seven years."""
PRESSES_MIN = (450, 660, 900, 1110, 1320)
PRESS_WITHIN_MIN = 45
BOLUS_UL, BOLUS_UL_PER_H = 5.0, 60.0
LOCKOUT_S, MOST_PER_DAY, WINDOW_S, WINDOW_LIMIT_UL = 3600, 6, 4 * 3600, 60.0
IDLE_UL_PER_H = 2.0
UG_PER_ML = 1000.0
STARTS_UTC_S = 1_795_132_800
_RIG = {"pump": {"head_thermometer": {"standard_uncertainty_k": 0.0}}}


@cache
def profile() -> ModelProfile:
    """Of the pump that lives."""
    return load_model(MODEL)


def presses_ns(seed: int) -> Iterator[int]:
    """When the patient presses, in ns from the beginning, for ever: five times a day, up to 45 min off the hour."""
    stream = World(seed=seed).stream("patient")
    for day in count():
        for minute in PRESSES_MIN:
            late_ns = stream.randrange(-PRESS_WITHIN_MIN * MINUTE_NS, PRESS_WITHIN_MIN * MINUTE_NS)
            yield day * DAY_NS + minute * MINUTE_NS + late_ns


@dataclass(frozen=True, slots=True)
class Cost:
    """What a life has come to. `steps` are those of the rotor, `boluses` those that were given."""

    events: int
    steps: int
    boluses: int


class Life:
    """Begins at local midnight with a full pump in a body; `condition` is the catheter's, that as put in by default.

    The pump is told everything in frames, by a session of its own; only the button is a button.
    """

    def __init__(
        self, *, seed: int = 0, effects: PumpEffects | None = None, condition: Condition | None = None
    ) -> None:
        effects, model, catheter = effects or PumpEffects(), profile(), CatheterFacts()
        self.world = World(seed=seed)
        self.world.observers.append(self._one_more)
        self._events = 0
        parts, reservoir = pump_parts(self.world, model, effects, _RIG)
        reservoir.concentration_ug_per_ml = UG_PER_ML
        self.head = parts.head
        if not effects.head_temperature_ripple_k:
            self.head.longest_ns = DAY_NS
        self.infusion = Infusion(
            self.world,
            self.head,
            reservoir,
            None,
            Catheter(condition or catheter.healthy()),
            tubing_ul=model.tubing_volume_ul,
            catheter_ul=catheter.length_cm * model.catheter_ul_per_cm,
            leak_ul_per_h_per_hpa=effects.leak_ul_per_h_per_hpa,
        )
        self._port = Port(self.world, "pump")
        self.firmware = parts.powered_up(self.world, self._port, serial_number="SIM-P-0001", starts_utc_s=STARTS_UTC_S)
        self._session = HostSession()
        self._greetings = 0
        self._presses = presses_ns(seed)
        self._next_press_ns = next(self._presses)
        self._refill_ns = REFILL_DAYS * DAY_NS
        self._boluses = 0

    def programme(self) -> None:
        """The therapy clock, flex therapy and the limits of the button."""
        self.do(ProposeTherapyClock, STARTS_UTC_S, 0)
        self.do(
            ProposePatientBolusLimits,
            1,
            BOLUS_UL,
            BOLUS_UL_PER_H,
            LOCKOUT_S,
            MOST_PER_DAY,
            WINDOW_S,
            WINDOW_LIMIT_UL,
        )
        steps = tuple(FlexStep(EVERY_DAY, minute, rate_ul_per_h) for minute, rate_ul_per_h in FLEX_STEPS)
        self.do(ProposeFlex, OnLeaseLoss.CONTINUE, steps)

    def idle(self) -> None:
        """Simple continuous infusion, and nobody near."""
        self.do(ProposeContinuous, IDLE_UL_PER_H, OnLeaseLoss.CONTINUE)

    def live(self, until_ns: int) -> Cost:
        """With a patient and refills, up to an instant."""
        while (act_ns := min(self._next_press_ns, self._refill_ns)) <= until_ns:
            self.pass_time(act_ns)
            if act_ns == self._refill_ns:
                self._refill()
                self._refill_ns += REFILL_DAYS * DAY_NS
            else:
                self._press()
                self._next_press_ns = next(self._presses)
        return self.pass_time(until_ns)

    def pass_time(self, until_ns: int) -> Cost:
        """With nobody near."""
        self.world.run_until(until_ns)
        return Cost(self._events, self.head.counted_steps(self.world.now_ns), self._boluses)

    def do(self, propose: Callable[..., Message], *values: Any) -> None:
        """HELLO, for the button uses ids up as well; then PROPOSE and COMMIT."""
        self._greetings += 1
        hello = self._ask(HelloRequest(PROTOCOL_MAJOR, PROTOCOL_MINOR, self._greetings))
        assert isinstance(hello, Hello)
        command_id = hello.last_command_id + 1
        proposal = self._ask(propose(command_id, *values))
        assert isinstance(proposal, Proposal)
        self._ask(Commit(command_id, proposal.token, proposal.digest))

    def _refill(self) -> None:
        self.infusion.withdraw(0.0)
        volume_ul = profile().reservoir_volume_ul
        self.infusion.inject(volume_ul, UG_PER_ML, pocketed_share=0.0)
        self.do(ProposeRefill, volume_ul)

    def _press(self) -> None:
        turned_for = self.head.planned_steps
        self.firmware.press_button()
        self._boluses += turned_for is None and self.head.planned_steps is not None

    def _ask(self, message: Message) -> Message:
        self._session.request(message, self.world.monotonic())
        self._port.host.write(self._session.data_to_send())
        while True:
            data = self._port.host.read(1.0)
            for event in self._session.receive(data, self.world.monotonic()):
                if isinstance(event, Reply):
                    return event.message
                if isinstance(event, Refused):
                    raise AssertionError(f"{message} was refused: {event.nak.detail}")
            if not data:
                raise AssertionError(f"no reply to {message}")

    def _one_more(self) -> None:
        self._events += 1
