"""The bridge to the mock of the crash sweep: one run of a command, struck at one point, and what is wrong with it."""

from __future__ import annotations

import contextlib
import random
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path

from bench.campaign.claims import INTERRUPTED, NOT_STARTED, RUNNING, UNCERTAIN, Claim, Moves, Turned
from bench.campaign.host import GIVEN_UP_AFTER_S, Host
from bench.campaign.orders import BASAL_UL_PER_H
from bench.campaign.scoring import Finding, FindingKind
from bench.campaign.sweep_commands import (
    CALIBRATED_NL,
    FILLED_UL,
    SET_TO,
    STEP_VOLUME_UL,
    SweptCommand,
    Teller,
)
from bench.campaign.sweep_host import (
    Disk,
    Killed,
    Process,
    ProcessClock,
    ProcessStorage,
    ProcessTransport,
    committed_ids,
)
from bench.campaign.sweep_points import RESET, Point, Strike, Undisturbed
from bench.campaign.sweep_scoring import DOUBTED_STEPS, NEXT_STEPS, SweptStory, SweptTruth, judge
from bench.campaign.trial import MODEL
from driver import DriverError, Journal, NakError, Pump
from driver.clock import Clock
from driver.keys import KeysInMemory
from driver.storage import Storage
from driver.therapy import Continuous
from driver.transport import Transport
from firmware_mock.faults import Direction, Fault, FaultKind
from firmware_mock.faults.lone_pump import SERIAL_NUMBER, Setting
from firmware_mock.faults.swept_pump import Blow, Place, SweptPump, SweptWorld
from protocol import TEST_KEY, StatusRequest
from protocol.profile import ModelProfile, load_model

SEED = 4
PAUSES_S = (0.0, 0.0, 0.3, 5.0, 45.0)
GONE_FOR_S = (0.004, 0.4, 3.0)

_NS_PER_S = 1e9

MakeStorage = Callable[[Disk], Storage]
BuildPump = Callable[[SweptWorld, ModelProfile], SweptPump]


@dataclass(frozen=True, slots=True)
class SweptRun:
    """What a run showed: `has_struck` whether its point was reached, `undisturbed` what was passed on the way."""

    findings: tuple[Finding, ...]
    claims: tuple[Claim, ...]
    has_struck: bool
    undisturbed: Undisturbed
    simulated_s: float


def own_disk(disk: Disk) -> Storage:
    """Storage that syncs what it should."""
    return disk


def run_point(
    command: SweptCommand, point: Point, *, storage: MakeStorage = own_disk, build: BuildPump = SweptPump
) -> SweptRun:
    """One run: a host gives the command and both are struck; then another comes, finds out, and gives the next dose.

    How long the next host waits, and how long the pump is gone, follow from the point.
    """
    return _Run(command, point, storage, build).outcome()


class _Run:
    def __init__(self, command: SweptCommand, point: Point, storage: MakeStorage, build: BuildPump) -> None:
        self._command = command
        self._point = point
        self._make_storage = storage
        self._stream = random.Random(f"{command.name} {point}")
        self._world = SweptWorld(SEED)
        self._pump = build(self._world, _profile())
        self._keys = KeysInMemory({SERIAL_NUMBER: TEST_KEY} if command.is_keyed else None)
        self._disk = Disk()
        self._process = Process(point.host, is_unsynced=lambda: self._disk.is_unsynced)
        self._claims: list[Claim] = []
        self._stopped_ns: list[int] = []
        self._known_id = 0
        self._way_acted = False
        self._faults: list[Finding] = []

    def outcome(self) -> SweptRun:
        next_claims: tuple[Claim, ...] = ()
        recovery_s, set_from = 0.0, 0
        try:
            self._prepare()
            set_from = len(self._pump.settings)
            self._give()
            recovery_s, next_claims = self._come_back()
        except Exception as error:  # whatever it is, it is a finding
            self._note(error)
        point, claims = self._point, tuple(self._claims)
        truth = self._truth(set_from)
        self._world.close()
        findings = self._faults
        if next_claims:
            story = SweptStory(claims, next_claims, tuple(self._stopped_ns), recovery_s, point.pump is not None)
            findings += judge(self._command, story, truth)
        places = {place.value: self._pump.places[place] for place in Place}
        return SweptRun(
            tuple(findings),
            claims,
            self._has_struck(),
            Undisturbed(tuple(self._process.calls), places, self._pump.late_moments),
            self._world.now_ns / _NS_PER_S,
        )

    def _has_struck(self) -> bool:
        point = self._point
        if point.way is not None:
            return self._way_acted and (not point.way.is_late or self._pump.has_heard_late)
        return (point.host is None or self._process.has_struck) and (point.pump is None or self._pump.has_struck)

    def _prepare(self) -> None:
        """What earlier hosts have done to the pump; they end without a word."""
        port = self._pump.port
        if self._command.is_keyed:
            self._pump.pair(TEST_KEY)
        if self._command.is_in_doubt:
            pump = self._open(port.connect(), port.clock, self._disk)
            pump.bolus(DOUBTED_STEPS * STEP_VOLUME_UL, wait=False)
            port.arm([_EVIDENCE_LOST])
            with contextlib.suppress(NakError):  # of a seq that the other host happens to have used
                pump.status()
            if not all(port.has_acted()):
                raise ValueError("the evidence was not destroyed, so there is no dose in doubt to begin with")
            port.disarm()
        if self._command.basal or self._command.prepare is not None:
            disk = Disk() if self._command.is_in_doubt else self._disk
            pump = self._open(port.connect(), port.clock, disk)
            if self._command.prepare is not None:
                self._command.prepare(pump)
            if self._command.basal:
                pump.start(Continuous(BASAL_UL_PER_H))
        self._known_id = max(committed_ids(self._disk), default=0)

    def _give(self) -> None:
        """The host that is killed or interrupted, or whose pump is struck, until it ends."""
        point = self._point
        clock = ProcessClock(self._process, self._pump.port.clock)
        storage = ProcessStorage(self._process, self._disk, self._storage())
        self._pump.watch(None if point.pump is None else _blow(point.pump, self._stream))
        try:
            try:
                self._run_script(clock, storage)
            except KeyboardInterrupt:
                self._claims.append(self._left_behind())
                self._stop_anew(clock, storage)
        except Killed:
            assert point.host is not None
            self._disk.crash(point.host.survives)
        except DriverError as error:
            self._claims.append(self._left_behind(f"{type(error).__name__}: {error}"))
        if not self._is_pair:
            self._pump.unwatch()
        if not self._claims or not (self._claims[-1].id or self._claims[-1].state == NOT_STARTED):
            self._claims.append(self._left_behind())

    def _run_script(self, clock: ProcessClock, storage: Storage) -> None:
        pump = self._open(self._connected(), clock, storage)
        with pump:
            teller = Teller(pump, clock, self._note_stop, self._left_behind)
            teller.claims = self._claims
            self._command.script(teller)

    def _stop_anew(self, clock: ProcessClock, storage: Storage) -> None:
        """Interrupted elsewhere than in the dose, the operator opens the pump once more and stops it."""
        with self._open(self._connected(), clock, storage) as pump:
            pump.stop()
            self._note_stop()

    def _connected(self) -> Transport:
        handle: Transport = self._process.call("Transport.open", self._pump.port.connect)
        if self._point.way is not None:
            handle = self._point.way.transport(handle, self._pump.receive_late, self._acted)
        return ProcessTransport(self._process, handle)

    def _storage(self) -> Storage:
        if self._point.way is not None:
            return self._point.way.storage(self._disk, self._acted)
        return self._make_storage(self._disk)

    def _acted(self) -> None:
        self._way_acted = True

    def _note_stop(self) -> None:
        self._stopped_ns.append(self._world.now_ns)
        if self._pump.turns_now:
            self._faults.append(Finding(FindingKind.AFTER_STOP, -1, "the motor turns when STOP was just confirmed"))

    def _left_behind(self, said: str = "") -> Claim:
        """What the journal says of a command whose host says nothing: without a COMMIT in it nothing began."""
        swept = [id_ for id_ in committed_ids(self._disk) if id_ > self._known_id]
        if not swept:
            return Claim(NOT_STARTED, said=said or "the journal has no COMMIT of it")
        return Claim(UNCERTAIN, id=swept[-1], said=said or "the host ended")

    def _come_back(self) -> tuple[float, tuple[Claim, ...]]:
        """Another host: what became of the command, and the next dose; gives how long it took to reach the pump."""
        world, port, claims = self._world, self._pump.port, self._claims
        if self._process.is_dead:
            world.sleep(self._stream.choice(PAUSES_S))
        host = Host(port.connect, port.clock, self._disk, self._stream, self._keys)
        recovery_s = self._settle(host)
        if self._is_pair:
            self._pump.unwatch()
            recovery_s = self._settle(host)
        self._require_none_doubted(host)
        world.sleep(self._command.lease_s)
        next_claims = (host.bolus(NEXT_STEPS * STEP_VOLUME_UL, wait=True),)
        claims.append(host.settle(claims[-1]))
        self._require_none_doubted(host)
        if self._command.basal and not self._stopped_ns and not self._pump.runs_on:
            self._faults.append(Finding(FindingKind.BASAL_LOST, -1, "the basal rate does not run at the end"))
        host.stop()
        return recovery_s, next_claims

    def _settle(self, host: Host) -> float:
        """Reach the pump, and have the last word on the command; one that runs on is stopped.

        So is one that was interrupted: until STOP says that no therapy is wanted, the pump takes no bolus.
        """
        claims = self._claims
        recovery_s = host.recover(lambda: self._pump.back_ns / _NS_PER_S, lambda: self._world.now_ns / _NS_PER_S)
        if recovery_s > GIVEN_UP_AFTER_S:
            raise ValueError("the pump could not be reached again")
        if self._command.moves is Moves.ON and claims[-1].state in (RUNNING, UNCERTAIN):
            claims.append(host.ask(claims[-1]))
            if claims[-1].state == RUNNING:
                host.stop()
        claims.append(host.settle(claims[-1]))
        if self._command.moves is Moves.ON and claims[-1].state == INTERRUPTED:
            host.stop()
        return recovery_s

    @property
    def _is_pair(self) -> bool:
        """Whether the pump may also be struck while the next host asks."""
        return self._point.host is not None and self._point.pump is not None

    def _require_none_doubted(self, host: Host) -> None:
        doubted = host.uncertain_doses()
        if self._command.is_in_doubt:
            host.resolve_all()
            doubted = tuple(id_ for id_ in doubted if id_ > self._known_id)
        if doubted:
            self._faults.append(Finding(FindingKind.UNRESOLVED, -1, f"a new process is in doubt about {doubted}"))

    def _truth(self, set_from: int) -> SweptTruth:
        turned = tuple(
            Turned(turning.began_ns, turning.planned, turning.step_ticks, turning.made)
            for turning in self._pump.turnings()
        )
        times = _times_set(self._command.name, self._pump.settings[max(0, set_from - 1) :])
        calibrated = self._command.name == "calibration" and times > 0
        return SweptTruth(turned, times, CALIBRATED_NL * 1e-3 if calibrated else self._pump.step_volume_ul)

    def _open(self, transport: Transport, clock: Clock, storage: Storage) -> Pump:
        journal = Journal.in_directory(Path(), storage)
        nonce = self._stream.getrandbits(64)
        return Pump.open(transport, clock=clock, journal=journal, host_nonce=nonce, key=self._keys)

    def _note(self, error: Exception) -> None:
        where = traceback.extract_tb(error.__traceback__)[-1]
        sentence = f"{type(error).__name__}: {error} ({where.name}, line {where.lineno} of {where.filename})"
        self._faults.append(Finding(FindingKind.UNHANDLED, -1, sentence))


_EVIDENCE_LOST = Fault(FaultKind.EVIDENCE_LOST, Direction.TO_DEVICE, StatusRequest.TYPE, 1, 0.0, 0.0, 0, 1)


def _blow(strike: Strike, stream: random.Random) -> Blow:
    return Blow(Place(strike.place), strike.nth, strike.act == RESET, stream.choice(GONE_FOR_S))


def _times_set(command: str, settings: list[Setting]) -> int:
    """How often what the command asks for came into the memory."""
    offset = SET_TO.utcoffset() or timedelta()
    clock = (round(SET_TO.timestamp()), round(offset.total_seconds()))
    match command:
        case "calibration":
            return len({held.calibration for held in settings if held.calibration[0] == CALIBRATED_NL})
        case "refill":
            return len({held.filling for held in settings if held.filling[0] == FILLED_UL})
        case "therapy-clock":
            return len({held.clock for held in settings if held.clock[:2] == clock})
        case _:
            return 0


@cache
def _profile() -> ModelProfile:
    return load_model(MODEL)
