"""Which part of the pump answers which request, and whom: what needs the key, the lease, or a session of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from firmware_mock.firmware.clock import Clocks
from firmware_mock.firmware.dosing import Dosing
from firmware_mock.firmware.identity import Identity
from firmware_mock.firmware.keys import Keys
from firmware_mock.firmware.lease import ControlLease
from firmware_mock.firmware.logs import Logs
from firmware_mock.firmware.patient_bolus import PatientBoluses
from firmware_mock.firmware.readings import Readings
from firmware_mock.firmware.refusals import RefusedRequest
from firmware_mock.firmware.supported import SUPPORTED
from firmware_mock.firmware.telemetry import Streams
from firmware_mock.firmware.therapy import Therapy
from firmware_mock.firmware.tokens import Tokens
from firmware_mock.firmware.upkeep import Upkeep
from protocol import (
    Ack,
    AcknowledgeAlarms,
    AlarmsRequest,
    BulkOpen,
    BulkRead,
    CalibrationRequest,
    ClockRequest,
    CommandResultRequest,
    Commit,
    DescribeRequest,
    DeviceRequest,
    FirmwareInformationRequest,
    HandshakeConfirm,
    Hello,
    HelloRequest,
    Lease,
    LeaseRelease,
    LeaseRequest,
    LeaseStatusRequest,
    Message,
    Nak,
    NakReason,
    PairRequest,
    PatientBolusLimitsRequest,
    SelfTestRequest,
    StatusRequest,
    Stop,
    Subscribe,
    TherapyClockRequest,
    TherapyRequest,
)

_FOR_THE_HOLDER = frozenset((*SUPPORTED, Commit, AcknowledgeAlarms, SelfTestRequest))


class Answers:
    """Hands each request to the part that answers it, if who asks may ask that now."""

    def __init__(
        self,
        keys: Keys,
        lease: ControlLease,
        tokens: Tokens,
        logs: Logs,
        streams: Streams,
        identity: Identity,
        readings: Readings,
        clocks: Clocks,
        therapy: Therapy,
        patient: PatientBoluses,
        dosing: Dosing,
        upkeep: Upkeep,
    ) -> None:
        self._keys = keys
        self._lease = lease
        self._tokens = tokens
        self._logs = logs
        self._streams = streams
        self._identity = identity
        self._by_kind: dict[type[Message], Callable[[Any], Message]] = {
            HelloRequest: self._hello,
            HandshakeConfirm: self._confirmed,
            PairRequest: self._pair,
            DescribeRequest: identity.describe,
            FirmwareInformationRequest: identity.firmware,
            StatusRequest: readings.status,
            CalibrationRequest: readings.calibration,
            ClockRequest: clocks.exchange,
            TherapyClockRequest: clocks.therapy_clock,
            TherapyRequest: therapy.in_force,
            PatientBolusLimitsRequest: patient.limits,
            **dict.fromkeys(SUPPORTED, dosing.propose),
            Commit: dosing.commit,
            CommandResultRequest: dosing.result,
            Stop: dosing.stop,
            Subscribe: streams.subscribe,
            AlarmsRequest: upkeep.alarms.listed,
            AcknowledgeAlarms: upkeep.alarms.acknowledge,
            SelfTestRequest: upkeep.self_test.run,
            LeaseRequest: lease.ask,
            LeaseStatusRequest: lease.status,
            LeaseRelease: lease.release,
            BulkOpen: logs.open,
            BulkRead: logs.read,
        }

    def to(self, request: DeviceRequest) -> Message:
        """The answer, which is a NAK where the request is refused."""
        self._logs.is_in_the_open = self._keys.is_in_the_open(request)
        try:
            self._keys.check(request)
            answer = self._answer(request.message)
        except RefusedRequest as refusal:
            answer = Nak(refusal.reason, refusal.detail)
        if isinstance(answer, Lease) and self._keys.is_in_the_open(request):
            answer = Lease(0, answer.remaining_ms, answer.holder)
        return answer

    def _answer(self, message: Message) -> Message:
        kind = type(message)
        answer = self._by_kind.get(kind)
        if answer is None:
            raise RefusedRequest(NakReason.UNSUPPORTED, f"this pump does not do {kind.__name__}")
        if kind in _FOR_THE_HOLDER:
            self._lease.check()
        return answer(message)

    def _hello(self, request: HelloRequest) -> Hello:
        """With a key it is the handshake behind HELLO that opens a session: anybody may say HELLO."""
        is_keyed = self._keys.guard.key is not None
        if not is_keyed:
            self._begin_session()
        return self._identity.hello(request, is_keyed=is_keyed)

    def _confirmed(self, _: HandshakeConfirm) -> Ack:
        self._begin_session()
        return Ack()

    def _pair(self, request: PairRequest) -> Message:
        """What somebody began without the key is over with that."""
        paired = self._keys.pair(request)
        self._tokens.kill()
        self._begin_session()
        return paired

    def _begin_session(self) -> None:
        self._streams.end()
        self._lease.begin_session()
