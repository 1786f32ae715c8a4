"""A station from a rig file: everything wired, what is wrong named, the same again for the same seed."""

import copy

import pytest

import protocol
from firmware_mock import Scenario, World
from firmware_mock.physics.certificates import RigFactMissing
from firmware_mock.scenario import ScenarioError
from firmware_mock.station import Station, StationError, read_rig, world_for
from protocol import ProposeContinuous


def ask_pump(station, request, session):
    world, host = station.world, station.ports["pump"].host
    session.request(request, world.monotonic())
    host.write(session.data_to_send())
    while True:
        for event in session.receive(host.read(1.0), world.monotonic()):
            if isinstance(event, protocol.Reply):
                return event.message


def infuse(station, rate_ul_per_h):
    session = protocol.HostSession()
    proposal = ask_pump(station, ProposeContinuous(1, rate_ul_per_h, 0), session)
    ask_pump(station, protocol.Commit(1, proposal.token, proposal.digest), session)


def ask_line(station, name, line):
    """What a device that answers by lines says."""
    host, answer = station.ports[name].host, b""
    host.write(line)
    while not answer.endswith(b"\n"):
        data = host.read(20.0)
        assert data, f"{name} does not answer {line!r}"
        answer += data
    return answer.decode()


def weight_g(station):
    status, kind, value, unit = ask_line(station, "balance", b"SI\r\n").split()
    assert (status, unit) == ("S", "g"), kind
    return float(value)


def a_calibration_day(seed):
    """A short session over all four cables."""
    rig = read_rig("sim")
    station = Station.from_rig_file(rig, world_for(rig, seed=seed))
    infuse(station, 1000.0)
    weights = [weight_g(station)]
    station.world.sleep(1800.0)
    weights.append(weight_g(station))
    ask_line(station, "operator", b"DO 1 close-stopcock\n")
    ask_line(station, "environment", b"SEND\r")
    station.world.sleep(600.0)
    weights.append(weight_g(station))
    station.world.close()
    return weights, station.world.trace_hash(), station.world.ledger.open()


def test_what_the_pump_gives_arrives_on_the_balance():
    weights, _, truth = a_calibration_day(seed=1)
    assert 1e3 * (weights[1] - weights[0]) == pytest.approx(truth.realised_volume_ul(0, int(1800e9)), rel=0.02)
    assert weights[2] - weights[1] < 0.02
    assert truth.evidence["line.stopcock"] == 1


def test_the_same_seed_gives_the_same_trace_and_truth_and_another_seed_another():
    first, again, other = a_calibration_day(1), a_calibration_day(1), a_calibration_day(2)
    assert first == again
    assert other[1] != first[1]
    assert other[2].facts["pump.unit_error_pct"] != first[2].facts["pump.unit_error_pct"]


def test_every_effect_of_the_good_laboratory_acts_on_a_calibration_day():
    _, _, truth = a_calibration_day(seed=1)
    wanted = {
        "pump.unit_error",
        "pump.seat",
        "pump.pulsation",
        "pump.back_pressure",
        "pump.leak",
        "pump.wear",
        "pump.creep",
        "pump.temperature",
        "pump.clock_error",
        "line.compliance",
        "line.trapped_expansion",
    }
    assert wanted <= set(truth.evidence)


def test_certificate_errors_of_pump_and_line_are_in_the_ledger():
    _, _, truth = a_calibration_day(seed=1)
    for fact in ("pump.head_thermometer_error_k", "line.trapped_volume_error_ul", "liquid.relative_density_error"):
        assert truth.facts[fact] != 0.0


def test_a_rig_may_have_no_thermohygrometer_and_an_operator_at_the_keyboard():
    rig = read_rig("sim")
    del rig["environment"]
    rig["operator"] = {"kind": "console", "name": "A. Person"}
    assert set(Station.from_rig_file(rig, World()).ports) == {"pump", "balance"}


def test_a_scenario_beside_a_rig_file_is_found(tmp_path):
    text = (tmp_path / "own.toml", 'name = "own"\n[pump]\nunit_error_pct = 5.0\n')
    text[0].write_text(text[1])
    rig_file = tmp_path / "rig.toml"
    rig_file.write_text('[simulation]\nscenario = "own.toml"\n')
    assert world_for(read_rig(rig_file)).scenario.tables == {"pump": {"unit_error_pct": 5.0}}


def changed(rig, *path, to):
    rig = copy.deepcopy(rig)
    table = rig
    for key in path[:-1]:
        table = table[key]
    table[path[-1]] = to
    return rig


@pytest.mark.parametrize(
    ("path", "to", "error", "said"),
    [
        (
            ("pump", "port"),
            "/dev/ttyUSB0",
            StationError,
            r'\[pump\] port = "/dev/ttyUSB0" is not simulated; "sim:pump"',
        ),
        (("pump", "port"), "sim:../x", StationError, r'\[pump\] port = "sim:../x" is not simulated'),
        (("balance", "port"), "sim:pump", StationError, r'\[balance\] port = "sim:pump" is taken by another device'),
        (("pump", "serial_number"), "S" * 25, StationError, r'serial_number = "S{25}" is too long; 24 bytes fit'),
        (("pump", "model"), "no-such", protocol.ProtocolError, "no-such"),
        (("simulation", "date"), "today", StationError, r"\[simulation\] date is 'today'; state the day it plays on"),
        (("tubing", "time_constant_s"), "slow", RigFactMissing, r"\[tubing\] time_constant_s is 'slow'"),
    ],
)
def test_what_cannot_be_simulated_is_named(path, to, error, said):
    with pytest.raises(error, match=said):
        Station.from_rig_file(changed(read_rig("sim"), *path, to=to), World())


def test_a_rig_file_that_is_missing_broken_or_real_is_named(tmp_path):
    with pytest.raises(StationError, match=r"absent\.toml: there is no such rig file"):
        read_rig(tmp_path / "absent.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("[pump\n")
    with pytest.raises(StationError, match=r"broken\.toml: not valid TOML"):
        read_rig(broken)
    with pytest.raises(StationError, match=r"served\.toml: not a rig for simulation: .* take .*sim\.toml"):
        read_rig("served")


def test_an_unknown_scenario_table_is_refused():
    with pytest.raises(ScenarioError, match=r"no component reads \[pomp\]"):
        Station.from_rig_file("sim", World(scenario=Scenario("test", {"pomp": {}})))


def test_a_pump_that_had_served_before_the_scenario_began_ends_its_service_that_much_sooner():
    rig = read_rig("sim")
    world = World(scenario=Scenario("old", {"pump": {"implanted_days_before": 7 * 365.25}}))
    station = Station.from_rig_file(rig, world)
    world.sleep(1.0)
    assert station.firmware.inside.nvram.memory.conditions.service_over
