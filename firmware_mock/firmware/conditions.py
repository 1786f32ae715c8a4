"""What the pump remembers of its own condition: why it may not infuse, and which alarms were raised when."""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct

from firmware_mock.firmware.refusals import RefusedRequest
from protocol import NakReason, SelfTestItem

ALERTS_KEPT = 16
_NOTHING = SelfTestItem(0)
_HEAD = Struct("<qqI?B")
_ALERT = Struct("<Iq?")
_NONE = -1


@dataclass(frozen=True, slots=True)
class Alert:
    """A non-critical alarm was raised at an instant; `is_open` while its condition holds and nobody has seen it."""

    alarm: int
    raised_us: int
    is_open: bool


@dataclass(frozen=True, slots=True)
class Conditions:
    """Instants are of the counter that runs through resets.

    `replacement_since_us`: the replacement indicator is on. `service_over`: the motor stands for good.
    `suspended_since_us`: infusion waits to be handed back after telemetry. `barred_by`: failed items of the self-test
    without which nothing is infused. `alerts`: the newest, oldest first.
    """

    replacement_since_us: int | None = None
    service_over: bool = False
    suspended_since_us: int | None = None
    barred_by: SelfTestItem = _NOTHING
    alerts: tuple[Alert, ...] = ()

    @property
    def bar(self) -> str | None:
        """Why nothing may be infused now; None where nothing is in the way."""
        if self.service_over:
            return "service is over; the pump must be replaced"
        if self.barred_by:
            return f"self-test failed: {self.barred_by.name}"
        if self.suspended_since_us is not None:
            return "infusion is suspended for telemetry"
        return None

    def refuse_infusion(self) -> None:
        """
        Raises:
            RefusedRequest: something is in the way.
        """
        if self.bar is not None:
            raise RefusedRequest(NakReason.WRONG_STATE, self.bar)

    def is_consistent(self, *, now_us: int) -> bool:
        """Whether nothing of it is still to come."""
        instants_us = [self.replacement_since_us, self.suspended_since_us, *(alert.raised_us for alert in self.alerts)]
        return all(instant_us is None or instant_us <= now_us for instant_us in instants_us)


def pack_conditions(conditions: Conditions) -> bytes:
    """As they lie in the image, little-endian."""
    head = _HEAD.pack(
        _or_none(conditions.replacement_since_us),
        _or_none(conditions.suspended_since_us),
        conditions.barred_by,
        conditions.service_over,
        len(conditions.alerts),
    )
    return head + b"".join(_ALERT.pack(alert.alarm, alert.raised_us, alert.is_open) for alert in conditions.alerts)


def unpack_conditions(slot: bytes | bytearray, offset: int) -> Conditions:
    """Those that begin at an offset of the image."""
    replacement_us, suspended_us, barred_by, service_over, count = _HEAD.unpack_from(slot, offset)
    offset += _HEAD.size
    alerts = [_ALERT.unpack_from(slot, offset + place * _ALERT.size) for place in range(count)]
    return Conditions(
        _optional(replacement_us),
        service_over,
        _optional(suspended_us),
        SelfTestItem(barred_by),
        tuple(Alert(*alert) for alert in alerts),
    )


def _or_none(value: int | None) -> int:
    return _NONE if value is None else value


def _optional(value: int) -> int | None:
    return None if value == _NONE else value
