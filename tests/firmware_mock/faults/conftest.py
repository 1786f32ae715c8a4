"""A pump at a faulty line, and a bare session with it."""

from dataclasses import replace

import pytest

from firmware_mock import World
from firmware_mock.faults import Direction, Fault, FaultKind, LonePump
from protocol import (
    Commit,
    HelloRequest,
    HostSession,
    Proposal,
    ProposeBolus,
    Refused,
    Reply,
    StatusRequest,
    TimedOut,
)
from protocol.profile import load_model

PLAIN = Fault(FaultKind.FLIP, Direction.TO_DEVICE, StatusRequest.TYPE, 1, 0.0, 0.0, 1, 7)


class Talk:
    """A lone pump and a bare session with it, over a port that faults are done to."""

    def __init__(self, world=World, build=LonePump, **pump):
        self.world = world(seed=1)
        self.pump = build(self.world, load_model("implantable-20ml"), **pump)
        self.port = self.pump.port
        self.open()

    def open(self):
        self.handle = self.port.connect()
        self.session = HostSession()
        return self.ask(HelloRequest(1, 0, self.port.opening))

    def ask(self, message):
        """The message that answers, or the outcome as it is."""
        self.session.request(message, self.world.monotonic())
        while True:
            if data := self.session.data_to_send():
                self.handle.write(data)
            now = self.world.monotonic()
            data = self.handle.read(max(0.0, self.session.next_deadline() - now))
            now = self.world.monotonic()
            for event in [*self.session.receive(data, now), *self.session.poll(now)]:
                if isinstance(event, Reply):
                    return event.message
                if isinstance(event, Refused | TimedOut):
                    return event

    def dose(self, id_, steps=100):
        proposal = self.ask(ProposeBolus(id_, steps * 0.01, 0.0))
        assert isinstance(proposal, Proposal)
        return self.ask(Commit(id_, proposal.token, proposal.digest))

    def arm(self, **changes):
        self.port.arm([replace(PLAIN, **changes)])

    @property
    def has_acted(self):
        return self.port.has_acted()[0]

    def starts(self):
        return [turning.made for turning in self.pump.turnings() if turning.planned is not None]


@pytest.fixture
def talk():
    return Talk()


@pytest.fixture(scope="session")
def new_talk():
    """Begins one; what it is given is for the pump."""
    return Talk
