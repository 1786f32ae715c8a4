"""A rig whose pump has a key: the simulated one has the test key, a served one finds its own where the file says."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.rig import Rig, open_rig
from bench.toml_file import FileError
from driver import Continuous, Journal, KeyFile, NotAuthenticated, TestKeyRefused
from firmware_mock import serve
from firmware_mock.endpoints import HAVE_PTYS
from firmware_mock.station import Station, read_rig, world_for
from protocol import TEST_KEY

KEY = bytes(range(16))
DEADLINE_S = 20.0
SERIAL_NUMBER = "SIM-P-0001"

needs_ptys = pytest.mark.skipif(not HAVE_PTYS, reason="this system has no ptys")

Opened = Callable[..., Rig]


def test_a_simulated_rig_is_authenticated_with_the_test_key(tmp_path: Path) -> None:
    with open_rig("sim") as rig:
        assert rig.pump.is_authenticated
        rig.pump.start(Continuous(20.0))
        rig.pump.stop()


@pytest.fixture
def served_rig(tmp_path: Path) -> Iterator[Opened]:
    """Serves the simulated rig with a key, and opens it as any other rig, with what stands in its file as `key`."""
    facts = read_rig("sim")
    running: list[tuple[serve.Server, threading.Thread]] = []

    def open_it(line: str, *, key: bytes = KEY) -> Rig:
        station = Station.from_rig_file(facts, world_for(facts, seed=1), key=key)
        server = serve.Server(station, speed=1.0, links=tmp_path / "ports", tcp_base=0, on_lag=lambda _: None)
        thread = threading.Thread(target=server.run)
        thread.start()
        running.append((server, thread))
        text = Path("hw_configs/rigs/served.toml").read_text().replace("/tmp/thecabench", str(tmp_path / "ports"))
        text = text.replace("speed = 600.0", "speed = 1.0")
        text = text.replace(f'serial_number = "{SERIAL_NUMBER}"\n', f'serial_number = "{SERIAL_NUMBER}"\n{line}\n')
        (tmp_path / "rig.toml").write_text(text)
        return open_rig(tmp_path / "rig.toml", journal=Journal.in_directory(tmp_path / "journal"))

    yield open_it
    for server, thread in running:
        server.stop()
        thread.join(DEADLINE_S)
        server.close()


@pytest.mark.real_port
@needs_ptys
def test_the_key_is_found_in_the_file_beside_the_rig_file(served_rig: Opened, tmp_path: Path) -> None:
    KeyFile(tmp_path / "keys.toml").replace(SERIAL_NUMBER, [KEY])
    with served_rig('key = "keys.toml"') as rig:
        assert rig.pump.is_authenticated
        rig.pump.stop()


@pytest.mark.real_port
@needs_ptys
def test_without_its_key_the_pump_of_a_rig_is_read_and_not_started(served_rig: Opened, tmp_path: Path) -> None:
    with served_rig('key = "keys.toml"') as rig:
        assert rig.pump.status().boot_id == 1
        with pytest.raises(NotAuthenticated, match=r"keys\.toml has none for it"):
            rig.pump.start(Continuous(20.0))


@pytest.mark.real_port
@needs_ptys
def test_the_test_key_opens_no_served_pump(served_rig: Opened, tmp_path: Path) -> None:
    KeyFile(tmp_path / "keys.toml").replace(SERIAL_NUMBER, [TEST_KEY])
    with pytest.raises(TestKeyRefused, match="which is public and opens nothing but a pump simulated in the same"):
        served_rig('key = "keys.toml"', key=TEST_KEY)


@pytest.mark.real_port
@needs_ptys
def test_a_rig_file_of_real_ports_cannot_ask_for_the_test_key(served_rig: Opened) -> None:
    with pytest.raises(FileError, match='key = "test" belongs to a rig file whose ports begin with sim:'):
        served_rig('key = "test"')
