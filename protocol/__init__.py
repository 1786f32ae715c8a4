"""The wire: frames, messages, the codecs derived from them, the two sans-IO sessions, and pump model profiles."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from protocol.device_session import DeviceRequest, DeviceSession
from protocol.enums import Alarm, CommandState, EventCode, Mode, NakReason, Stream
from protocol.errors import DecodeError, EncodeError, LayoutError, ProfileError, ProtocolError, SessionError
from protocol.framing import (
    MAX_PAYLOAD_BYTES,
    PROTOCOL_MAJOR,
    PROTOCOL_MINOR,
    Frame,
    Reject,
    RejectCause,
    StreamDecoder,
    encode,
    encode_frame,
)
from protocol.host_session import HostEvent, HostSession, Notification, Refused, Reply, TimedOut
from protocol.messages import (
    Ack,
    Calibration,
    CalibrationRequest,
    CommandResult,
    CommandResultRequest,
    Commit,
    Event,
    Hello,
    HelloRequest,
    Nak,
    Proposal,
    ProposeBolus,
    ProposeCalibration,
    ProposeContinuous,
    Status,
    StatusRequest,
    Stop,
    Stopped,
    Subscribe,
    Telemetry,
    proposal_digest,
)
from protocol.registry import Message, decode_payload, encode_payload, schema_hash, schema_text

if TYPE_CHECKING:
    from protocol import profile
    from protocol.batch import decode_batch

SCHEMA_HASH = schema_hash()

__all__ = [
    "MAX_PAYLOAD_BYTES",
    "PROTOCOL_MAJOR",
    "PROTOCOL_MINOR",
    "SCHEMA_HASH",
    "Ack",
    "Alarm",
    "Calibration",
    "CalibrationRequest",
    "CommandResult",
    "CommandResultRequest",
    "CommandState",
    "Commit",
    "DecodeError",
    "DeviceRequest",
    "DeviceSession",
    "EncodeError",
    "Event",
    "EventCode",
    "Frame",
    "Hello",
    "HelloRequest",
    "HostEvent",
    "HostSession",
    "LayoutError",
    "Message",
    "Mode",
    "Nak",
    "NakReason",
    "Notification",
    "ProfileError",
    "Proposal",
    "ProposeBolus",
    "ProposeCalibration",
    "ProposeContinuous",
    "ProtocolError",
    "Refused",
    "Reject",
    "RejectCause",
    "Reply",
    "SessionError",
    "Status",
    "StatusRequest",
    "Stop",
    "Stopped",
    "Stream",
    "StreamDecoder",
    "Subscribe",
    "Telemetry",
    "TimedOut",
    "decode_batch",
    "decode_payload",
    "encode",
    "encode_frame",
    "encode_payload",
    "profile",
    "proposal_digest",
    "schema_hash",
    "schema_text",
]


def __getattr__(name: str) -> Any:
    if name == "profile":
        return importlib.import_module("protocol.profile")
    if name == "decode_batch":
        return importlib.import_module("protocol.batch").decode_batch
    raise AttributeError(f"module 'protocol' has no attribute {name!r}")
