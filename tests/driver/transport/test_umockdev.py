"""The driver through the real libusb: umockdev lends it a bus on which the served firmware is a USB device.

Three processes: the mock firmware on TCP, `umockdev_bus.py` (the system's Python) as kernel and cable, and
`umockdev_host.py` (this Python, under umockdev's preload) as the program that uses the driver.
"""

from __future__ import annotations

import contextlib
import ctypes.util
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from firmware_mock.usb_device import UsbDevice

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
SYSTEM_PYTHON = "/usr/bin/python3"
PRELOAD = "libumockdev-preload.so.0"
PACKAGES = "umockdev, libusb-1.0-0, python3-gi, gir1.2-umockdev-1.0"
SERIAL_NUMBER = "SIM-P-0001"


def missing() -> str:
    """What this machine lacks for these tests; empty where it has all."""
    if not sys.platform.startswith("linux"):
        return "umockdev is a Linux thing"
    if importlib.util.find_spec("usb") is None:
        return "pyusb is not installed (extra “usb”)"
    if ctypes.util.find_library("usb-1.0") is None or shutil.which("umockdev-run") is None:
        return f"no libusb or no umockdev here; Debian packages {PACKAGES}"
    probe = "import gi; gi.require_version('UMockdev', '1.0'); from gi.repository import UMockdev"
    done = subprocess.run([SYSTEM_PYTHON, "-c", probe], capture_output=True, check=False)
    return f"{SYSTEM_PYTHON} cannot import UMockdev; Debian packages {PACKAGES}" if done.returncode else ""


pytestmark = [pytest.mark.real_port, pytest.mark.timeout(40)]


@contextlib.contextmanager
def running(command: list[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, **options) as it:
        try:
            yield it
        finally:
            it.kill()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    text = process.stdout.readline().strip()
    assert text, f"{process.args} ended early"
    return text


def say(process: subprocess.Popen[str], text: str) -> None:
    assert process.stdin is not None
    process.stdin.write(text + "\n")
    process.stdin.flush()


@pytest.fixture(scope="module", autouse=True)
def everything_needed() -> None:
    if lacking := missing():
        pytest.skip(lacking)


@pytest.fixture
def firmware(tmp_path: Path) -> Iterator[tuple[str, int]]:
    """The served firmware; gives the pump's TCP address."""
    command = [sys.executable, "-m", "firmware_mock", "serve", "--tcp-base", "0", "--links", str(tmp_path / "links")]
    with running(command) as process:
        while not (text := line(process)).startswith("pump"):
            pass
        host, _, port = text.rpartition("socket://")[2].partition(":")
        yield host, int(port)


@pytest.fixture
def bus(firmware: tuple[str, int]) -> Iterator[subprocess.Popen[str]]:
    device = UsbDevice(SERIAL_NUMBER)
    facts = {
        "descriptors": (device.device_descriptor + b"".join(device.configuration_descriptors)).hex(),
        "strings": ["", "Thecabench", "SIMULATED infusion pump", SERIAL_NUMBER],
        "peer": firmware,
    }
    command = [SYSTEM_PYTHON, str(HERE / "umockdev_bus.py"), json.dumps(facts)]
    with running(command, env={**os.environ, "LD_PRELOAD": PRELOAD}) as process:
        yield process


@pytest.fixture
def host(bus: subprocess.Popen[str], tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    folder = line(bus)
    told(bus, "plug")
    url = f"usb:1209:0001:{SERIAL_NUMBER}"
    environment = {**os.environ, "LD_PRELOAD": PRELOAD, "UMOCKDEV_DIR": folder, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(HERE / "umockdev_host.py"), url, str(tmp_path)]
    try:
        with running(command, env=environment) as process:
            yield process
    finally:
        shutil.rmtree(folder)


def told(bus: subprocess.Popen[str], command: str) -> None:
    say(bus, command)
    assert line(bus) == "done"


def test_the_driver_finds_uses_loses_and_finds_again_a_pump_on_usb(bus, host):
    def step(name: str) -> dict[str, Any]:
        facts = json.loads(line(host))
        assert facts.pop("step") == name
        return facts

    assert step("enumerated") == {"ports": [f"usb:1209:0001:{SERIAL_NUMBER}"]}
    assert step("hello")["serial_number"] == SERIAL_NUMBER
    assert step("therapy") == {"state": "RUNNING", "mode": "CONTINUOUS"}
    telemetry = step("telemetry")
    assert telemetry["samples"] >= 10
    assert telemetry["lost"] == 0

    step("unplug at next write")
    told(bus, "unplug_at_next_write")
    say(host, "go on")
    lost = step("lost")
    assert lost["error"].startswith(f"usb:1209:0001:{SERIAL_NUMBER}: the connection is gone (")
    assert "STOP is not confirmed" in lost["stop"]
    assert lost["took_s"] < 4.0
    assert "there is no such device" in step("gone")["error"]

    step("plug")
    told(bus, "plug")
    say(host, "go on")
    assert step("again") == {"mode_before": "CONTINUOUS", "mode_after": "STOPPED"}
    assert step("end") == {"readers": []}
    assert host.wait(timeout=5) == 0
