"""Whatever cable it is, a loss is named once and for all."""

from __future__ import annotations

import pytest

from driver import PortLost
from driver.transport import Guarded


class FailingCable:
    """Fails in another way each time."""

    name = "cable"

    def __init__(self):
        self.closed = False
        self._failures = iter(["pulled out", "bad descriptor", "never heard of it"])

    @property
    def in_waiting(self):
        return self._fail()

    def write(self, data):
        self._fail()

    def read(self, timeout_s):
        return self._fail()

    def close(self):
        self.closed = True

    def _fail(self):
        raise OSError(next(self._failures))


@pytest.mark.parametrize(
    "use", [lambda g: g.in_waiting, lambda g: g.write(b"x"), lambda g: g.read(1.0)], ids=["in_waiting", "write", "read"]
)
def test_the_first_cause_of_a_loss_is_kept(use):
    guarded = Guarded(FailingCable())
    with pytest.raises(PortLost, match=r"^cable: the connection is gone \(pulled out\)"):
        guarded.read(1.0)
    with pytest.raises(PortLost, match=r"^cable: the connection is gone \(pulled out\)"):
        use(guarded)


@pytest.mark.parametrize("owned", [True, False])
def test_a_borrowed_cable_is_left_open(owned):
    cable = FailingCable()
    Guarded(cable, owned=owned).close()
    assert cable.closed == owned
