"""The pump as a script sees it: open, read, dose, stop. Leaving the context stops what it started."""

from __future__ import annotations

import contextlib
import secrets
from types import TracebackType
from typing import Self

from driver.clock import Clock, Deadline, SystemClock
from driver.dosing import Continuous, Dose, Dosing, require_positive
from driver.errors import (
    CalibrationMismatch,
    CalibrationUnverified,
    DoseUncertain,
    DriverError,
    JournalError,
    LinkError,
    ObserverOnly,
    StopUnconfirmed,
    TransportError,
)
from driver.greeting import PumpIdentity, check, greet
from driver.journal import Journal
from driver.link import Link
from driver.stopping import StopReport, send_stop, unconfirmed
from driver.telemetry import TelemetryBatch
from driver.transport import SerialSettings, Transport, open_guarded
from protocol import (
    Ack,
    Calibration,
    CalibrationRequest,
    CommandState,
    Hello,
    ProposeBolus,
    ProposeCalibration,
    ProposeContinuous,
    Status,
    StatusRequest,
    Stream,
    Subscribe,
)

PAUSE_SLICE_S = 5.0
SHORTEST_POLL_S = 0.2
LONGEST_POLL_S = 30.0
BOLUS_GRACE_S = 60.0


class Pump:
    """One pump at one port. Get it by `Pump.open(…)` and use it as a context manager.

    `unconfirmed_stop` is set when leaving the context could not stop the pump for certain.
    """

    def __init__(self, link: Link, clock: Clock, hello: Hello, journal: Journal | None) -> None:
        self.identity = PumpIdentity.from_hello(hello)
        self.journal = journal
        self.unconfirmed_stop: StopUnconfirmed | None = None
        self._link = link
        self._clock = clock
        self._boot_id = hello.boot_id
        self._dosing = None if journal is None else Dosing(link, journal, hello.last_command_id)
        self._subscribed = False
        self._closed = False

    @classmethod
    def open(
        cls,
        port: str | Transport,
        *,
        clock: Clock | None = None,
        io_clock: Clock | None = None,
        journal: Journal | None = None,
        expect_serial: str | None = None,
        observe: bool = False,
        host_nonce: int | None = None,
        serial_settings: SerialSettings | None = None,
    ) -> Pump:
        """Open the port, greet the pump through whatever it prints while booting, and settle earlier doses by id.

        `clock` runs the process (how long a bolus takes), `io_clock` the time-outs of the line; they differ only for a
        rig served faster than real time. A transport that is given stays the caller's to close. `journal` defaults to
        this user's own; `observe` opens without one, to watch. `host_nonce` must differ at every opening and is drawn
        at random unless a simulation gives one.

        Raises:
            TransportError: the port is not there, busy, denied or lost.
            LinkTimeout: no pump answers.
            VersionMismatch: the pump speaks another protocol than this program.
            WrongDevice: the pump is not the one with the serial number `expect_serial`.
            JournalError: the journal cannot be read, or belongs to another pump.
        """
        process_clock = clock if clock is not None else SystemClock()
        link = Link(open_guarded(port, serial_settings), io_clock if io_clock is not None else process_clock)
        try:
            hello = greet(link, io_clock or process_clock, secrets.randbits(64) if host_nonce is None else host_nonce)
            check(link.port, hello, expect_serial)
            if not observe:
                journal = journal if journal is not None else Journal.in_default_directory()
                journal.bind(hello.serial_number)
            pump = cls(link, process_clock, hello, None if observe else journal)
            if pump._dosing is not None:
                pump._dosing.reconcile()
        except BaseException:
            link.close()
            raise
        return pump

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave(error)

    @property
    def port(self) -> str:
        """The port's name."""
        return self._link.port

    @property
    def uncertain_doses(self) -> tuple[int, ...]:
        """The ids of commands whose effect is not known; while there are any, dosing is refused."""
        return () if self._dosing is None else tuple(self._dosing.uncertain)

    @property
    def journal_fault(self) -> JournalError | None:
        """The last failure to note an outcome; it loses no dose, the pump is asked again at the next opening."""
        return None if self._dosing is None else self._dosing.journal_fault

    def status(self) -> Status:
        """The pump at one instant: mode, alarms, rate µL/h, steps, µL delivered and left, mV, head temperature °C.

        Raises:
            LinkError, TransportError: the pump cannot be asked.
        """
        return self._link.request(StatusRequest(), Status)

    def start(self, therapy: Continuous) -> Dose:
        """Begin an infusion; the dose given back is running, its `canonical` holds the rate really used.

        Raises:
            DriverError: see `Dosing.carry_out`; only after DoseUncertain may the infusion run.
        """
        return self._ready_to_dose().carry_out(ProposeContinuous(0, therapy.rate_ul_per_h))

    def bolus(self, volume_ul: float, *, rate_ul_per_h: float | None = None, wait: bool = True) -> Dose:
        """Deliver a volume once, at a rate or at the model's own; with `wait`, return when it has ended.

        Raises:
            ValueError: volume or rate is not a positive number.
            DriverError: see `Dosing.carry_out`; only after DoseUncertain may anything have been delivered.
        """
        require_positive(volume_ul, "a bolus", "µL")
        if rate_ul_per_h is not None:
            require_positive(rate_ul_per_h, "a bolus rate", "µL/h")
        dose = self._ready_to_dose().carry_out(ProposeBolus(0, volume_ul, rate_ul_per_h or 0.0))
        return self._wait_for(dose) if wait else dose

    def dose(self, id_: int) -> Dose:
        """What became of a dosing command, by its id.

        Raises:
            ObserverOnly: the pump was opened to watch.
            DoseNotStarted: the pump never saw it.
            DoseUncertain: the pump does not say.
        """
        return self._control().result(id_)

    def resolve(self, id_: int, *, by: str) -> None:
        """An operator, by name, takes an uncertain dose as delivered; dosing is possible again.

        Raises:
            ObserverOnly: the pump was opened to watch.
            ValueError: the command is not uncertain, or there is no name.
            JournalError: it could not be noted.
        """
        self._control().resolve(id_, by)

    def stop(self) -> StopReport:
        """Stop the motor. STOP goes out first, then what ran is asked for its result, then the journal is written.

        Raises:
            StopUnconfirmed: the pump did not confirm, it may still be delivering.
        """
        try:
            stopped = send_stop(self._link)
        except StopUnconfirmed:
            self._journal_stop(confirmed=False)
            raise
        if self._dosing is not None:
            self._dosing.stopped()
        fault = self._journal_stop(confirmed=True)
        return StopReport(stopped.steps, stopped.delivered_ul, stopped.device_time_us, fault)

    def calibration(self) -> Calibration:
        """The step volume in nL in use, the one before, the nominal one, and how often it was written.

        Raises:
            LinkError, TransportError: the pump cannot be asked.
        """
        return self._link.request(CalibrationRequest(), Calibration)

    def write_calibration(self, step_volume_nl: float) -> Calibration:
        """Write a step volume, read it back, and give what was read.

        Raises:
            ValueError: the volume is not a positive number.
            CalibrationMismatch: it was written, and the pump now holds another value.
            CalibrationUnverified: it was written, and could not be read back.
            DoseUncertain: it may have been written, or an earlier command is unresolved.
            DriverError: any other; nothing was written, see `Dosing.carry_out`.
        """
        require_positive(step_volume_nl, "a step volume", "nL")
        dose = self._ready_to_dose().carry_out(ProposeCalibration(0, step_volume_nl))
        agreed_nl = dose.canonical["step_volume_nl"]
        try:
            read = self.calibration()
        except (LinkError, TransportError) as error:
            raise CalibrationUnverified(
                self.port,
                f"a step volume of {agreed_nl!r} nL was written and not read back ({error.finding}); "
                "compare it with Pump.calibration() before the pump is used",
            ) from error
        if read.step_volume_nl != agreed_nl:
            raise CalibrationMismatch(
                self.port, f"a step volume of {agreed_nl!r} nL was written and {read.step_volume_nl!r} nL is read back"
            )
        return read

    def subscribe(self, interval_s: float | None) -> None:
        """Have the pump send telemetry every `interval_s` seconds of its clock; None ends it.

        Raises:
            ValueError: the interval is below 1 ms.
            LinkError, TransportError: the pump cannot be asked.
        """
        interval_ms = 0 if interval_s is None else round(interval_s * 1000.0)
        if interval_s is not None and interval_ms < 1:
            raise ValueError(f"telemetry comes at most every millisecond, not every {interval_s} s")
        self._link.request(Subscribe(Stream.TELEMETRY, interval_ms), Ack)
        self._subscribed = interval_ms > 0

    def telemetry(self) -> TelemetryBatch:
        """All samples and events that came since the last call, with every gap counted.

        Raises:
            PortLost: the port is gone.
        """
        self._link.service()
        return self._link.drain()

    def service(self) -> None:
        """Take in what has arrived, without waiting.

        Raises:
            PortLost: the port is gone.
        """
        self._link.service()

    def close(self) -> None:
        """Stop what was started here, and give the port back; a second call does nothing.

        Raises:
            StopUnconfirmed: the pump did not confirm the stop.
        """
        self._leave(None)

    def _leave(self, error: BaseException | None) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            if self._dosing is not None and self._dosing.started:
                self._stop_on_leaving(error)
            if self._subscribed:
                with contextlib.suppress(DriverError):
                    self.subscribe(None)
        finally:
            self._link.close()

    def _stop_on_leaving(self, error: BaseException | None) -> None:
        """An unconfirmed stop outranks an exception; an interrupt keeps its kind and carries the sentence as a note."""
        try:
            self.stop()
        except StopUnconfirmed as failure:
            self.unconfirmed_stop = failure
            if error is None or isinstance(error, Exception):
                raise failure from error
            error.add_note(str(failure))
        except BaseException:
            self.unconfirmed_stop = unconfirmed(self.port, "the wait for its answer was interrupted")
            raise

    def _journal_stop(self, *, confirmed: bool) -> str | None:
        if self.journal is None:
            return None
        try:
            self.journal.stop(confirmed=confirmed)
        except JournalError as error:
            return str(error)
        return None if self.journal_fault is None else str(self.journal_fault)

    def _control(self) -> Dosing:
        if self._dosing is None:
            raise ObserverOnly(self.port, "the pump was opened with observe=True, to watch; open it without")
        return self._dosing

    def _ready_to_dose(self) -> Dosing:
        """After a reset of the pump, earlier commands are settled before anything else."""
        dosing = self._control()
        boot_id = self.status().boot_id
        if boot_id != self._boot_id or dosing.uncertain:
            dosing.reconcile()
            self._boot_id = boot_id
        return dosing

    def _wait_for(self, dose: Dose) -> Dose:
        """Until a bolus has ended, on the process clock; telemetry is taken in meanwhile.

        Only an answer asked for after the latest end counts as overdue: lost replies take time on the I/O clock, in
        which a rig faster than real time comes far, and a retry is answered with what was so at the first attempt.
        """
        dosing = self._control()
        expected_s = 3600.0 * dose.canonical["volume_ul"] / dose.canonical["rate_ul_per_h"]
        expected = Deadline(self._clock, expected_s)
        latest = Deadline(self._clock, 1.5 * expected_s + BOLUS_GRACE_S)
        while dose.state == CommandState.RUNNING:
            is_overdue = latest.expired
            self._pause(min(max(expected.remaining_s / 2.0, SHORTEST_POLL_S), LONGEST_POLL_S))
            dose = dosing.result(dose.id)
            if is_overdue and dose.state == CommandState.RUNNING:
                raise DoseUncertain(
                    self.port,
                    f"bolus {dose.id} should have ended after {expected_s:.0f} s and still runs; stop the pump",
                    (dose.id,),
                )
        return dose

    def _pause(self, seconds: float) -> None:
        end = Deadline(self._clock, seconds)
        while not end.expired:
            self._clock.sleep(min(end.remaining_s, PAUSE_SLICE_S))
            with contextlib.suppress(TransportError):
                self._link.service()
