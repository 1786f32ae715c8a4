"""`thecabench pair` and `keys`, against the mock as it is served: a key that works, and no key on the screen."""

import json
import os
import stat
import threading

import pytest
from click.testing import CliRunner

from bench.cli import cli
from driver import Continuous, DowngradeRefused, Journal, KeyFile, NotAuthenticated, Pump
from firmware_mock import Scenario, World, serve
from firmware_mock.endpoints import HAVE_PTYS
from firmware_mock.station import Station
from protocol import key_check

DEADLINE_S = 20.0
KEY, OLD = bytes(range(16)), bytes(range(16, 32))

pytestmark = [pytest.mark.real_port, pytest.mark.skipif(not HAVE_PTYS, reason="this system has no ptys")]


@pytest.fixture
def key_file(tmp_path):
    return tmp_path / "keys.toml"


@pytest.fixture
def served(tmp_path):
    """Serves a pump, with a key or without, in pairing mode or not; gives where its pty is."""
    running = []

    def start(*, key=None, pairing=False):
        station = Station.from_rig_file("sim", World(scenario=Scenario("test", {}, ())), key=key)
        if pairing:
            station.firmware.press_pairing_button()
        server = serve.Server(station, speed=1.0, links=tmp_path / "links", tcp_base=0, on_lag=lambda _: None)
        thread = threading.Thread(target=server.run)
        thread.start()
        running.append((server, thread))
        return server.names["pump"][0]

    yield start
    for server, thread in running:
        server.stop()
        thread.join(DEADLINE_S)
        assert not thread.is_alive()
        server.close()


@pytest.fixture
def opened(key_file, tmp_path):
    def open_it(port, store=None):
        journal = Journal.in_directory(tmp_path / "journal")
        return Pump.open(port, key=store if store is not None else KeyFile(key_file), journal=journal)

    return open_it


def run(*arguments):
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def test_a_pump_is_paired_and_then_takes_orders_from_this_key_alone(served, key_file, opened, tmp_path):
    port = served(pairing=True)
    ran = run("pair", "--port", port, "--key-file", key_file, "--json")
    assert ran.exit_code == 0, ran.output
    said = json.loads(ran.output)
    (key,) = KeyFile(key_file).keys("SIM-P-0001")
    assert said == {
        "serial_number": "SIM-P-0001",
        "key_check": key_check(key, "SIM-P-0001").hex(),
        "kept_in": str(key_file),
    }
    if os.name != "nt":
        assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    with opened(port) as pump:
        assert pump.is_authenticated
        pump.start(Continuous(20.0))
        pump.stop()
    with opened(port, KeyFile(tmp_path / "none.toml")) as pump:
        assert pump.status().boot_id == 1
        with pytest.raises(NotAuthenticated):
            pump.stop()


def test_a_pump_outside_pairing_mode_takes_no_key_and_nothing_is_kept(served, key_file, opened):
    ran = run("pair", "--port", served(), "--key-file", key_file)
    assert ran.exit_code == 3
    assert "pump SIM-P-0001 did not take the key and has none: it is not in pairing mode" in ran.output
    assert KeyFile(key_file).keys("SIM-P-0001") == ()


def test_a_pump_gets_another_key_and_the_old_one_opens_it_no_more(served, key_file):
    KeyFile(key_file).replace("SIM-P-0001", [OLD])
    port = served(key=OLD, pairing=True)
    assert run("pair", "--port", port, "--key-file", key_file).exit_code == 0
    (key,) = KeyFile(key_file).keys("SIM-P-0001")
    assert key != OLD
    again = run("pair", "--port", port, "--key-file", key_file)
    assert again.exit_code == 3
    assert "goes on with the old one: it is not in pairing mode" in again.output
    assert KeyFile(key_file).keys("SIM-P-0001") == (key,)


def test_another_pump_than_the_one_named_gets_no_key(served, key_file):
    ran = run("pair", "--port", served(pairing=True), "--serial", "SIM-P-0002", "--key-file", key_file)
    assert ran.exit_code == 3
    assert "SIM-P-0001 answers here, SIM-P-0002 is expected" in ran.output
    assert not key_file.exists()


def test_the_list_shows_checks_and_never_a_key(key_file):
    store = KeyFile(key_file)
    store.replace("P-1", [KEY])
    store.replace("P-2", [KEY, OLD])
    text = run("keys", "--key-file", key_file)
    machine = run("keys", "--key-file", key_file, "--json")
    assert text.exit_code == machine.exit_code == 0
    checks = [key_check(KEY, "P-1").hex(), key_check(KEY, "P-2").hex(), key_check(OLD, "P-2").hex()]
    assert json.loads(machine.output) == {
        "kept_in": str(key_file),
        "pumps": [
            {"serial_number": "P-1", "key_checks": checks[:1]},
            {"serial_number": "P-2", "key_checks": checks[1:]},
        ],
    }
    for check in checks:
        assert check in text.output
    assert "pairing not finished" in text.output
    for key in (KEY, OLD):
        assert key.hex() not in text.output + machine.output


def test_a_key_is_forgotten_on_demand_and_a_pump_without_one_is_then_open_again(served, key_file, opened):
    KeyFile(key_file).replace("SIM-P-0001", [OLD])
    port = served()
    with pytest.raises(DowngradeRefused):
        opened(port)
    assert run("keys", "--forget", "SIM-P-0001", "--key-file", key_file).exit_code == 0
    with opened(port) as pump:
        assert not pump.is_authenticated
    missing = run("keys", "--forget", "SIM-P-0001", "--key-file", key_file)
    assert missing.exit_code == 2
    assert "has no key of a pump SIM-P-0001" in missing.output


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
@pytest.mark.parametrize("command", [["keys"], ["pair", "--port", "PORT"]])
def test_a_file_of_keys_that_others_may_read_ends_with_the_command_that_mends_it(served, key_file, command):
    KeyFile(key_file).replace("SIM-P-0001", [OLD])
    key_file.chmod(0o644)
    arguments = [served(pairing=True) if part == "PORT" else part for part in command]
    ran = run(*arguments, "--key-file", key_file)
    assert ran.exit_code == 2
    assert f"chmod 600 {key_file}" in ran.output
    key_file.chmod(0o600)
    assert KeyFile(key_file).keys("SIM-P-0001") == (OLD,)


def test_an_interrupted_pairing_says_that_no_key_is_lost(served, key_file, monkeypatch):
    KeyFile(key_file).replace("SIM-P-0001", [OLD])

    def given(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("driver.pairing._given", given)
    ran = run("pair", "--port", served(key=OLD, pairing=True), "--key-file", key_file)
    assert ran.exit_code == 130
    assert "any key that the pump may have been given is kept here: pair it again to be sure" in ran.output
    assert KeyFile(key_file).keys("SIM-P-0001")[1] == OLD


def test_file_and_key_ring_at_once_are_a_usage_error(key_file):
    assert run("keys", "--key-file", key_file, "--keyring").exit_code == 2
