"""The shipped pump models in a simulated station: those with a rotor run, the others are refused in one sentence."""

import copy

import pytest

import protocol
from firmware_mock import World
from firmware_mock.faults.lone_pump import LonePump
from firmware_mock.station import Station, StationError
from protocol import ProfileError, ProposeContinuous
from protocol.profile import Metering, load_model, model_names

ROTORS = [name for name in model_names() if load_model(name).metering is Metering.PERISTALTIC]
OTHERS = [name for name in model_names() if name not in ROTORS]


def station_with(rig_facts, model):
    rig = copy.deepcopy(rig_facts)
    rig["pump"]["model"] = model
    return Station(rig, World(seed=3))


def ask_pump(station, request, session):
    world, host = station.world, station.ports["pump"].host
    session.request(request, world.monotonic())
    host.write(session.data_to_send())
    while True:
        for event in session.receive(host.read(1.0), world.monotonic()):
            if isinstance(event, protocol.Reply):
                return event.message


@pytest.mark.parametrize("model", ROTORS)
def test_a_pump_with_a_rotor_gives_its_highest_rate_and_says_who_it_is(model, rig_facts):
    station, session = station_with(rig_facts, model), protocol.HostSession()
    profile = load_model(model)
    hello = ask_pump(station, protocol.HelloRequest(1, 0, 1), session)
    assert hello.model == model
    proposal = ask_pump(station, ProposeContinuous(1, profile.rate_max_ul_per_h, 0), session)
    result = ask_pump(station, protocol.Commit(1, proposal.token, proposal.digest), session)
    assert result.state is protocol.CommandState.RUNNING
    began_ns = station.world.now_ns
    station.world.sleep(600.0)
    given_mg = station.line.pumped_mg(station.world.now_ns) - station.line.pumped_mg(began_ns)
    assert given_mg == pytest.approx(profile.rate_max_ul_per_h / 6.0, rel=0.02)


def test_a_rig_on_a_supply_never_runs_its_battery_low(rig_facts):
    station, session = station_with(rig_facts, "bench-stepper"), protocol.HostSession()
    ask_pump(station, protocol.HelloRequest(1, 0, 1), session)
    station.world.sleep(10 * 365 * 86_400.0)
    status = ask_pump(station, protocol.StatusRequest(), session)
    assert status.battery_mv == 5000
    assert not status.alarms & protocol.Alarm.LOW_BATTERY


@pytest.mark.parametrize("model", OTHERS)
def test_a_pump_without_a_rotor_is_refused_in_one_sentence(model, rig_facts):
    with pytest.raises(StationError) as caught:
        station_with(rig_facts, model)
    assert str(caught.value) == (
        f'rig file: [pump] model = "{model}" cannot be simulated: its metering is {load_model(model).metering}, '
        "and only peristaltic pumps are; take one of bench-stepper, external-rotary, implantable-20ml, implantable-40ml"
    )


@pytest.mark.parametrize("model", OTHERS)
def test_a_lone_pump_without_a_rotor_is_refused_in_one_sentence(model):
    with pytest.raises(ProfileError, match=f"^pump model {model} has no steps_per_revolution: its metering is [^;]*$"):
        LonePump(World(), load_model(model))
