"""A pump alone on its cable, and a host that talks to it in frames."""

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


@pytest.fixture
def host():
    """Builds a pump with the effects a test wants and connects a host to it."""

    def build(*, seed=0, filled_ul=20_000.0, baud=115_200, speed=1.0, **effects):
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
        )
        return Host(world, port, head, pump)

    return build
