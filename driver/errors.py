"""What can go wrong at the driver: one class per cause, each message one sentence that begins with the port."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from driver.dose import Dose
from protocol import NakReason


class DriverError(Exception):
    """Base of everything `driver` raises on purpose. `port` is the cable concerned, `sentence` what happened there."""

    def __init__(self, port: str, sentence: str) -> None:
        super().__init__(f"{port}: {sentence}")
        self.port = port
        self.sentence = sentence

    @property
    def finding(self) -> str:
        """What happened, without the advice after it: for a sentence that gives its own."""
        return self.sentence.partition("; ")[0]

    def __reduce__(self) -> tuple[Callable[..., DriverError], tuple[Any, ...]]:
        """Errors cross process borders whole, whatever their constructors take."""
        return _rebuilt, (type(self), self.args, self.__dict__)


def _rebuilt(kind: type[DriverError], args: tuple[Any, ...], attributes: dict[str, Any]) -> DriverError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(attributes)
    return error


class TransportError(DriverError):
    """A cable cannot be used."""


class BadPortUrl(TransportError):
    """The text is no port that can be opened."""


class PortNotFound(TransportError):
    """There is nothing at that port."""


class PortBusy(TransportError):
    """Another program holds the port."""


class PortDenied(TransportError):
    """This user may not open the port."""


class PortLost(TransportError):
    """The port was there and is gone: unplugged, switched off, or the server ended."""


class LinkError(DriverError):
    """The pump's answers are missing or not what they should be."""


class LinkTimeout(LinkError):
    """The pump did not answer in time, retries included."""


class NakError(LinkError):
    """The pump refused a request and did nothing. `reason` is the wire's, `detail` the pump's own words."""

    def __init__(self, port: str, request: str, reason: NakReason | int, detail: str) -> None:
        name = reason.name if isinstance(reason, NakReason) else f"reason {reason}"
        words = f", saying “{detail}”" if detail else ""
        super().__init__(port, f"the pump refused {request} with {name}{words}; it did nothing")
        self.request = request
        self.reason = reason
        self.detail = detail


class LeaseHeld(NakError):
    """Another host holds the control lease: `holder` for `remaining_s` more seconds, as far as the pump says."""

    def __init__(self, refusal: NakError, holder: str, remaining_s: float | None) -> None:
        super().__init__(refusal.port, refusal.request, refusal.reason, refusal.detail)
        how_long = "" if remaining_s is None else f" for {remaining_s:.0f} s more"
        who = f"held by {holder}{how_long}" if holder else refusal.detail or "held by another host"
        self.sentence = (
            f"the pump refused {refusal.request}, because the control lease is {who}; wait, have it released there, "
            "or renew it by its lease_id if it is yours"
        )
        self.args = (f"{self.port}: {self.sentence}",)
        self.holder = holder
        self.remaining_s = remaining_s


class VersionMismatch(LinkError):
    """The pump speaks another major version of the protocol, or lays messages out differently that are needed."""


class ReplyInvalid(LinkError):
    """The pump's answers contradict themselves or cannot be read."""


class TransferBroken(LinkError):
    """A bulk transfer could not be finished. `history` is what was read until then."""

    def __init__(self, port: str, sentence: str, history: Any) -> None:
        super().__init__(port, sentence)
        self.history = history


class AuthenticationError(LinkError):
    """The pump and this host cannot prove to each other who they are; the pump was told nothing that changes it."""


class NotAuthenticated(AuthenticationError):
    """The pump takes orders from holders of its key alone, and this host has none; it was not sent."""


class DowngradeRefused(AuthenticationError):
    """This host has a key of the pump, and what answers does not ask for it."""


class WrongKey(AuthenticationError):
    """The pump does not know the key that this host has."""


class TestKeyRefused(AuthenticationError):
    """The key of simulated pumps, which anybody may know, is to open a pump at a real port."""

    __test__ = False


class HandshakeRefused(AuthenticationError):
    """The pump takes no handshake now. `detail` is its own words."""

    def __init__(self, port: str, sentence: str, detail: str = "") -> None:
        super().__init__(port, sentence)
        self.detail = detail


class PairingError(LinkError):
    """A key could not be given to the pump, or the pump does not prove that it has it."""


class WrongDevice(LinkError):
    """Another pump than the expected one answers at this port."""


class PumpError(DriverError):
    """A pump operation could not be carried out as asked."""


class ObserverOnly(PumpError):
    """The pump was opened to watch, not to control."""


class NoLease(PumpError):
    """The control lease is needed and not held, or no longer."""


class ProposalMismatch(PumpError):
    """The pump would do something else than what was asked; it was told nothing and dosed nothing."""


class DoseNotStarted(PumpError):
    """The pump never took the command, it says so itself; nothing was dosed."""


class DoseUncertain(PumpError):
    """What dosing commands delivered is not known; it counts as delivered. `doses` holds each, with its bounds."""

    def __init__(self, port: str, sentence: str, doses: tuple[Dose, ...]) -> None:
        super().__init__(port, sentence)
        self.doses = doses

    @property
    def dose_ids(self) -> tuple[int, ...]:
        """The ids of the commands concerned."""
        return tuple(dose.id for dose in self.doses)


class CalibrationMismatch(PumpError):
    """The step volume read back is not the one that was written."""


class CalibrationUnverified(PumpError):
    """A step volume was written, the pump says so, and could not be read back."""


class StopUnconfirmed(PumpError):
    """STOP was sent and the pump did not confirm it: the pump may still be delivering."""


class JournalError(DriverError):
    """The journal of dosing commands cannot be used; `port` is its file."""


class JournalForeign(JournalError):
    """The journal belongs to another pump."""


class JournalLocked(JournalError):
    """The journal is in use by another process, or by another `Pump` of this one."""


class KeyStoreError(DriverError):
    """The keys of pumps cannot be read or written; `port` is where they are kept."""


class InstrumentError(DriverError):
    """A measuring instrument did not do what it was asked. `command` is what was sent, `raw` its reply, if any."""

    def __init__(self, port: str, sentence: str, *, command: str = "", raw: str = "") -> None:
        super().__init__(port, sentence)
        self.command = command
        self.raw = raw


class UnknownDialect(InstrumentError):
    """No driver here speaks the dialect asked for."""


class InstrumentTimeout(InstrumentError):
    """The instrument did not answer in time."""


class BalanceError(InstrumentError):
    """The balance answered with an error."""


class BalanceOverload(BalanceError):
    """`S +`: more than the weighing range."""


class BalanceUnderload(BalanceError):
    """`S -`: less than the weighing range, often because the pan is not in place."""


class BalanceNotReady(BalanceError):
    """`S I`: busy with another command, or stability was not reached in the balance's own time."""


class BalanceSyntaxError(BalanceError):
    """`ES`: the balance does not know the command."""


class BalanceTransmissionError(BalanceError):
    """`ET`: the command arrived damaged."""


class BalanceLogicError(BalanceError):
    """`EL` or status `L`: the balance knows the command and cannot carry it out, or not with this parameter."""


class BalanceFault(BalanceError):
    """`S S Error …`: the balance reports a fault of its own."""


class BalanceRestarted(BalanceError):
    """The balance announced itself unasked: it was switched on or reset, so zero and tare are lost."""


class BalanceProtocolError(BalanceError):
    """The reply is no reply to the command that was sent."""


class EnvironmentProtocolError(InstrumentError):
    """The thermohygrometer's reply lacks a quantity, or states it in an unknown way."""


class OperatorError(InstrumentError):
    """The operator did not do what was asked, or said so."""
