"""A pump at the end of a cable that takes no time, watched, and a host that asks it in frames."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from firmware_mock.firmware.clock import DeviceClock
from firmware_mock.firmware.motor import Motor
from firmware_mock.firmware.pump import PumpFirmware
from firmware_mock.monitors import Monitors
from firmware_mock.physics.battery import battery_of
from firmware_mock.physics.effects import PumpEffects
from firmware_mock.physics.head import Head
from firmware_mock.physics.thermostat import HeadThermometer, Thermostat
from firmware_mock.world import World
from protocol import (
    Commit,
    HandshakeConfirm,
    HandshakeFailed,
    Hello,
    HelloRequest,
    HostHandshake,
    Message,
    Nak,
    PairRequest,
    Proposal,
    StreamDecoder,
    encode,
    encode_payload,
)
from protocol.profile import ModelProfile, load_model
from protocol.security import Direction, Sealer

STARTS_UTC_S = 1_795_219_200
_RIG = {"pump": {"head_thermometer": {"standard_uncertainty_k": 0.0}}}
_FIRST_NOTIFICATION = 0xC0
_SEQS = 65_535
MOST_AT_ONE_INSTANT = 2_000


class StandstillError(Exception):
    """Time does not go on."""


class Cable:
    """Hands bytes over at once; `said` is what the device has said since it was last asked."""

    unsent_bytes = 0

    def __init__(self) -> None:
        self.on_receive: Callable[[bytes], None] | None = None
        self.said = bytearray()
        self.is_cut = False

    def send(self, data: bytes) -> None:
        if not self.is_cut:
            self.said += data


class Scene:
    """The pump of a model, powered up, and a host that says HELLO, with a handshake where it has a key."""

    def __init__(
        self,
        *,
        seed: int = 0,
        profile: ModelProfile | None = None,
        filled_ul: float | None = None,
        key: bytes | None = None,
        served_s: float = 0.0,
        **effects: Any,
    ) -> None:
        self.profile = profile = profile or load_model("implantable-20ml")
        truth = PumpEffects(**effects)
        self.world = world = World(seed=seed)
        thermostat = Thermostat(world, profile.head_temperature_c, truth)
        self.head = Head(world, profile, truth, thermostat)
        self.battery = battery_of(profile, truth.battery_used_pct)
        clock = DeviceClock(world, truth)
        self.cable: Any = Cable()
        self.motor = Motor(world, self.head, self.battery, clock)
        self.firmware = PumpFirmware(
            world,
            self.cable,
            profile,
            self.motor,
            clock,
            self.battery,
            HeadThermometer(world, thermostat, _RIG),
            serial_number="P-1",
            filled_ul=profile.reservoir_volume_ul if filled_ul is None else filled_ul,
            starts_utc_s=STARTS_UTC_S,
            key=key,
            served_s=served_s,
        )
        self.monitors = Monitors(self.firmware)
        self._instant = (0, 0)
        world.observers.append(self._goes_on)
        self.last_id = 0
        self.key = key
        self._sealer: Sealer | None = None
        self._seq = 0
        self._nonce = 0
        self._decoder = StreamDecoder()
        self.hello()

    def _goes_on(self) -> None:
        """A mutant may have the same thing done again and again at one instant."""
        at_ns, times = self._instant
        self._instant = (at_ns, times + 1) if at_ns == self.world.now_ns else (self.world.now_ns, 0)
        if times > MOST_AT_ONE_INSTANT:
            raise StandstillError(f"more than {MOST_AT_ONE_INSTANT} events at {at_ns} ns")

    def happen(self, act: Callable[[], object]) -> None:
        """Have something done to the pump now, as an event of the world."""
        self.world.at(self.world.now_ns, lambda: act() and None)
        self.world.sleep(0.0)

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.world.sleep(seconds)

    def hello(self) -> Message | None:
        """A session of its own; with a key all that is asked from then on is sealed, where the pump knows that key."""
        self._nonce += 1
        self._sealer = None
        request = HelloRequest(1, 0, self._nonce)
        hello = self.ask(request)
        if self.key is not None and isinstance(hello, Hello):
            self._shake_hands(self.key, request, hello)
        return hello

    def pair(self, key: bytes) -> Any:
        """Give it a key; the answer, and a session with that key."""
        paired = self.ask(PairRequest(key))
        if not isinstance(paired, Nak | None):
            self.key = key
            self.hello()
        return paired

    def ask(self, request: Message) -> Any:
        """The answer; None where the pump says nothing."""
        self._seq = self._seq % _SEQS + 1
        if self._sealer is not None:
            return self.ask_bytes(self._sealer.frame(request.TYPE, self._seq, encode_payload(request)))
        return self.ask_bytes(encode(request, seq=self._seq))

    def ask_in_the_open(self, request: Message) -> Any:
        """The answer to a request that anybody could have sent."""
        self._seq = self._seq % _SEQS + 1
        return self.ask_bytes(encode(request, seq=self._seq))

    def ask_bytes(self, data: bytes) -> Any:
        """The same for bytes as they are."""
        self.cable.said.clear()
        self.cable.on_receive(data)
        frames = self._decoder.feed(bytes(self.cable.said))
        answers = [frame.message for frame in frames if frame.type < _FIRST_NOTIFICATION]
        return answers[-1] if answers else None

    def next_id(self) -> int:
        """A command id that was not used yet."""
        self.last_id += 1
        return self.last_id

    def do(self, kind: type[Message], *values: Any) -> Any:
        """PROPOSE under the next id, and COMMIT; the result, or the NAK."""
        return self.commit(self.propose(kind, *values))

    def propose(self, kind: type[Message], *values: Any) -> Any:
        """PROPOSE under the next id."""
        return self.ask(kind(self.next_id(), *values))

    def commit(self, proposal: Any) -> Any:
        """COMMIT, unless it was refused."""
        if not isinstance(proposal, Proposal):
            assert proposal is None or isinstance(proposal, Nak)
            return proposal
        return self.ask(Commit(proposal.command_id, proposal.token, proposal.digest))

    def _shake_hands(self, key: bytes, request: HelloRequest, hello: Hello) -> None:
        handshake = HostHandshake(key, request, hello, self._nonce.to_bytes(16, "big"))
        answer = self.ask(handshake.request())
        if answer is None or isinstance(answer, Nak):
            return
        try:
            self._sealer = Sealer(handshake.accept(answer), Direction.TO_DEVICE)
        except HandshakeFailed:
            return
        self.ask(HandshakeConfirm())
