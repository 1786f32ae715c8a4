"""`thecabench stop` against the simulated pump, as bytes: it stands, whatever is wrong beside the line."""

from __future__ import annotations

import json
import threading

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

import driver.clock
import driver.transport
from bench.cli import cli
from bench.cli_stop import MAY_DELIVER
from driver import Continuous, Journal, JournalLocked, KeyFile, KeysInMemory, Pump
from driver.keys import KeyringStore
from firmware_mock import Scenario, World, serve
from firmware_mock.endpoints import HAVE_PTYS
from firmware_mock.station import Station, read_rig, world_for
from protocol import TEST_KEY, Mode, Status, Stop, Stopped, StreamDecoder, encode

DEADLINE_S = 20.0
SERIAL = "SIM-P-0001"
KEY, ANOTHER = bytes(range(16)), bytes(range(16, 32))


class Cable:
    """The host's end of the simulated pump's cable: `heard` is given each frame that the host sends, `told`, where
    there is one, each message that the pump sends, and gives the one that arrives.
    """

    def __init__(self, host) -> None:
        self.name, self.is_simulated, self.is_closed = host.name, True, False
        self.heard, self.told = lambda frame: None, None
        self._host, self._sent, self._said = host, StreamDecoder(), StreamDecoder()

    @property
    def in_waiting(self) -> int:
        return self._host.in_waiting

    def write(self, data: bytes) -> None:
        for frame in self._sent.feed(data):
            self.heard(frame)
        self._host.write(data)

    def read(self, timeout_s: float) -> bytes:
        data = self._host.read(timeout_s)
        if self.told is None:
            return data
        return b"".join(encode(self.told(frame.message), seq=frame.seq) for frame in self._said.feed(data))

    def close(self) -> None:
        self.is_closed = True


class Bench:
    """A pump with or without a key, a host that may dose there, and the command at the same port, called `sim`."""

    def __init__(self, monkeypatch, tmp_path, key) -> None:
        rig = read_rig("sim")
        self.world = world_for(rig, seed=1)
        self.station = Station.from_rig_file(rig, self.world, key=key)
        self.cable = Cable(self.station.ports["pump"].host)
        self.key = key
        self._journal = Journal.in_directory(tmp_path / "journal")
        monkeypatch.setattr(driver.transport, "open_transport", lambda port, settings: self.cable)
        monkeypatch.setattr(driver.clock, "SystemClock", lambda: self.world)

    def __call__(self, *arguments):
        self.cable.is_closed = False
        ran = CliRunner().invoke(cli, ["stop", "--port", "sim", *map(str, arguments)], catch_exceptions=False)
        assert self.cable.is_closed
        return ran

    def start(self) -> None:
        """Begin a therapy, as another host that then says no more."""
        key = self.key if self.key is not None else KeysInMemory()
        host = self.station.ports["pump"].host
        Pump.open(host, clock=self.world, journal=self._journal, key=key, host_nonce=1).start(Continuous(200.0))
        assert self.is_running

    def close(self) -> None:
        self._journal.release()
        self.world.close()

    @property
    def is_running(self) -> bool:
        return self.station.head.steps_per_s(self.world.now_ns) > 0


@pytest.fixture
def bench(monkeypatch, tmp_path):
    """Makes a bench; this user's own folders are empty ones."""
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "APPDATA", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    made = []

    def make(key=None):
        made.append(Bench(monkeypatch, tmp_path, key))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def key_file(tmp_path):
    return tmp_path / "keys.toml"


def test_a_running_pump_stands_and_one_sentence_says_so(bench):
    pump = bench()
    pump.start()
    ran = pump()
    assert ran.exit_code == 0, ran.output
    assert not pump.is_running
    steps = pump.station.head.counted_steps(pump.world.now_ns)
    assert ran.stdout.startswith(f"Pump {SERIAL} confirmed STOP at {steps} steps, ")
    assert ran.stdout.endswith(" s after its boot; mode: STOPPED\n")
    assert ran.stderr == ""


def test_a_pump_that_stands_confirms_it_too_and_the_outcome_as_json_has_the_figures(bench):
    pump = bench()
    ran = pump("--json", "--serial", SERIAL)
    assert ran.exit_code == 0
    said = json.loads(ran.stdout)
    steps = pump.station.head.counted_steps(pump.world.now_ns)
    assert 0 < said.pop("device_time_us") < 10_000_000
    assert said == {
        "serial_number": SERIAL,
        "confirmed": True,
        "authenticated": False,
        "mode": "STOPPED",
        "steps": steps,
        "delivered_ul": 0.0,
        "remark": None,
    }


def test_another_hosts_locked_journal_and_lease_do_not_keep_it_back_and_stay_as_they_were(bench, tmp_path):
    pump = bench()
    journal = Journal.in_default_directory()
    with Pump.open(pump.cable, clock=pump.world, journal=journal, key=KeysInMemory(), host_nonce=3) as holder:
        holder.take_control(600.0, holder="another bench")
        holder.start(Continuous(200.0))
        (path,) = (tmp_path / "home").rglob(f"{SERIAL}*.jsonl")
        before = path.read_bytes()
        with pytest.raises(JournalLocked):
            Journal.in_default_directory().bind(SERIAL)
        assert pump("--json").exit_code == 0
        assert not pump.is_running
        assert path.read_bytes() == before


def test_a_disk_on_which_nothing_can_be_read_or_written_does_not_keep_it_back(bench, tmp_path, monkeypatch):
    pump = bench()
    pump.start()
    (tmp_path / "home").write_text("where every folder of this user's would be")

    def no_room(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("click.echo", no_room)
    ran = pump()
    assert ran.exit_code == 0
    assert not pump.is_running


@pytest.mark.parametrize("content", ["no TOML", f'"{SERIAL}" = "no key"\n'])
def test_keys_that_cannot_be_read_do_not_keep_it_back_from_a_pump_without_one(bench, key_file, content):
    pump = bench()
    pump.start()
    key_file.write_text(content)
    key_file.chmod(0o600)
    ran = pump("--key-file", key_file)
    assert ran.exit_code == 0
    assert not pump.is_running
    assert f"confirmed STOP at {pump.station.head.counted_steps(pump.world.now_ns)} steps" in ran.stdout
    assert f"Remark: STOP went out in the open, since no key could be used: {key_file}: " in ran.stderr


def test_a_key_ring_that_falls_over_does_not_keep_it_back_either(bench, monkeypatch):
    def falls(*_):
        raise RuntimeError("no bus")

    monkeypatch.setattr(KeyringStore, "keys", falls)
    pump = bench()
    pump.start()
    ran = pump("--keyring", "--json")
    assert (ran.exit_code, pump.is_running) == (0, False)
    assert json.loads(ran.stdout)["remark"].endswith("no key could be used: no bus")


def test_a_pump_that_has_a_key_is_stopped_with_it(bench, key_file):
    pump = bench(KEY)
    pump.start()
    KeyFile(key_file).replace(SERIAL, [KEY])
    ran = pump("--key-file", key_file, "--json")
    assert (ran.exit_code, pump.is_running) == (0, False)
    assert json.loads(ran.stdout)["authenticated"] is True


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        (None, "has none for it, so it was not sent"),
        ({SERIAL: ANOTHER}, "does not prove the key"),
        ("no TOML", "it takes STOP only from who has its key, and "),
    ],
)
def test_a_pump_that_has_a_key_is_not_stopped_without_it_and_the_sentence_says_what_to_do(bench, key_file, keys, why):
    pump = bench(KEY)
    pump.start()
    if isinstance(keys, dict):
        KeyFile(key_file).replace(SERIAL, list(keys.values()))
    elif keys is not None:
        key_file.write_text(keys)
        key_file.chmod(0o600)
    ran = pump("--key-file", key_file)
    assert (ran.exit_code, pump.is_running) == (3, True)
    assert ran.stdout == ""
    (sentence,) = ran.stderr.splitlines()
    assert why in sentence
    assert f"STOP is not confirmed ({sentence.partition('(')[2].partition(') and the pump may')[0]}) and" in sentence
    assert MAY_DELIVER in sentence
    assert KEY.hex() not in sentence
    assert ANOTHER.hex() not in sentence


def test_where_a_key_is_here_and_none_asked_for_it_stands_and_nothing_claims_that_this_is_proven(bench, key_file):
    pump = bench()
    pump.start()
    KeyFile(key_file).replace(SERIAL, [KEY])
    ran = pump("--key-file", key_file, "--json")
    assert (ran.exit_code, pump.is_running) == (3, False)
    said = json.loads(ran.stdout)["error"]
    assert "STOP was answered in the open, nothing proves by whom" in said
    assert said.endswith(f"{MAY_DELIVER}; if the pump was given out without a key, forget the one here")


def test_the_public_test_key_beside_a_real_port_does_not_keep_it_back(bench, key_file):
    pump = bench()
    pump.start()
    pump.cable.is_simulated = False
    KeyFile(key_file).replace(SERIAL, [TEST_KEY])
    ran = pump("--key-file", key_file)
    assert (ran.exit_code, pump.is_running) == (0, False)
    assert "has the test key for pump" in ran.stderr


def test_another_pump_than_the_one_named_is_left_alone(bench):
    pump = bench()
    pump.start()
    ran = pump("--serial-number", "SIM-P-0002")
    assert (ran.exit_code, pump.is_running) == (3, True)
    assert f"(pump {SERIAL} answers here, SIM-P-0002 is expected) and {MAY_DELIVER}; check cables" in ran.stderr


def test_a_line_on_which_nothing_answers_is_told_with_what_to_do(bench):
    pump = bench()
    pump.start()
    pump.station.ports["pump"].on_receive = lambda data: None
    ran = pump()
    assert (ran.exit_code, pump.is_running) == (3, True)
    assert f"STOP is not confirmed (no pump answered within 5 s) and {MAY_DELIVER}; check that it is on" in ran.stderr


def test_a_stop_that_is_not_answered_is_told_as_unconfirmed(bench):
    pump = bench()
    pump.start()
    port = pump.station.ports["pump"]
    pump.cable.heard = lambda frame: setattr(port, "on_receive", None) if frame.type == Stop.TYPE else None
    ran = pump("--json")
    assert (ran.exit_code, pump.is_running) == (3, True)
    assert "STOP is not confirmed" in json.loads(ran.stdout)["error"]
    assert "close the stopcock" in json.loads(ran.stdout)["error"]


def test_a_pump_that_runs_on_behind_its_answer_is_not_believed(bench):
    pump = bench()

    def runs(message):
        return replace(message, mode=Mode.CONTINUOUS) if isinstance(message, Status) else message

    pump.cable.told = runs
    ran = pump()
    assert ran.exit_code == 3
    assert (
        f"STOP is not confirmed (the pump answers it and says that it runs, in mode CONTINUOUS) and {MAY_DELIVER}"
        in (ran.stderr)
    )


def test_a_line_that_breaks_behind_the_answer_does_not_take_the_confirmation_back(bench):
    pump = bench()
    pump.start()
    told = []
    port = pump.station.ports["pump"]

    def breaks(message):
        if isinstance(message, Stopped):
            told.append(message)
            port.on_receive = None
        return message

    pump.cable.told = breaks
    ran = pump("--json")
    assert told
    assert (ran.exit_code, pump.is_running) == (0, False)
    assert json.loads(ran.stdout)["mode"] is None


def test_ctrl_c_before_it_is_confirmed_says_so(bench):
    pump = bench()
    pump.start()

    def pressed(frame):
        raise KeyboardInterrupt

    pump.cable.heard = pressed
    ran = pump()
    assert (ran.exit_code, pump.is_running) == (130, True)
    assert f"interrupted before STOP was confirmed, and {MAY_DELIVER}" in ran.stderr


def test_a_port_that_does_not_exist_is_exit_3_with_what_to_do_at_the_pump(tmp_path):
    ran = CliRunner().invoke(cli, ["stop", "--port", str(tmp_path / "no-such-port")])
    assert ran.exit_code == 3
    assert "there is no such port" in ran.stderr
    assert MAY_DELIVER in ran.stderr


def test_file_and_key_ring_at_once_are_a_usage_error(key_file):
    assert CliRunner().invoke(cli, ["stop", "--port", "x", "--key-file", str(key_file), "--keyring"]).exit_code == 2


def test_help_says_that_it_is_for_the_bench_alone():
    assert "not for clinical use" in " ".join(CliRunner().invoke(cli, ["stop", "--help"]).stdout.split())


@pytest.mark.real_port
@pytest.mark.skipif(not HAVE_PTYS, reason="this system has no ptys")
def test_a_pump_at_a_pty_is_stopped(tmp_path, key_file):
    station = Station.from_rig_file("sim", World(scenario=Scenario("test", {}, ())))
    server = serve.Server(station, speed=1.0, links=tmp_path / "links", tcp_base=0, on_lag=lambda _: None)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        ran = CliRunner().invoke(cli, ["stop", "--port", str(server.names["pump"][0]), "--key-file", str(key_file)])
    finally:
        server.stop()
        thread.join(DEADLINE_S)
        server.close()
    assert ran.exit_code == 0, ran.output
    assert f"Pump {SERIAL} confirmed STOP" in ran.stdout
