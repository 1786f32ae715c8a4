"""The pump as a script sees it: open, read, dose, stop. Leaving the context stops what it started."""

from __future__ import annotations

from datetime import datetime
from types import TracebackType
from typing import Self

import protocol
from driver import readings
from driver.clock import Clock, SystemClock
from driver.device_clock import DeviceClock, Synchroniser
from driver.dose import Dose, DoseState
from driver.errors import JournalError, StopUnconfirmed, TransportError
from driver.greeting import PumpIdentity
from driver.histories import History, Progress, read_history
from driver.journal import Journal
from driver.keys import KeySource
from driver.lease import ControlLease
from driver.opening import Connection, connect
from driver.orders import Orders
from driver.schemas import SchemaCache
from driver.settings import BolusLimits, limits_proposal, therapy_clock_proposal, write_calibration
from driver.stopping import Stopper, StopReport
from driver.subscriptions import Subscriptions
from driver.telemetry import TelemetryBatch
from driver.therapy import Therapy, proposal_for
from driver.transport import SerialSettings, Transport
from driver.validation import rate_or_own, require_positive


class Pump:
    """One pump at one port. Get it by `Pump.open(…)` and use it as a context manager.

    Raises, beside what a method says itself: `LinkError` (no answer, another version, a refusal, `LeaseHeld` among
    them) or `TransportError` where the pump cannot be asked; `ValueError` for an argument that cannot be;
    `ObserverOnly` for what acts on a pump that was opened to watch; `NotAuthenticated`, a `LinkError`, for what changes
    a pump whose key is not here; an order what `Orders.give` does: only after `DoseUncertain` may it have been carried
    out.
    """

    def __init__(self, opened: Connection) -> None:
        self.identity = PumpIdentity.from_hello(opened.hello)
        self.journal = opened.journal
        self._link = opened.link
        self._layouts = opened.layouts
        self._dosing = opened.dosing
        self._stopper = Stopper(opened.link, opened.dosing, opened.journal)
        self._lease = ControlLease(opened.link, opened.io_clock)
        self._orders = Orders(opened, self._lease)
        self._subscriptions = Subscriptions(opened.link)
        self._synchroniser = Synchroniser(opened.link, opened.clock)
        self._device_clock: DeviceClock | None = None
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
        schemas: SchemaCache | None = None,
        key: bytes | KeySource | None = None,
    ) -> Pump:
        """Open the port, greet the pump through whatever it prints while booting, and settle earlier doses by id.

        `clock` runs the process (how long a bolus takes), `io_clock` the time-outs of the line; they differ only for a
        rig served faster than real time. A transport that is given stays the caller's to close. `journal` and
        `schemas`, where descriptions of other firmware are kept, default to this user's own, and so do the keys;
        `observe` opens without a journal, to watch. `key` is the pump's, or where keys are kept: with it all is
        authenticated, without it a pump that has one is open for reading alone. `host_nonce` must differ at every
        opening and is drawn at random; only a simulation in the same program gives one. A pump whose firmware lays its
        messages out differently is open as far as they are alike.

        Raises:
            ValueError: a `host_nonce` is given for a pump that is not simulated in this program.
            TransportError: the port is not there, busy, denied or lost.
            LinkTimeout: no pump answers.
            VersionMismatch: the pump speaks another protocol than this program, or does not describe its own.
            WrongDevice: the pump is not the one with the serial number `expect_serial`.
            AuthenticationError: there is a key here, and the pump does not prove it or does not ask for it.
            KeyStoreError: the keys cannot be read.
            JournalError: the journal cannot be read, belongs to another pump, or is in use (`JournalLocked`).
        """
        if journal is None and not observe:
            journal = Journal.in_default_directory()
        opened = connect(
            port,
            clock if clock is not None else SystemClock(),
            io_clock,
            expect_serial,
            host_nonce,
            serial_settings,
            schemas,
            None if observe else journal,
            key,
        )
        return cls(opened)

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
    def is_authenticated(self) -> bool:
        """Whether pump and host have proven to each other that they hold the pump's key."""
        return self._link.is_sealed

    @property
    def uncertain_doses(self) -> tuple[int, ...]:
        """The ids of commands whose effect is not known; while there are any, dosing is refused."""
        return () if self._dosing is None else tuple(self._dosing.uncertain)

    @property
    def journal_fault(self) -> JournalError | None:
        """The last failure to note an outcome; it loses no dose, the pump is asked again at the next opening."""
        return None if self._dosing is None else self._dosing.journal_fault

    @property
    def unconfirmed_stop(self) -> StopUnconfirmed | None:
        """Set when leaving the context could not stop the pump for certain."""
        return self._stopper.unconfirmed

    def status(self) -> protocol.Status:
        """The pump at one instant: mode, alarms, rate µL/h, steps, µL delivered and left, mV, head temperature °C."""
        return self._orders.status()

    def start(self, therapy: Therapy) -> Dose:
        """Begin a therapy; `canonical` of the dose given back holds the values really used.

        Its `state` is PENDING, or what a reset or a STOP in the same moment has made of it.

        Raises:
            NoLease: it is to stop when the control lease is lost, and none is held.
        """
        return self._orders.give(proposal_for(therapy))

    def bolus(self, volume_ul: float, *, rate_ul_per_h: float | None = None, wait: bool = True) -> Dose:
        """Deliver a volume once, at a rate or at the model's own; with `wait`, return when it has ended."""
        require_positive(volume_ul, "a bolus", "µL")
        rate = rate_or_own(rate_ul_per_h, "a bolus rate")
        return self._orders.give_and_wait(protocol.ProposeBolus(0, volume_ul, rate), wait=wait)

    def patient_bolus(self, *, wait: bool = True) -> Dose:
        """Deliver what the patient's button asks for, within the limits; with `wait`, return when it has ended."""
        return self._orders.give_and_wait(protocol.ProposePatientBolus(0, 0.0, 0.0), wait=wait)

    def prime(self, volume_ul: float, *, rate_ul_per_h: float | None = None, wait: bool = True) -> Dose:
        """Fill tubing and catheter once, at a rate or at the model's own; with `wait`, return when it has ended."""
        require_positive(volume_ul, "a priming volume", "µL")
        rate = rate_or_own(rate_ul_per_h, "a priming rate")
        return self._orders.give_and_wait(protocol.ProposePrime(0, volume_ul, rate), wait=wait)

    def refill(self, volume_ul: float) -> Dose:
        """Tell the pump that its reservoir now holds a volume, as the operator measured it."""
        require_positive(volume_ul, "a reservoir's volume", "µL")
        return self._orders.set(protocol.ProposeRefill(0, volume_ul))

    def write_patient_bolus_limits(self, limits: BolusLimits) -> Dose:
        """Set what a patient-activated bolus may be."""
        return self._orders.set(limits_proposal(limits))

    def set_therapy_clock(self, now: datetime) -> Dose:
        """Set the clock that flex steps follow, to the second, and its offset from UTC."""
        return self._orders.set(therapy_clock_proposal(now))

    def write_calibration(self, step_volume_nl: float) -> protocol.Calibration:
        """Write a step volume, read it back, and give what was read.

        Raises:
            CalibrationMismatch: it was written, and the pump now holds another value.
            CalibrationUnverified: it was written, and could not be read back.
        """
        return write_calibration(self._link, self._orders, step_volume_nl)

    def dose(self, id_: int) -> Dose:
        """What became of a dosing command, by its id.

        Raises:
            DoseNotStarted: the pump never saw it, or another host took its id.
            DoseUncertain: the pump does not say.
        """
        return self._orders.control().result(id_)

    def resolve(
        self,
        id_: int,
        *,
        by: str,
        because: str,
        as_: DoseState | str = DoseState.DELIVERED,
        volume_ul: tuple[float, float] | None = None,
    ) -> None:
        """An operator, by name and with a reason, says what a dose is taken as whose end the pump does not tell.

        DELIVERED, NOT_DELIVERED, or PARTLY, which needs the least and the most that was delivered. The dose blocks
        dosing no longer.

        Raises:
            ValueError: its end is known, it runs, or what is said cannot be.
            JournalError: it could not be noted, so nothing has changed.
        """
        self._orders.control().resolve(id_, by=by, because=because, as_=as_, volume_ul=volume_ul)

    def stop(self) -> StopReport:
        """Stop the motor. STOP goes out first, then what ran is asked for its result, then the journal is written.

        Raises:
            StopUnconfirmed: the pump did not confirm, it may still be delivering.
        """
        return self._stopper.stop()

    def take_control(self, duration_s: float = 60.0, *, holder: str, lease_id: int = 0) -> ControlLease:
        """Take the control lease, for 1 s to 24 h at a time; others may then only watch and stop.

        A context manager that gives it back on leaving. `service` and every wait here renew it when a third of the
        time is used up. `lease_id` renews one of an earlier session, `holder` names for people who has it.

        Raises:
            LeaseHeld: another host holds it.
        """
        self._orders.control()
        self._orders.status()
        self._lease.take(duration_s, holder, lease_id)
        return self._lease

    def control(self) -> protocol.Lease:
        """Who holds the control lease, and for how many ms more; 0 where nobody does."""
        return self._link.request(protocol.LeaseStatusRequest(), protocol.Lease)

    def therapy(self) -> protocol.Proposable | None:
        """The therapy in force, as the proposal that it was committed from; None when stopped.

        Raises:
            ReplyInvalid: what the pump says is no therapy.
        """
        return readings.therapy_in_force(self._link, self._layouts)

    def patient_bolus_limits(self) -> protocol.PatientBolusLimits:
        """The limits of patient-activated boluses, and what of them is used up."""
        return self._link.request(protocol.PatientBolusLimitsRequest(), protocol.PatientBolusLimits)

    def calibration(self) -> protocol.Calibration:
        """The step volume in nL in use, the one before, the nominal one, and how often it was written."""
        return self._link.request(protocol.CalibrationRequest(), protocol.Calibration)

    def therapy_clock(self) -> protocol.TherapyClock:
        """The clock that flex steps follow, with the device time at which it was read."""
        return self._link.request(protocol.TherapyClockRequest(), protocol.TherapyClock)

    def firmware(self) -> protocol.FirmwareInformation:
        """What runs on the pump, since when, and why it last started."""
        return self._link.request(protocol.FirmwareInformationRequest(), protocol.FirmwareInformation)

    def alarms(self) -> protocol.Alarms:
        """Every alarm that is active or not yet acknowledged."""
        return self._link.request(protocol.AlarmsRequest(), protocol.Alarms)

    def acknowledge(self, alarms: protocol.Alarm, silence_s: int = 0) -> None:
        """Tell the pump that somebody has seen these alarms; an active one keeps quiet for `silence_s`."""
        self._orders.control()
        readings.acknowledge(self._link, alarms, silence_s)

    def self_test(self, items: protocol.SelfTestItem | int = 0) -> protocol.SelfTestReport:
        """Have the pump test itself: these items, or all that its mode allows. MOTOR moves the rotor."""
        self._orders.control()
        return readings.self_test(self._link, items)

    @property
    def device_clock(self) -> DeviceClock | None:
        """What `synchronise` last gave, unless the pump was seen to have restarted since."""
        known = self._device_clock
        return known if known is not None and known.boot_id == self._orders.boot_id else None

    def synchronise(self, exchanges: int = 8) -> DeviceClock:
        """Map the pump's clock onto the one that runs the process; each further call sharpens its drift.

        Raises:
            ReplyInvalid: the pump's time stamps cannot be true.
        """
        self._device_clock = self._synchroniser.round(exchanges)
        self._orders.see_boot(self._device_clock.boot_id)
        return self._device_clock

    def event_log(self, first_index: int = 0, *, progress: Progress | None = None) -> History[protocol.EventRecord]:
        """The events from an index on, through lost replies and resets.

        Raises:
            TransferBroken: it could not be read to its end; the error's `history` holds what was read.
        """
        return read_history(self._link, self._layouts, protocol.EventRecord, first_index, progress)

    def calibration_history(
        self, first_index: int = 0, *, progress: Progress | None = None
    ) -> History[protocol.CalibrationRecord]:
        """The calibration writes from an index on; raises as `event_log`."""
        return read_history(self._link, self._layouts, protocol.CalibrationRecord, first_index, progress)

    def dose_history(self, first_index: int = 0, *, progress: Progress | None = None) -> History[protocol.DoseRecord]:
        """The dosing commands from an index on; raises as `event_log`."""
        return read_history(self._link, self._layouts, protocol.DoseRecord, first_index, progress)

    def subscribe(self, interval_s: float | None, stream: protocol.Stream = protocol.Stream.TELEMETRY) -> float | None:
        """Have the pump send a stream every `interval_s` seconds of its clock; None ends it.

        Gives the interval that the pump really uses.
        """
        return self._subscriptions.subscribe(stream, interval_s)

    def telemetry(self) -> TelemetryBatch:
        """All samples and events that came since the last call, with every gap counted.

        Raises:
            PortLost: the port is gone, and all that came before has been given.
        """
        try:
            self._link.service()
            self._subscriptions.keep()
        except TransportError:
            if not self._link.has_notifications:
                raise
        return self._link.drain()

    @property
    def service_in_s(self) -> float:
        """I/O seconds until `service` must be called again for the control lease; infinite while none is held."""
        return self._lease.renewal_in_s

    def service(self) -> None:
        """Take in what has arrived, without waiting, and renew the control lease where that is due.

        Raises:
            NoLease: the control lease was taken here and is lost; said once.
            PortLost: the port is gone.
        """
        self._link.service()
        self._subscriptions.keep()
        self._lease.keep()
        self._lease.require_not_lost()

    def close(self) -> None:
        """Stop what was started here, end streams and lease, and give the port back; a second call does nothing.

        Raises:
            StopUnconfirmed: the pump did not confirm the stop.
        """
        self._leave(None)

    def _leave(self, error: BaseException | None) -> None:
        if self._closed:
            return
        try:
            if self._dosing is not None and self._dosing.started:
                self._stopper.stop_on_leaving(error)
            self._subscriptions.end_all()
            self._lease.release_on_leaving()
        finally:
            self._closed = True
            self._link.close()
            if self._dosing is not None and self.journal is not None:
                self.journal.release()
