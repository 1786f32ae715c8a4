"""Fuzz target: a host with session keys, of whose frames the harness seals some, repeats some and changes some."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from cobs import cobs

from fuzzing.choices import Choices
from fuzzing.frames import REQUEST_TYPES, TRAILER_BYTES, changed, fitting_payload
from fuzzing.sessions import ATTEMPTS, HostModel, for_host
from protocol import (
    TEST_KEY,
    Frame,
    HandshakeRequest,
    HelloRequest,
    HostSession,
    StreamDecoder,
    decode_payload,
    derive_session_keys,
)
from protocol.registry import FIRST_REPLY_TYPE
from protocol.security import Direction, Sealer, Verdict, Verifier

HOST_KEYS = derive_session_keys(TEST_KEY, host_nonce=bytes(16), device_nonce=bytes(16), hello=b"")
ASKED_TYPES = tuple(number for number in REQUEST_TYPES if number not in (HelloRequest.TYPE, HandshakeRequest.TYPE))


def sealed_host(data: bytes) -> None:
    """Of what arrives only genuine, new frames are taken; each attempt is sealed afresh, and says the same."""
    choices = Choices(data)
    host, model, line = HostSession(timeout_s=0.5, attempts=ATTEMPTS), HostModel(), _LineToHost()
    host.secure(HOST_KEYS)
    now = 0.0
    while choices.left:
        match choices.below(6):
            case 0 | 1:
                _ask(choices, host, model, now)
            case 2:
                now += choices.below(256) / 100
                model.check_events(host.poll(now), [])
            case _:
                octets = line.carries(choices, for_host(choices, model))
                taken = line.takes(StreamDecoder().feed(octets))
                model.check_events(host.receive(octets, now), taken)
        sent = host.data_to_send()
        line.check_sealed(sent)
        model.check_sent(sent)
        assert (host.next_deadline() is None) == (not model.outstanding), "a request is lost, or never ends"
    unused = host.stale_replies + host.mismatched_replies
    assert model.frames == model.used + unused, "the frames taken do not add up"
    counts = (host.forged_frames, host.replayed_frames, host.echoes)
    assert counts == (line.forged, line.replayed, line.echoes), "the frames dropped do not add up"


def _ask(choices: Choices, host: HostSession, model: HostModel, now: float) -> None:
    if model.outstanding:
        return
    type_byte = ASKED_TYPES[choices.below(len(ASKED_TYPES))]
    message = decode_payload(type_byte, fitting_payload(choices, type_byte, choices.below(4)))
    seq = host.request(message, now)
    model.outstanding[seq] = message
    model.sent[seq] = 0


@dataclass
class _LineToHost:
    """Seals some of the frames on their way to the host, repeats some and changes some, and knows which are genuine."""

    forged: int = 0
    replayed: int = 0
    echoes: int = 0
    newest: int = 0
    last_sent: int = 0
    sealer: Sealer = field(default_factory=lambda: Sealer(HOST_KEYS, Direction.TO_HOST))
    made: dict[tuple[int, int, bytes, bytes | None], int] = field(default_factory=dict)
    wires: deque[bytes] = field(default_factory=lambda: deque(maxlen=20))

    def carries(self, choices: Choices, octets: bytes) -> bytes:
        """The stream that reaches the host."""
        match choices.below(8):
            case 0:
                return octets
            case 1 if self.wires:
                return self.wires[-1 - choices.below(len(self.wires))]
            case 2 if self.wires:
                return changed(choices, self.wires[-1 - choices.below(len(self.wires))])
        return b"".join(self._sealed(frame) for frame in StreamDecoder().feed(octets))

    def takes(self, frames: list[Frame]) -> list[Frame]:
        """Those that the host must take."""
        return [frame for frame in frames if self._is_new(frame)]

    def check_sealed(self, octets: bytes) -> None:
        """Each frame of the host has the next counter and its right tag."""
        verifier = Verifier(HOST_KEYS, Direction.TO_DEVICE)
        for frame in StreamDecoder().feed(octets):
            assert verifier.verdict(frame) is Verdict.GENUINE, "the host sends a frame that is not sealed"
            self.last_sent += 1
            assert int.from_bytes((frame.trailer or b"")[:4], "little") == self.last_sent, "a counter is no fresh one"

    def _sealed(self, frame: Frame) -> bytes:
        wire = self.sealer.frame(frame.type, frame.seq, frame.payload)
        trailer = cobs.decode(wire[1:-1])[-4 - TRAILER_BYTES : -4]
        self.made[(frame.type, frame.seq, frame.payload, trailer)] = int.from_bytes(trailer[:4], "little")
        self.wires.append(wire)
        return wire

    def _is_new(self, frame: Frame) -> bool:
        counter = self.made.get((frame.type, frame.seq, frame.payload, frame.trailer))
        if frame.type < FIRST_REPLY_TYPE:
            self.echoes += 1
        elif counter is None or frame.major != 1:
            self.forged += 1
        elif counter <= self.newest:
            self.replayed += 1
        else:
            self.newest = counter
            return True
        return False
