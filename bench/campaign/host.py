"""What the host does with a pump in a trial: dose, follow, open again after a loss, ask what became of a dose.

Every failure the driver announces is taken as what it claims; any other exception goes up and ends the trial.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.campaign.claims import DONE, ENDED, NOT_STARTED, RUNNING, UNCERTAIN, Claim
from driver import Dose, DoseNotStarted, DoseUncertain, DriverError, Journal, Pump
from driver.clock import Clock
from driver.keys import KeysInMemory, KeySource
from driver.storage import Storage
from driver.transport import Transport

PAUSE_S = 0.05
POLL_S = 1.0
MOST_POLLS = 40
MOST_TRIES = 4
GIVEN_UP_AFTER_S = 60.0

GiveBolus = Callable[[Pump, float, bool], Dose]


def plain_bolus(pump: Pump, volume_ul: float, wait: bool) -> Dose:
    """The driver's own."""
    return pump.bolus(volume_ul, wait=wait)


class Keyed(Protocol):
    """A pump that may have a key, and may lose its memory."""

    @property
    def key(self) -> bytes | None: ...

    @property
    def memory_is_lost(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class KeyOf:
    """The key of a pump that has one, until an operator sees that the pump's memory, and with it the key, is lost.

    From then on the pump is opened without, to read, and its doses are the operator's to resolve.
    """

    pump: Keyed

    @property
    def name(self) -> str:
        return "the campaign"

    def keys(self, _: str) -> tuple[bytes, ...]:
        key = self.pump.key
        return () if key is None or self.pump.memory_is_lost else (key,)


class Host:
    """One host and its journal; `connect` opens the port."""

    def __init__(
        self,
        connect: Callable[[], Transport],
        clock: Clock,
        storage: Storage,
        stream: random.Random,
        keys: KeySource | None = None,
    ) -> None:
        self._connect = connect
        self._clock = clock
        self._storage = storage
        self._stream = stream
        self._keys = keys if keys is not None else KeysInMemory()
        self._pump: Pump | None = None
        self._journal = self._new_journal()

    def restart(self) -> None:
        """The process ends without a word, and the system takes its locks back; the next one opens the pump."""
        self._pump = None
        self._journal.release()

    def prepare(self, act: Callable[[Pump], None]) -> None:
        """Do what must be so before a dose. What an earlier fault still holds on the line may disturb it once or twice.

        Raises:
            DriverError: it cannot be done.
        """
        for _ in range(MOST_TRIES):
            try:
                act(self._opened())
            except (DriverError, _NoPort) as error:
                last = error
                self.restart()
                self._clock.sleep(POLL_S)
            else:
                return
        raise last

    def bolus(self, volume_ul: float, *, wait: bool) -> Claim:
        """Ask for a bolus."""
        return self.order(lambda pump: pump.bolus(volume_ul, wait=wait))

    def order(self, give: Callable[[Pump], Dose]) -> Claim:
        """Ask for a dose."""
        try:
            pump = self._opened()
        except (DriverError, _NoPort) as error:
            return Claim(NOT_STARTED, said=f"not open: {error}")
        highest_before = self._journal.highest_id
        try:
            return claim_of(give(pump))
        except DoseUncertain as error:
            ids = [id_ for id_ in error.dose_ids if id_ > highest_before]
            return Claim(UNCERTAIN if ids else NOT_STARTED, id=max(ids, default=0), said=str(error))
        except DriverError as error:
            id_ = self._journal.highest_id
            return Claim(NOT_STARTED, id=id_ if id_ > highest_before else 0, said=f"{type(error).__name__}: {error}")

    def stop(self) -> bool:
        """Send STOP; whether the driver says that it is confirmed."""
        with contextlib.suppress(DriverError, _NoPort):
            self._opened().stop()
            return True
        return False

    def follow(self, claim: Claim, for_s: float) -> Claim:
        """Ask for a dose until it has ended, opening the pump again where that is needed."""
        end_s = self._clock.monotonic() + for_s
        for _ in range(MOST_POLLS):
            if claim.state not in (RUNNING, UNCERTAIN) or self._clock.monotonic() >= end_s:
                break
            self._clock.sleep(POLL_S)
            claim = self.ask(claim)
        return claim

    def ask(self, claim: Claim) -> Claim:
        """What became of a dose; what was said before where nobody answers. In doubt, half the hosts begin anew."""
        try:
            return claim_of(self._opened().dose(claim.id))
        except DoseUncertain as error:
            if self._stream.random() < 0.5:
                self.restart()
            return Claim(UNCERTAIN, id=claim.id, said=str(error))
        except DoseNotStarted as error:
            return Claim(NOT_STARTED, id=claim.id, said=str(error))
        except (DriverError, _NoPort):
            self.restart()
            return claim

    def recover(self, cleared_s: Callable[[], float], now_s: Callable[[], float]) -> float:
        """Try until the pump answers after all faults are over; gives how long that took then.

        Both arguments are in true seconds, which the host itself does not know.
        """
        from_s = now_s()
        while True:
            try:
                self._opened().status()
            except (DriverError, _NoPort):
                self.restart()
                if now_s() > max(from_s, cleared_s()) + GIVEN_UP_AFTER_S:
                    return float("inf")
                self._clock.sleep(PAUSE_S)
                continue
            if now_s() >= cleared_s():
                return now_s() - max(from_s, cleared_s())
            self._clock.sleep(max(cleared_s() - now_s(), PAUSE_S))
            from_s = now_s()

    def end(self, claim: Claim, stop: Callable[[], None]) -> list[Claim]:
        """What is said of a therapy that runs on, which `stop` ends as soon as it is known to."""
        claims = [claim]
        for _ in range(MOST_TRIES):
            if claims[-1].state not in (RUNNING, UNCERTAIN):
                break
            claims.append(self.ask(claims[-1]))
            if claims[-1].state == RUNNING:
                stop()
        return claims[1:]

    def settle(self, claim: Claim) -> Claim:
        """The last word on a dose now that the link is back: a few tries, as many as it takes while it runs."""
        if claim.state == NOT_STARTED:
            return claim
        tries = 0
        for _ in range(MOST_POLLS):
            claim = self.ask(claim)
            tries += claim.state != RUNNING
            if claim.state in ENDED or claim.state == NOT_STARTED or tries == MOST_TRIES:
                break
            self._clock.sleep(POLL_S)
        return claim

    def resolve(self, doubted: Iterable[int]) -> None:
        """An operator takes what is in doubt as delivered, so that the next dose may be given."""
        for id_ in doubted:
            self._opened().resolve(id_, by="campaign", because="the pump was made to forget")

    def resolve_all(self) -> None:
        """The same for all that a new process is in doubt about."""
        self.resolve(self.uncertain_doses())

    @property
    def highest_id(self) -> int:
        """Of the commands that the journal knows."""
        return self._journal.highest_id

    def has_noted_the_end_of(self, id_: int) -> bool:
        """Whether the journal tells how a dose ended."""
        return self._journal.state(id_) not in (None, "", "running")

    def uncertain_doses(self) -> tuple[int, ...]:
        """What a new process is in doubt about after it has opened the pump."""
        self.restart()
        return self._opened().uncertain_doses

    def _opened(self) -> Pump:
        if self._pump is None:
            try:
                transport = self._connect()
            except OSError as error:
                raise _NoPort(str(error)) from error
            self._journal = self._new_journal()
            nonce = self._stream.getrandbits(64)
            self._pump = Pump.open(
                transport, clock=self._clock, journal=self._journal, host_nonce=nonce, key=self._keys
            )
        return self._pump

    def _new_journal(self) -> Journal:
        return Journal.in_directory(Path(), storage=self._storage)


class _NoPort(Exception):
    """The port is not there."""


def claim_of(dose: Dose) -> Claim:
    """What the driver says by giving a dose back."""
    state = {"DONE": DONE, "RUNNING": RUNNING}.get(dose.said, dose.said.lower())
    return Claim(state, dose.delivered_low_ul, dose.delivered_high_ul, dose.id)
