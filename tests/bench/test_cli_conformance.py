"""`thecabench protocol conformance`: the table, the JSON, and the exit codes."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result

import driver.clock
import driver.transport
from bench.cli import cli
from bench.conformance import CHECKS
from firmware_mock.station import Station, read_rig, world_for
from protocol import Hello, LeaseRequest, Message, StreamDecoder, encode, encode_frame


class Cable:
    """The host's end of the simulated pump's cable; `damage` puts a stray character into its model's name."""

    def __init__(self, host) -> None:
        self.name, self.damage = host.name, False
        self.write, self.close = host.write, lambda: None
        self._host, self._open_run = host, b""

    @property
    def in_waiting(self) -> int:
        return self._host.in_waiting

    def read(self, timeout_s: float) -> bytes:
        *runs, self._open_run = (self._open_run + self._host.read(timeout_s)).split(b"\0")
        return b"".join(self._passed(run) + b"\0" for run in runs)

    def _passed(self, run: bytes) -> bytes:
        frames = StreamDecoder().feed(b"\0" + run + b"\0")
        if not (self.damage and frames and frames[0].type == Hello.TYPE):
            return run
        payload = frames[0].payload[:51] + b"!" + frames[0].payload[52:]
        return encode_frame(Hello.TYPE, frames[0].seq, payload).strip(b"\0")


class Command:
    """Runs the command; the port `sim` is a simulated pump in virtual time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        rig = read_rig("sim")
        self._monkeypatch = monkeypatch
        self._world = world_for(rig, seed=1)
        self.cable = Cable(Station.from_rig_file(rig, self._world).ports["pump"].host)

    def __call__(self, *arguments: str) -> Result:
        real = driver.transport.open_transport
        with self._monkeypatch.context() as patched:
            patched.setattr(
                driver.transport,
                "open_transport",
                lambda port, *rest: self.cable if port == "sim" else real(port, *rest),
            )
            patched.setattr(driver.clock, "SystemClock", lambda: self._world)
            return CliRunner().invoke(cli, ["protocol", "conformance", "--port", *arguments], catch_exceptions=False)

    def tell(self, request: Message) -> None:
        """Send a request as another host."""
        self.cable.write(encode(request, seq=1))
        self._world.sleep(0.2)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Command:
    return Command(monkeypatch)


def test_a_pump_that_passes_is_a_table_and_exit_0(run) -> None:
    done = run("sim", "--seed", "1")
    assert done.exit_code == 0
    for check in CHECKS:
        assert check.name in done.stdout
    assert "0 FAIL" in done.stdout
    assert "Pump: stopped" in done.stdout
    assert "it moves fluid, and --may-dose" in " ".join(done.stdout.split())


def test_the_outcome_as_json(run) -> None:
    done = run("sim", "--json", "--may-dose", "--seed", "2")
    assert done.exit_code == 0
    said = json.loads(done.stdout)
    assert (said["passed"], said["seed"], said["serial_number"]) == (True, 2, "SIM-P-0001")
    assert [check["name"] for check in said["checks"]] == [check.name for check in CHECKS]
    assert sum(said["counts"].values()) == len(CHECKS)


def test_a_failure_is_exit_1_with_what_was_found_and_its_bytes(run) -> None:
    run.cable.damage = True
    done = run("sim", "--seed", "1")
    assert done.exit_code == 1
    assert "FAIL hello-layout: model is not padded with zeros at its end" in done.stdout
    assert "  > 00 " in done.stdout
    assert "  < 00 " in done.stdout
    said = json.loads(run("sim", "--seed", "1", "--json").stdout)
    (failed,) = [check for check in said["checks"] if check["verdict"] == "FAIL"]
    assert failed["name"] == "hello-layout"
    assert {part["from"] for part in failed["exchanged"]} == {"host", "device"}
    assert all(bytes.fromhex(part["hex"]) for part in failed["exchanged"])


def test_a_port_that_does_not_exist_is_exit_3(run, tmp_path) -> None:
    done = run(str(tmp_path / "no-such-port"))
    assert done.exit_code == 3
    assert "there is no such port" in done.stderr
    assert json.loads(run(str(tmp_path / "no-such-port"), "--json").stdout)["error"]


def test_a_pump_that_somebody_controls_is_exit_2(run) -> None:
    run.tell(LeaseRequest(0, 60_000, "another bench"))
    done = run("sim")
    assert done.exit_code == 2
    assert "another bench holds the control lease" in done.stderr
