"""The host's side of the umockdev test: the whole driver over `usb:`, with libusb under umockdev's preload.

Arguments: the URL and a folder for the journal. Prints one JSON object per step; before each of the steps that need the
cable in another state it waits for a line on stdin.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path

from driver import Continuous, Journal, PortLost, PortNotFound, Pump, StopUnconfirmed
from driver.transport import existing_usb_ports, open_transport
from driver.transport.usb import POLL_S

SAMPLES = 10
PATIENCE_S = 5.0
URL, FOLDER = sys.argv[1], Path(sys.argv[2])


def tell(**facts: object) -> None:
    print(json.dumps(facts), flush=True)


def wait_for_the_cable(step: str) -> None:
    tell(step=step)
    sys.stdin.readline()


def open_pump() -> Pump:
    return Pump.open(URL, journal=Journal.in_directory(FOLDER))


def converse() -> None:
    with open_pump() as pump:
        tell(step="hello", model=pump.identity.model, serial_number=pump.identity.serial_number)
        dose = pump.start(Continuous(20.0))
        tell(step="therapy", state=dose.said, mode=pump.status().mode.name)
        pump.subscribe(0.1)
        samples, lost = 0, 0
        deadline_s = time.monotonic() + PATIENCE_S
        while samples < SAMPLES and time.monotonic() < deadline_s:
            time.sleep(POLL_S)
            batch = pump.telemetry()
            samples, lost = samples + len(batch.samples), lost + batch.lost
        tell(step="telemetry", samples=samples, lost=lost)


def lose_the_cable() -> None:
    try:
        with open_pump() as pump:
            pump.start(Continuous(20.0))
            wait_for_the_cable("unplug at next write")
            began_s = time.monotonic()
            pump.status()
    except StopUnconfirmed as error:
        cause = error.__cause__
        assert isinstance(cause, PortLost)
        tell(step="lost", error=str(cause), stop=str(error), took_s=time.monotonic() - began_s)


def find_nothing() -> None:
    try:
        open_transport(URL)
    except PortNotFound as error:
        tell(step="gone", error=str(error))


def find_it_again() -> None:
    with open_pump() as pump:
        before = pump.status().mode.name
        pump.stop()
        tell(step="again", mode_before=before, mode_after=pump.status().mode.name)


tell(step="enumerated", ports=existing_usb_ports())
converse()
lose_the_cable()
find_nothing()
wait_for_the_cable("plug")
find_it_again()
tell(step="end", readers=[t.name for t in threading.enumerate() if t.name.startswith("reader of")])
