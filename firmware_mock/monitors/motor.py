"""What turns the motor and what may not: orders, silence on the link, floods, stalls, a main loop that hangs."""

from __future__ import annotations

from firmware_mock.firmware.inside import Inside
from firmware_mock.firmware.watchdog import TIMEOUT_S
from firmware_mock.monitors.moment import Exchange, Findings, Moment
from firmware_mock.world import to_ns
from protocol import Alarm, Mode, Stop, Stopped

SLACK_NS = 1_000_000
_SUSPENDED = frozenset((Mode.STOPPED, Mode.TELEMETRY))


class Stopping:
    """SP-15, SP-18: after STOP the rotor makes at most the step it is in; it never turns back."""

    requests = (Stop,)

    def __init__(self, inside: Inside, begin: Moment) -> None:
        self._head = inside.motor.head
        self._stopped_at: int | None = None

    def on_exchange(self, exchange: Exchange) -> Findings:
        after = exchange.after
        if not isinstance(exchange.answer, Stopped):
            return
        self._stopped_at = after.rotor_steps
        if after.period_ps or self._head.is_driven:
            yield "SP-15", "STOP was answered and the motor is driven"
        if after.runs:
            yield "SP-15", f"STOP was answered and command {after.runs[-1].command_id} is under way"

    def on_change(self, was: Moment, now: Moment) -> Findings:
        if now.rotor_steps < was.rotor_steps:
            yield "SP-18", f"the rotor turned back by {was.rotor_steps - now.rotor_steps} steps"
        if self._stopped_at is None:
            return
        if now.rotor_steps > self._stopped_at + 1:
            yield "SP-15", f"{now.rotor_steps - self._stopped_at} steps were made after STOP"
            self._stopped_at = None
        elif now.runs:
            self._stopped_at = None

    def on_end(self, was: Moment, now_ns: int) -> Findings:
        yield from self.on_change(was, was)


class Orders:
    """SP-39, SP-40: the motor turns for what was committed, as fast as that says, whatever is or is not received."""

    def __init__(self, inside: Inside, begin: Moment) -> None:
        self._clock = inside.clock
        self._head = inside.motor.head

    def on_change(self, was: Moment, now: Moment) -> Findings:
        if not now.works or not was.works:
            return
        known = {run.command_id for run in was.runs}
        if now.memory.boot_id == was.memory.boot_id:
            for begun in now.runs:
                is_asked_for = begun.command_id in now.committed or begun.mode is Mode.PATIENT_BOLUS
                if begun.command_id not in known and not is_asked_for:
                    yield "SP-39", f"command {begun.command_id} began without a COMMIT"
        run = now.memory.under_way
        if run is None:
            if now.period_ps:
                yield "SP-39", "the motor is driven and no command is under way"
            return
        period_ps = self._clock.true_ps(run.step_ticks) if run.step_ticks else 0
        if now.period_ps and (not period_ps or now.period_ps < period_ps):
            yield "SP-39", f"a step every {now.period_ps} ps; command {run.command_id} is for {period_ps} ps"
        elif now.period_ps != period_ps and now.mode not in _SUSPENDED:
            yield "SP-40", f"command {run.command_id} is under way and the motor is not driven as it says"
        yield from self._keeps_step(was, now)

    def _keeps_step(self, was: Moment, now: Moment) -> Findings:
        """In a stretch in which nothing was told to the motor it makes the steps of its timer."""
        is_same = was.began_ns == now.began_ns and was.period_ps == now.period_ps and was.period_ps
        if not is_same or now.is_blurred or not was.follows:
            return
        due = (now.now_ns - was.now_ns) * 1000 / was.period_ps
        run = was.memory.under_way
        if run is not None and run.last_steps is not None:
            due = min(due, run.last_steps - was.counted_steps)
        made = now.rotor_steps - was.rotor_steps
        if made < due - 1.001:
            yield "SP-40", f"{made} steps were made where {due:.1f} were due"


class Stalls:
    """SP-19: an encoder that sees no steps is an alarm after two checks at most; see `stall_check_s` of the model."""

    def __init__(self, inside: Inside, begin: Moment) -> None:
        self._longest_ns = inside.clock.true_ns(2 * round(inside.profile.stall_check_s * 1e6)) + SLACK_NS
        self.due_ns: int | None = None

    def on_change(self, was: Moment, now: Moment) -> Findings:
        since_ns = now.stalled_since_ns
        if not now.works or since_ns is None or not now.period_ps:
            self.due_ns = None
            return
        due_ns = max(since_ns, now.began_ns) + self._longest_ns
        is_told = now.alarms & Alarm.MOTOR_STALL
        if is_told and not was.alarms & Alarm.MOTOR_STALL and now.now_ns > due_ns:
            yield "SP-19", f"the rotor stands since {since_ns} ns, and MOTOR_STALL comes late"
        if is_told:
            self.due_ns = None
        elif self.due_ns is None or now.began_ns != was.began_ns:
            self.due_ns = due_ns

    def overdue(self, was: Moment, now_ns: int) -> Findings:
        self.due_ns = None
        yield "SP-19", f"the rotor stands since {was.stalled_since_ns} ns, and no MOTOR_STALL"


class Hanging:
    """SP-25: a main loop that hangs: the motor is off within the watchdog's time, and takes no unreserved step."""

    def __init__(self, inside: Inside, begin: Moment) -> None:
        self._nvram = inside.nvram
        self.due_ns: int | None = None
        self._reserved = 0

    def on_change(self, was: Moment, now: Moment) -> Findings:
        if now.hangs and not was.hangs:
            self.due_ns = now.now_ns + to_ns(TIMEOUT_S) + SLACK_NS
            self._reserved = self._nvram.reserved_now
        if (was.hangs or now.hangs) and now.is_on and now.counted_steps > self._reserved + 1:
            yield "SP-25", f"{now.counted_steps - self._reserved} steps were made that were not reserved"
        if not now.hangs:
            self.due_ns = None

    def overdue(self, was: Moment, now_ns: int) -> Findings:
        self.due_ns = None
        yield "SP-25", f"the main loop hangs longer than {TIMEOUT_S} s"
