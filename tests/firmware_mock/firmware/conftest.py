"""A pump alone on its cable, and a host that talks to it in frames."""

from collections import Counter
from dataclasses import dataclass, field

import pytest

import protocol
from firmware_mock import World
from firmware_mock.firmware import PumpFirmware
from firmware_mock.firmware.clock import DeviceClock
from firmware_mock.firmware.motor import Motor
from firmware_mock.physics.battery import Battery
from firmware_mock.physics.effects import PumpEffects
from firmware_mock.physics.head import Head
from firmware_mock.physics.thermostat import HeadThermometer, Thermostat
from firmware_mock.ports import Port
from protocol.profile import load_model

STARTS_UTC_S = 1_795_132_800
RIG = {"pump": {"head_thermometer": {"standard_uncertainty_k": 0.0}}}


@dataclass
class Host:
    """Asks one thing at a time; what the pump says unasked is kept."""

    world: World
    port: Port
    head: Head
    pump: PumpFirmware
    session: protocol.HostSession = field(default_factory=protocol.HostSession)
    notes: list = field(default_factory=list)
    sessions: int = 0

    def ask(self, request):
        """The reply, or the NAK."""
        self.session.request(request, self.world.monotonic())
        self.port.host.write(self.session.data_to_send())
        while True:
            data = self.port.host.read(2.0)
            assert data, f"no answer to {request}"
            for event in self.session.receive(data, self.world.monotonic()):
                match event:
                    case protocol.Notification(message):
                        self.notes.append(message)
                    case protocol.Reply(_, message):
                        return message
                    case protocol.Refused(_, nak):
                        return nak

    def hear(self, seconds):
        """What the pump says unasked in some seconds."""
        end_s = self.world.monotonic() + seconds
        while self.world.monotonic() < end_s:
            data = self.port.host.read(end_s - self.world.monotonic())
            for event in self.session.receive(data, self.world.monotonic()):
                self.notes.append(event.message)
        notes, self.notes = self.notes, []
        return notes

    def propose(self, request):
        return self.ask(request)

    def commit(self, proposal):
        return self.ask(protocol.Commit(proposal.command_id, proposal.token, proposal.digest))

    def do(self, request):
        """PROPOSE and COMMIT; the canonical form and the result."""
        proposal = self.propose(request)
        assert isinstance(proposal, protocol.Proposal), proposal
        return protocol.decode_payload(request.TYPE, proposal.canonical), self.commit(proposal)

    def send(self, request):
        """A request whose answer may never come; it is not waited for."""
        self.port.host.write(protocol.encode(request, seq=9999))

    def forget(self):
        """What was said so far is over; another session begins."""
        self.port.host.read(0.0)
        self.session = protocol.HostSession()
        self.sessions += 1
        self.hello(self.sessions)

    def shake_hands(self, key, nonce=1):
        """HELLO and handshake: from now on all is sealed. What the device answers to the confirmation."""
        self.session.abandon()
        self.session.secure(None)
        hello = self.hello(nonce)
        handshake = protocol.HostHandshake(key, protocol.HelloRequest(1, 0, nonce), hello, nonce.to_bytes(16, "big"))
        self.session.secure(handshake.accept(self.ask(handshake.request())))
        return self.ask(protocol.HandshakeConfirm())

    def hello(self, nonce):
        """A session of its own, as after a restart of the host or from another one."""
        return self.ask(protocol.HelloRequest(1, 0, nonce))

    def pull(self, reader):
        """Read one object in bulk to its end; a lost snapshot is opened again."""
        while (request := reader.request()) is not None:
            self.take(reader, request)
        return reader.records

    def take(self, reader, request):
        """One step of reading in bulk."""
        reply = self.ask(request)
        if isinstance(reply, protocol.Nak):
            assert reply.reason == protocol.NakReason.NO_SNAPSHOT
            reader.snapshot_lost()
        else:
            reader.receive(reply)

    def alarms(self):
        """The alarm list by alarm."""
        return {entry.alarm: entry for entry in self.ask(protocol.AlarmsRequest()).entries}

    def status(self):
        return self.ask(protocol.StatusRequest())

    def result(self, command_id):
        return self.ask(protocol.CommandResultRequest(command_id))

    def stop(self):
        return self.ask(protocol.Stop())


class Truth:
    """What the rotor made for each command, and how often it began to, noted where it is told to turn or to stand.

    It knows what the firmware says it turns for; how far it turned it knows by itself.
    """

    def __init__(self, host):
        self.starts = Counter()
        self._made = Counter()
        self._host = host
        self._since = (None, 0)
        host.head.on_change = self._note

    def steps(self):
        """By command id, up to now."""
        self._note()
        return self._made

    def _note(self):
        head, now_ns = self._host.head, self._host.world.now_ns
        command_id, began_at = self._since
        if command_id is not None:
            self._made[command_id] += head.counted_steps(now_ns) - began_at
        run = self._host.pump._nvram.memory.under_way if head.steps_per_s(now_ns) else None
        turns_for = None if run is None else run.command_id
        if turns_for not in (None, command_id):
            self.starts[turns_for] += 1
        self._since = (turns_for, head.counted_steps(now_ns))


@pytest.fixture
def truth():
    """Watches the rotor of a host's pump from now on."""
    return Truth


@pytest.fixture
def host():
    """Builds a pump with the effects a test wants and connects a host to it."""

    def build(*, seed=0, filled_ul=20_000.0, baud=115_200, speed=1.0, key=None, served_s=0.0, **effects):
        world = World(seed=seed)
        world.served_speed = speed
        effects = PumpEffects(**effects)
        profile = load_model("implantable-20ml")
        thermostat = Thermostat(world, profile.head_temperature_c, effects)
        head = Head(world, profile, effects, thermostat)
        battery = Battery(
            profile.battery_energy_j,
            effects.battery_used_pct,
            profile.battery_base_power_uw,
            profile.battery_step_energy_uj,
        )
        clock = DeviceClock(world, effects)
        port = Port(world, "pump", baud=baud)
        pump = PumpFirmware(
            world,
            port,
            profile,
            Motor(world, head, battery, clock),
            clock,
            battery,
            HeadThermometer(world, thermostat, RIG),
            serial_number="P-1",
            filled_ul=filled_ul,
            starts_utc_s=STARTS_UTC_S,
            key=key,
            served_s=served_s,
        )
        return Host(world, port, head, pump)

    return build
