"""A simulated pump with a key, in the middle of a genuine session, and all of its state that nobody else may change."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from firmware_mock import World
from firmware_mock.faults import LonePump
from protocol import (
    Ack,
    Commit,
    HandshakeConfirm,
    HelloRequest,
    HostHandshake,
    HostSession,
    LeaseRequest,
    Message,
    ProposeBolus,
    ProposeContinuous,
    Reply,
    Stream,
    Subscribe,
)
from protocol.profile import ModelProfile, load_model

BASAL_UL_PER_H = 20.0
BASAL_ID, WAITING_ID = 1, 2
LEASE_MS = 3_600_000


@cache
def _profile() -> ModelProfile:
    return load_model("implantable-20ml")


class Scene:
    """The pump, and the host's session with it. Time stands still but where `wait` lets it pass.

    `begin` makes it rich in what can be changed: basal runs, the lease is held, two streams come, a bolus waits for its
    COMMIT. `said` is all that the pump has sent since it was last taken; `tap(to_device, data)` is told what goes
    between pump and genuine host.
    """

    def __init__(self, seed: int, key: bytes, serial_number: str = "SIM-P-0001") -> None:
        self.world = World(seed=seed)
        self.pump = LonePump(self.world, _profile(), key=key, serial_number=serial_number)
        self.firmware: Any = self.pump._firmware
        self.said = bytearray()
        self.pump.port.send = self.said.extend  # type: ignore[method-assign]
        self.host = HostSession()
        self._key = key
        self._nonces = self.world.stream("genuine host")
        self.lease_id = 0
        self.tap: Callable[[bool, bytes], None] | None = None

    def hear(self, data: bytes) -> None:
        """Bytes arrive at the pump."""
        assert self.pump.port.on_receive is not None
        self.pump.port.on_receive(data)

    def take_said(self) -> bytes:
        """What the pump has sent since the last call."""
        said = bytes(self.said)
        self.said.clear()
        return said

    def ask(self, message: Message) -> Message:
        """The answer of the pump to its genuine host."""
        now_s = self.world.monotonic()
        self.host.request(message, now_s)
        asked = self.host.data_to_send()
        self.hear(asked)
        said = self.take_said()
        if self.tap is not None:
            self.tap(True, asked)
            self.tap(False, said)
        (answer,) = [event.message for event in self.host.receive(said, now_s) if isinstance(event, Reply)]
        return answer

    def open(self) -> None:
        """HELLO and handshake, in a host session of its own."""
        self.host = HostSession()
        request = HelloRequest(1, 0, self._nonces.getrandbits(64))
        hello: Any = self.ask(request)
        handshake = HostHandshake(self._key, request, hello, self._nonces.randbytes(16))
        answer: Any = self.ask(handshake.request())
        self.host.secure(handshake.accept(answer))
        assert self.ask(HandshakeConfirm()) == Ack()

    def begin(self) -> None:
        """Open, and have all there is to be changed."""
        self.open()
        self.commit(self.ask(ProposeContinuous(BASAL_ID, BASAL_UL_PER_H, 0)))
        lease: Any = self.ask(LeaseRequest(0, LEASE_MS, "genuine host"))
        self.lease_id = lease.lease_id
        for stream in (Stream.TELEMETRY, Stream.POWER):
            self.ask(Subscribe(stream, 60_000))
        self.waiting = self.ask(ProposeBolus(WAITING_ID, 1.0, 0.0))

    def commit(self, proposal: Any) -> Message:
        """Have a proposal carried out."""
        return self.ask(Commit(proposal.command_id, proposal.token, proposal.digest))

    def state(self) -> tuple[Any, ...]:
        """What only a holder of the key may change: memory, motor, token, counters of the session, lease, streams."""
        firmware = self.firmware
        nvram, guard, lease = firmware._nvram, firmware._keys.guard, firmware._lease
        verifier, sealer = guard._verifier, guard._sealer
        return (
            nvram._image,
            bytes(nvram._slots[0]),
            bytes(nvram._slots[1]),
            tuple(row._sealed[-1] if row._sealed else b"" for row in nvram.rows.values()),
            self.pump.turning,
            self.pump.steps,
            firmware._tokens._pending,
            guard.key,
            verifier,
            None if verifier is None else verifier._counter,
            sealer,
            None if sealer is None else sealer._counter,
            tuple((seq, exchange.digest, exchange.reply) for seq, exchange in firmware._session._sealed.items()),
            lease._held,
            lease._session,
            tuple((stream._interval_ns, stream._due) for stream in firmware._streams._streams.values()),
            repr(firmware._alarms._notices._noted),
        )
