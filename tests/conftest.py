"""Settings of the whole suite: hypothesis without a deadline, and derandomised in CI; every pump is watched."""

import os
import weakref

import pytest
from hypothesis import settings

from firmware_mock.firmware.pump import PumpFirmware
from firmware_mock.monitors import Monitors

settings.register_profile("local", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")


def pytest_configure(config):
    config.addinivalue_line(
        "markers", "breaks(*identifiers): safety properties that this test breaks on purpose, each of them"
    )


class Watched:
    """The monitors of every pump since the last test; what they found outlives them."""

    def __init__(self):
        self._pumps = []

    def watch(self, firmware):
        monitors = Monitors(firmware)
        breaks = getattr(firmware.inside.world.scenario, "breaks", ())
        self._pumps.append((weakref.ref(monitors), monitors.violations, frozenset(it.property for it in breaks)))

    def take(self):
        """What each pump broke, and what its scenario lets it break."""
        pumps, self._pumps = self._pumps, []
        for monitors, _, _ in pumps:
            if (alive := monitors()) is not None:
                alive.finish()
        return [(violations, breaks) for _, violations, breaks in pumps]


@pytest.fixture(scope="session", autouse=True)
def _watched():
    watched, original = Watched(), PumpFirmware.__init__

    def begin(firmware, *arguments, **named):
        original(firmware, *arguments, **named)
        watched.watch(firmware)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(PumpFirmware, "__init__", begin)
        yield watched


@pytest.fixture
def unwatched(_watched, monkeypatch):
    """Pumps without the monitors: for firmware that is broken on purpose, or is watched by others."""
    monkeypatch.setattr(_watched, "watch", lambda firmware: None)


@pytest.fixture(autouse=True)
def _safety_properties_hold(request, _watched):
    """Every safety property holds in every pump of the test but those that it or its scenario breaks on purpose."""
    _watched.take()
    yield
    pumps = _watched.take()
    marker = request.node.get_closest_marker("breaks")
    meant = frozenset(marker.args if marker is not None else ())
    wrong = [
        str(violation) for found, breaks in pumps for violation in found if violation.identifier not in meant | breaks
    ]
    if wrong:
        pytest.fail("\n".join(wrong), pytrace=False)
    broken = {violation.identifier for found, _ in pumps for violation in found}
    if meant - broken:
        pytest.fail(f"{', '.join(sorted(meant - broken))} should be broken and is not", pytrace=False)
