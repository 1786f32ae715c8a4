"""The served mock: real ptys and TCP ports, ending cleanly, and clear about what it cannot have."""

import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import serial
from click.testing import CliRunner

import protocol
from firmware_mock import Scenario, World, serve
from firmware_mock.__main__ import main
from firmware_mock.endpoints import HAVE_PTYS, TcpListener
from firmware_mock.station import Station

DEADLINE_S = 20.0
REPOSITORY = Path(__file__).parents[2]
needs_ptys = pytest.mark.skipif(not HAVE_PTYS, reason="this system has no ptys")


@pytest.fixture
def served(tmp_path):
    """Serves a station from a thread, at free TCP ports, until the test is over."""
    running = []

    def start(*, speed=600.0, events=(), on_lag=lambda lag_s: None, tables=None):
        station = Station.from_rig_file("sim", World(scenario=Scenario("test", tables or {}, events)))
        server = serve.Server(station, speed=speed, links=tmp_path / "links", tcp_base=0, on_lag=on_lag)
        thread = threading.Thread(target=server.run)
        thread.start()
        running.append((server, thread))
        return server

    yield start
    for server, thread in running:
        server.stop()
        thread.join(DEADLINE_S)
        assert not thread.is_alive()
        server.close()
    assert not list(tmp_path.glob("links/*"))


def tcp_to(server, name):
    host, port = server.names[name][-1].removeprefix("socket://").split(":")
    return socket.create_connection((host, int(port)), timeout=DEADLINE_S)


def ask_pump(connection, request, session=None):
    session = session or protocol.HostSession(timeout_s=DEADLINE_S)
    session.request(request, time.monotonic())
    connection.sendall(session.data_to_send())
    while True:
        data = connection.recv(4096)
        assert data, "the server hung up"
        for event in session.receive(data, time.monotonic()):
            if isinstance(event, protocol.Reply):
                return event.message


@pytest.mark.real_port
@needs_ptys
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_the_command_prints_its_ports_serves_them_and_ends_cleanly(tmp_path, ending):
    links = tmp_path / "links"
    command = [sys.executable, "-m", "firmware_mock", "serve", "--rig", "hw_configs/rigs/sim.toml", "--speed", "600"]
    command += ["--links", str(links), "--tcp-base", "0", "--seed", "3"]
    with subprocess.Popen(
        command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            lines = [process.stdout.readline() for _ in range(6)]
            assert lines[0].startswith("SIMULATED, not a medical device: Simulated implant bench, seed 3, 600 x")
            names = {line.split()[0]: line.split()[1:] for line in lines[1:5]}
            assert set(names) == {"pump", "balance", "environment", "operator"}
            assert names["balance"][0] == str(links / "balance")
            with serial.Serial(names["balance"][0], 9600, timeout=DEADLINE_S) as balance:
                balance.write(b"SI\r\n")
                assert balance.read_until(b"\n").endswith(b" g\r\n")
        finally:
            process.send_signal(ending)
            _, complaints = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, complaints) == (0, "")
    assert list(links.iterdir()) == []


@pytest.mark.real_port
def test_a_host_on_tcp_speaks_with_the_pump_and_time_runs_at_the_stated_speed(served):
    server = served(speed=600.0)
    with tcp_to(server, "pump") as pump:
        session = protocol.HostSession(timeout_s=DEADLINE_S)
        asked_s = time.monotonic()
        first = ask_pump(pump, protocol.StatusRequest(), session)
        answered_s = time.monotonic()
        for _ in range(50):
            ask_pump(pump, protocol.StatusRequest(), session)
        assert time.monotonic() - answered_s < 5.0
        while (asked_again_s := time.monotonic()) < answered_s + 1.0:
            ask_pump(pump, protocol.StatusRequest(), session)
        last = ask_pump(pump, protocol.StatusRequest(), session)
        longest_s, shortest_s = time.monotonic() - asked_s, asked_again_s - answered_s
    virtual_s = (last.device_time_us - first.device_time_us) / 1e6
    assert 0.5 * 600.0 * shortest_s < virtual_s <= 600.0 * longest_s


@pytest.mark.real_port
def test_a_port_takes_one_client_and_then_the_next(served):
    server = served()
    with tcp_to(server, "pump") as first:
        assert ask_pump(first, protocol.StatusRequest()).boot_id == 1
        with tcp_to(server, "pump") as second:
            assert second.recv(1) == b""
        assert ask_pump(first, protocol.StatusRequest()).boot_id == 1
    with tcp_to(server, "pump") as third:
        assert ask_pump(third, protocol.StatusRequest()).boot_id == 1


@pytest.mark.real_port
@pytest.mark.parametrize("last_words", [b"", protocol.encode(protocol.Stop(), seq=9)], ids=["silent", "talking"])
def test_a_client_that_comes_back_at_once_is_let_in(served, last_words):
    server = served()
    for _ in range(20):
        with tcp_to(server, "pump") as client:
            assert ask_pump(client, protocol.StatusRequest()).boot_id == 1
            client.sendall(last_words)


@pytest.mark.real_port
@needs_ptys
def test_a_pty_outlives_its_hosts_even_those_that_want_seven_bits_and_parity(served):
    server = served()
    for _ in range(4):
        with serial.Serial(server.names["environment"][0], 4800, bytesize=7, parity="E", timeout=DEADLINE_S) as port:
            port.write(b"SEND\r")
            assert port.read_until(b"\n").startswith(b"P=")
            waited = selectors.DefaultSelector()
            waited.register(port, selectors.EVENT_READ)
            assert waited.select(0.02) == []


@pytest.mark.real_port
def test_a_pulled_plug_hangs_up_on_its_client(served):
    server = served(speed=100_000.0, events=({"at_h": 1.0, "do": "unplug", "port": "pump"},))
    with tcp_to(server, "pump") as pump:
        pump.settimeout(DEADLINE_S)
        while pump.recv(4096):
            pass


@pytest.mark.real_port
def test_a_world_that_cannot_keep_up_says_so_once(served, monkeypatch):
    monkeypatch.setattr(serve, "REPORTED_LAG_S", 0.01)
    lags, told = [], threading.Event()

    def on_lag(lag_s):
        lags.append(lag_s)
        told.set()

    served(
        speed=1e12,
        on_lag=on_lag,
        tables={"pump": {"leak_ul_per_h_per_hpa": 1e-6, "reservoir_pressure_hpa": 1.0}},
    )
    assert told.wait(DEADLINE_S)
    assert lags[0] > 0.01
    assert len(lags) == 1


def run_command(*arguments):
    return CliRunner().invoke(main, ["serve", *arguments])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--rig", "absent.toml"), "error: absent.toml: there is no such rig file"),
        (("--rig", "served"), "not a rig for simulation"),
        (("--speed", "0"), "0.0 is not a number above 0"),
        (("--speed", "nan"), "nan is not a number above 0"),
        (("--tcp-base", "70000"), "70000 is not in the range"),
        (("--tcp-base", "0", "--turnings", "no-such-folder/t.jsonl"), "no-such-folder/t.jsonl cannot be written"),
    ],
)
def test_a_bad_file_or_option_ends_with_2_and_one_clear_sentence(arguments, said):
    result = run_command(*arguments)
    assert result.exit_code == 2
    assert said in result.output


@pytest.mark.real_port
def test_a_tcp_port_in_use_ends_with_3_and_names_it(tmp_path):
    taken = TcpListener(0)
    number = taken.name.rsplit(":", 1)[1]
    result = run_command("--tcp-base", number, "--links", str(tmp_path))
    taken.close()
    assert result.exit_code == 3
    assert f"error: TCP port {number} on 127.0.0.1 cannot be had" in result.output
    assert "give another --tcp-base" in result.output


@pytest.mark.real_port
@needs_ptys
def test_a_file_in_the_way_of_a_link_is_left_alone(tmp_path):
    (tmp_path / "balance").write_text("precious")
    result = run_command("--tcp-base", "0", "--links", str(tmp_path))
    assert result.exit_code == 3
    assert "is in the way of a link to a pty" in result.output
    assert [entry.name for entry in tmp_path.iterdir()] == ["balance"]


@pytest.mark.real_port
@needs_ptys
def test_a_stale_link_is_replaced_and_anothers_is_kept(tmp_path):
    (tmp_path / "pump").symlink_to("/dev/no-such-pty")
    station = Station.from_rig_file("sim", World())
    with serve.Server(station, speed=1.0, links=tmp_path, tcp_base=0, on_lag=lambda lag_s: None):
        assert (tmp_path / "pump").is_char_device()
        (tmp_path / "balance").unlink()
        (tmp_path / "balance").symlink_to("/dev/null")
    assert [entry.name for entry in tmp_path.iterdir()] == ["balance"]
