"""The host processes that are killed: `python -m bench.campaign.kill_host` forks one for each order on its input.

Each is a process of its own with its own memory, files and locks, born from an interpreter that has loaded the driver:
it opens the port and the journal, settles what an earlier process has left, and doses. It does nothing that would help
it against a kill.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any, NoReturn

import msgspec

from bench.campaign.claims import NOT_STARTED, UNCERTAIN, Claim
from bench.campaign.host import GiveBolus, claim_of, plain_bolus
from bench.campaign.kill_words import Born, Failed, Gone, Order, Phase, Reached, Told, write_word
from driver import DoseNotStarted, DoseUncertain, DriverError, Journal, Pump
from driver.clock import Clock, ScaledClock, SystemClock
from driver.keys import KeysInMemory
from driver.transport import open_transport
from driver.transport.tapped import Direction, Tapped
from protocol import (
    CommandResult,
    CommandResultRequest,
    CommandState,
    Commit,
    Message,
    Mode,
    Proposal,
    StreamDecoder,
)
from protocol.messages import PROPOSALS

WORDS = 1
POLL_S = 0.005
LONGEST_WAIT_S = 30.0


def serve_orders(give_bolus: GiveBolus = plain_bolus) -> None:
    """Fork a host process for each order, a line of JSON on the input, until that ends; words go to the output.

    A Ctrl-C at the same terminal is for whoever gives the orders.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    pid = 0
    for line in sys.stdin.buffer:
        order = msgspec.json.decode(line, type=Order)
        if pid:
            os.waitpid(pid, 0)
        pid = os.fork()
        if not pid:
            _live(order, give_bolus)
        write_word(WORDS, Born(pid))
        ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        assert ended is not None
        write_word(WORDS, Gone(0 if ended.si_code == os.CLD_EXITED else ended.si_status))


def steps_of(values: Mapping[str, Any], step_volume_ul: float) -> int:
    """How many steps a bolus was for, by its canonical values."""
    volume_ul: float = values["volume_ul"]
    return round(volume_ul / step_volume_ul)


def _live(order: Order, give_bolus: GiveBolus) -> NoReturn:
    try:
        _Host(order).run(give_bolus)
    except DriverError as error:
        write_word(WORDS, Failed(f"{type(error).__name__}: {error}", announced=True))
    except BaseException as error:  # whatever it is, it is a finding
        where = traceback.extract_tb(error.__traceback__)[-1]
        said = f"{type(error).__name__}: {error} ({where.name}, line {where.lineno} of {where.filename})"
        write_word(WORDS, Failed(said, announced=False))
    os._exit(0)


class _Host:
    """One process's life."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._phase = Phase.STARTING
        self._to_device = StreamDecoder()
        self._to_host = StreamDecoder()

    def run(self, give_bolus: GiveBolus) -> None:
        order = self._order
        self._enter(Phase.OPENING)
        clock, io_clock = ScaledClock(order.speed), SystemClock()
        journal = Journal.in_directory(order.journals)
        with (
            closing(open_transport(order.port)) as transport,
            Pump.open(
                Tapped(transport, self._tap), clock=clock, io_clock=io_clock, journal=journal, key=KeysInMemory()
            ) as pump,
        ):
            self._enter(Phase.WAITING)
            _wait_for_standstill(pump, io_clock)
            for told in self._settled(pump, journal):
                write_word(WORDS, told)
            if order.steps:
                self._enter(Phase.ASKING)
                write_word(WORDS, self._dosed(pump, journal, give_bolus))

    def _settled(self, pump: Pump, journal: Journal) -> Iterator[Told]:
        """The driver's word on every dose that a process before this one may have given."""
        for id_ in range(self._order.settled_id + 1, journal.highest_id + 1):
            if journal.state(id_) is not None:
                yield Told(steps_of(journal.values(id_), self._order.step_volume_ul), _asked(pump, id_))

    def _dosed(self, pump: Pump, journal: Journal, give_bolus: GiveBolus) -> Told:
        highest_before = journal.highest_id
        try:
            claim = claim_of(give_bolus(pump, self._order.steps * self._order.step_volume_ul, True))
        except DoseUncertain as error:
            ids = [id_ for id_ in error.dose_ids if id_ > highest_before]
            claim = Claim(UNCERTAIN if ids else NOT_STARTED, id=max(ids, default=0), said=str(error))
        except DriverError as error:
            claim = Claim(NOT_STARTED, said=f"{type(error).__name__}: {error}")
        return Told(self._order.steps, claim)

    def _enter(self, phase: Phase) -> None:
        self._phase = phase
        write_word(WORDS, Reached(phase, time.monotonic_ns()))

    def _tap(self, direction: Direction, data: bytes) -> None:
        decoder = self._to_device if direction is Direction.TO_DEVICE else self._to_host
        for frame in decoder.feed(data):
            with contextlib.suppress(ValueError):
                self._follow(frame.message)

    def _follow(self, message: Message) -> None:
        phase = self._phase
        if isinstance(message, CommandResultRequest) and phase is Phase.OPENING:
            self._enter(Phase.RECONCILING)
        elif isinstance(message, PROPOSALS):
            self._enter(Phase.PROPOSE)
        elif isinstance(message, Proposal) and phase is Phase.PROPOSE:
            self._enter(Phase.AGREED)
        elif isinstance(message, Commit):
            self._enter(Phase.COMMIT)
        elif isinstance(message, CommandResult) and phase in (Phase.COMMIT, Phase.MOTION):
            runs = message.state == CommandState.RUNNING
            if phase is Phase.COMMIT or not runs:
                self._enter(Phase.MOTION if runs else Phase.LEAVING)


def _wait_for_standstill(pump: Pump, clock: Clock) -> None:
    """An earlier process's dose may still run; it is not this one's to stop."""
    end_s = clock.monotonic() + LONGEST_WAIT_S
    while pump.status().mode != Mode.STOPPED and clock.monotonic() < end_s:
        clock.sleep(POLL_S)


def _asked(pump: Pump, id_: int) -> Claim:
    try:
        return claim_of(pump.dose(id_))
    except DoseUncertain as error:
        return Claim(UNCERTAIN, id=id_, said=str(error))
    except DoseNotStarted as error:
        return Claim(NOT_STARTED, id=id_, said=str(error))


if __name__ == "__main__":
    serve_orders()
