"""What a pump is told to deliver or to set: what must hold before, the order itself, and the wait for its end."""

from __future__ import annotations

import contextlib
from dataclasses import replace

from driver.agreement import described
from driver.clock import Deadline
from driver.dose import Dose, DoseState
from driver.dosing import Dosing
from driver.errors import DoseUncertain, ObserverOnly, TransportError
from driver.lease import ControlLease, holder_named
from driver.opening import Connection
from protocol import CommandState, OnLeaseLoss, Proposable, Status, StatusRequest

PAUSE_SLICE_S = 5.0
SHORTEST_POLL_S = 0.2
LONGEST_POLL_S = 30.0
BOLUS_GRACE_S = 60.0


class Orders:
    """The orders of one host to one pump; an observer gives none.

    `boot_id` is the latest that was seen; another one than before ends the lease.
    """

    def __init__(self, opened: Connection, lease: ControlLease) -> None:
        self.boot_id = opened.hello.boot_id
        self._link = opened.link
        self._clock = opened.clock
        self._layouts = opened.layouts
        self._dosing = opened.dosing
        self._lease = lease

    def control(self) -> Dosing:
        """
        Raises:
            ObserverOnly: the pump was opened to watch.
        """
        if self._dosing is None:
            raise ObserverOnly(self._link.port, "the pump was opened with observe=True, to watch; open it without")
        return self._dosing

    def status(self) -> Status:
        """The pump at one instant.

        Raises:
            LinkError, TransportError: the pump cannot be asked.
        """
        status = self._link.request(StatusRequest(), Status)
        self.see_boot(status.boot_id)
        return status

    def see_boot(self, boot_id: int) -> None:
        """The pump says which boot it is in."""
        if boot_id != self.boot_id:
            self.boot_id = boot_id
            self._lease.lose("the pump restarted")

    def give(self, asked: Proposable) -> Dose:
        """Have a proposal carried out, once the pump was asked for all commands whose end the journal does not tell.

        So none of them is asked for too late, when the pump has forgotten it.

        Raises:
            ObserverOnly, VersionMismatch, NotAuthenticated, NoLease: it may not be given; it was not sent.
            LeaseHeld: another host holds the control lease; nothing was dosed.
            DriverError: see `Dosing.carry_out`.
        """
        dosing = self.control()
        self._layouts.require_therapy(self._link.port)
        self._link.require(type(asked))
        self._lease.keep()
        self._require_lease(asked)
        status = self.status()
        dosing.reconcile()
        self._lease.keep()
        self._require_lease(asked)
        with holder_named(self._link):
            return dosing.carry_out(asked, status.last_command_id)

    def set(self, asked: Proposable) -> Dose:
        """As `give`, for a setting, which has taken effect when this returns.

        Raises:
            DoseUncertain: as in `give`; or the pump does not say that it is done.
        """
        dose = self.give(asked)
        if dose.command_state != CommandState.DONE:
            raise DoseUncertain(
                self._link.port,
                f"command {dose.id} ({described(dose.canonical)}) may not have taken effect, because the pump says "
                f"{dose.said} instead of DONE; read the setting back before the pump is used",
                (replace(dose, state=DoseState.UNCERTAIN),),
            )
        return dose

    def give_and_wait(self, asked: Proposable, *, wait: bool) -> Dose:
        """As `give`; with `wait`, return when the volume has been given.

        Raises:
            DoseUncertain: as in `give`; or it should have ended long ago and still runs.
        """
        dose = self.give(asked)
        return self._ended(dose) if wait else dose

    def _require_lease(self, asked: Proposable) -> None:
        if getattr(asked, "on_lease_loss", None) == OnLeaseLoss.STOP:
            self._lease.require()

    def _ended(self, dose: Dose) -> Dose:
        """Until a bolus has ended, on the process clock; telemetry is taken in meanwhile, the lease renewed.

        Only an answer asked for after the latest end counts as overdue: lost replies take time on the I/O clock, in
        which a rig faster than real time comes far, and a retry is answered with what was so at the first attempt.
        """
        expected_s = 3600.0 * dose.canonical["volume_ul"] / dose.canonical["rate_ul_per_h"]
        expected = Deadline(self._clock, expected_s)
        latest = Deadline(self._clock, 1.5 * expected_s + BOLUS_GRACE_S)
        while dose.state is DoseState.PENDING:
            is_overdue = latest.expired
            self._pause(min(max(expected.remaining_s / 2.0, SHORTEST_POLL_S), LONGEST_POLL_S))
            dose = self.control().result(dose.id)
            if is_overdue and dose.state is DoseState.PENDING:
                raise DoseUncertain(
                    self._link.port,
                    f"bolus {dose.id} should have ended after {expected_s:.0f} s and still runs; stop the pump",
                    (replace(dose, state=DoseState.UNCERTAIN, delivered_high_ul=dose.canonical["volume_ul"]),),
                )
        return dose

    def _pause(self, seconds: float) -> None:
        end = Deadline(self._clock, seconds)
        while not end.expired:
            self._clock.sleep(min(end.remaining_s, PAUSE_SLICE_S, max(self._lease.renewal_in_s, SHORTEST_POLL_S)))
            with contextlib.suppress(TransportError):
                self._link.service()
                self._lease.keep()
