"""What a scenario makes happen: on time, with evidence, and refused where it makes no sense."""

import pytest

from firmware_mock import Scenario, World
from firmware_mock.clinic import Clinic, Order
from firmware_mock.ports import PortUnplugged
from firmware_mock.scenario import ScenarioError
from firmware_mock.station import Station
from protocol import (
    EventCode,
    HelloRequest,
    OnLeaseLoss,
    ProposeContinuous,
    ProposePatientBolusLimits,
    StreamDecoder,
    encode,
)


def station_with(*events):
    return Station.from_rig_file("sim", World(scenario=Scenario("test", {}, events)))


def evidence(station):
    station.world.close()
    return station.world.ledger.open().evidence


def test_a_plug_is_pulled_and_put_back_at_its_hour():
    station = station_with(
        {"at_h": 1, "do": "unplug", "port": "balance"}, {"at_h": 2.0, "do": "plug", "port": "balance"}
    )
    host = station.ports["balance"].host
    station.world.sleep(3599.0)
    host.write(b"SI\r\n")
    station.world.sleep(10.0)
    host.read(0.0)
    with pytest.raises(PortUnplugged):
        host.write(b"SI\r\n")
    station.world.sleep(3600.0)
    host.write(b"SI\r\n")
    assert host.read(1.0).startswith(b"S")
    assert evidence(station)["event.unplug"] == 1


def test_an_overload_lies_on_the_pan_for_its_time():
    station = station_with({"at_h": 1.0, "do": "overload", "mass_g": 150.0, "for_s": 60.0})
    host = station.ports["balance"].host
    station.world.sleep(3610.0)
    host.write(b"SI\r\n")
    assert host.read(1.0) == b"S +\r\n"
    station.world.sleep(70.0)
    host.write(b"SI\r\n")
    assert host.read(1.0).endswith(b" g\r\n")
    assert evidence(station)["event.overload_ended"] == 1


def test_a_pump_without_power_is_dumb_and_comes_back_with_another_boot_id():
    station = station_with({"at_h": 1.0, "do": "power_cut", "off_s": 60.0})
    host = station.ports["pump"].host
    station.world.sleep(3610.0)
    host.read(0.0)
    host.write(encode(HelloRequest(1, 0, 1), seq=1))
    assert host.read(40.0) == b""
    station.world.sleep(60.0)
    host.read(0.0)
    host.write(encode(HelloRequest(1, 0, 1), seq=1))
    [frame] = StreamDecoder().feed(host.read(1.0))
    assert frame.message.boot_id == 2
    seen = evidence(station)
    assert (seen["event.power_cut"], seen["pump.power_lost"]) == (1, 1)


def test_a_stall_holds_the_rotor_for_as_long_as_it_says():
    station = station_with({"at_h": 1.0, "do": "stall", "for_s": 600.0})
    station.world.sleep(3000.0)
    station.head.run(36_000_000_000)
    station.world.sleep(605.0)
    steps = station.head.counted_steps(station.world.now_ns)
    station.head.run(36_000_000_000)
    station.world.sleep(590.0)
    assert station.head.counted_steps(station.world.now_ns) == steps
    station.world.sleep(100.0)
    assert station.head.counted_steps(station.world.now_ns) > steps
    seen = evidence(station)
    assert (seen["event.stall"], seen["event.stall_ended"]) == (1, 1)


def test_a_field_holds_the_rotor_until_it_has_recovered():
    station = station_with({"at_h": 1.0, "do": "mri", "for_s": 600.0, "restart_after_s": 300.0})
    station.world.sleep(3599.0)
    station.head.run(36_000_000_000)
    station.world.sleep(2.0)
    steps = station.head.counted_steps(station.world.now_ns)
    station.world.sleep(890.0)
    assert station.head.counted_steps(station.world.now_ns) == steps
    station.world.sleep(100.0)
    assert station.head.counted_steps(station.world.now_ns) > steps
    seen = evidence(station)
    assert (seen["event.mri"], seen["event.mri_left"], seen["event.mri_ended"]) == (1, 1, 1)


def test_a_rotor_slips_and_a_stroke_changes_for_as_long_as_they_say():
    station = station_with(
        {"at_h": 1.0, "do": "slip", "made_pct": 50.0, "for_h": 1.0},
        {"at_h": 3.0, "do": "change_stroke", "by_pct": 20.0, "for_h": 1.0},
    )
    station.head.run(36_000_000_000)
    steps, volumes_ul = [], []
    for _ in range(5):
        before = station.head.counted_steps(station.world.now_ns), station.line.pumped_mg(station.world.now_ns)
        station.world.sleep(3600.0)
        steps.append(station.head.counted_steps(station.world.now_ns) - before[0])
        volumes_ul.append(station.line.pumped_mg(station.world.now_ns) - before[1])
    assert steps == pytest.approx([100_000, 50_000, 100_000, 100_000, 100_000], abs=2)
    assert [volume / volumes_ul[0] for volume in volumes_ul] == pytest.approx([1.0, 0.5, 1.0, 1.2, 1.0], abs=1e-3)


def test_a_magnet_suspends_infusion_and_hands_it_back_unless_the_switch_sticks():
    for sticks in (0, 1):
        station = station_with({"at_h": 1.0, "do": "telemetry", "for_s": 60.0, "sticks": sticks})
        told = []
        station.firmware.on_event = lambda event, told=told: told.append(event.code)
        clinic = Clinic(station.world, station.ports["pump"], lambda text: None)
        clinic.wants(Order("continuous", lambda id_: ProposeContinuous(id_, 20.0, OnLeaseLoss.CONTINUE)))
        station.world.sleep(3700.0)
        assert told == [EventCode.STARTED, EventCode.SUSPENDED, *([] if sticks else [EventCode.RESUMED])]


def test_a_patient_at_the_station_presses_the_button_and_gets_what_was_allowed():
    station = station_with({"at_h": 1.0, "do": "patient_button"}, {"at_h": 1.1, "do": "patient_button"})
    told = []
    station.firmware.on_event = lambda event: told.append(event.code)
    clinic = Clinic(station.world, station.ports["pump"], lambda text: None)
    clinic.wants(Order("continuous", lambda id_: ProposeContinuous(id_, 20.0, OnLeaseLoss.CONTINUE)))
    clinic.wants(Order("limits", lambda id_: ProposePatientBolusLimits(id_, 1, 10.0, 600.0, 3600, 5, 86_400, 1000.0)))
    station.world.sleep(2.0 * 3600.0)
    assert told == [
        EventCode.STARTED,
        EventCode.LIMITS_WRITTEN,
        EventCode.STARTED,
        EventCode.BOLUS_DONE,
        EventCode.PATIENT_BOLUS_REFUSED,
    ]
    assert evidence(station)["event.patient_button"] == 2


def test_an_event_that_did_not_come_left_no_evidence():
    station = station_with({"at_h": 1.0, "do": "unplug", "port": "pump"})
    station.world.sleep(3000.0)
    assert not evidence(station)["event.unplug"]


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (
            {"at_h": 1.0, "do": "explode"},
            "scenario test: event 1: do = 'explode' is unknown; known: break_part, change_stroke, mri, overload, ",
        ),
        ({"at_h": 1.0}, "do = None is unknown"),
        ({"at_h": 1.0, "do": "unplug", "prt": "pump"}, r"event 1 \(unplug\) has no key 'prt'; known: at_h, do, port"),
        (
            {"at_h": 1.0, "do": "unplug"},
            r"\(unplug\): port = None is no port; known: balance, environment, operator, pump",
        ),
        ({"at_h": 1.0, "do": "plug", "port": "pimp"}, "port = 'pimp' is no port"),
        ({"at_h": 1.0, "do": "stall", "for_s": -1.0}, "for_s = -1.0 must be a number of at least 0"),
        (
            {"at_h": 1.0, "do": "power_cut"},
            r"event 1 \(power_cut\): off_s is missing; it must be a number of at least 0",
        ),
        ({"do": "unplug", "port": "pump"}, "at_h is missing; it must be a number of at least 0"),
        ({"at_h": -1.0, "do": "unplug", "port": "pump"}, r"at_h = -1.0 must be a number of at least 0"),
        ({"at_h": 1.0, "do": "overload", "mass_g": "much"}, "mass_g = 'much' must be a number"),
        ({"at_h": 1.0, "do": "overload", "mass_g": 1.0, "for_s": float("nan")}, "for_s = nan must be a number"),
    ],
)
def test_a_senseless_event_is_refused_by_number_key_and_cure(event, said):
    with pytest.raises(ScenarioError, match=said):
        station_with(event)
