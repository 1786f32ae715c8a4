"""A procedure's hold on the pump: the control lease in the operator's name, and what its therapies do without it.

So a bench that is killed, or cut off from its pump, leaves no rig running, and nobody else doses meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bench.rig import Rig
from driver.instruments.operator import Answer, Operator
from protocol import Capability, OnLeaseLoss
from protocol.messages import HOLDER_BYTES

LEASE_S = 300.0


@contextmanager
def controlled(rig: Rig) -> Iterator[OnLeaseLoss]:
    """Hold the control lease, for 5 min of link time at a time; gives what therapies are to do when it is lost.

    `Rig.wait` renews it. While the operator is asked nobody does, and nothing runs that depends on it: where it has run
    out by the answer, it is taken anew. A pump that knows no lease is not held, and its therapies go on.

    Raises:
        LeaseHeld: another host has it, from the start or since the operator was asked.
        DriverError: the pump did not answer.
    """
    if not rig.pump.identity.capabilities & Capability.CONTROL_LEASE:
        yield OnLeaseLoss.CONTINUE
        return
    holder = _holder(rig.file.operator.name)

    def regain() -> None:
        if rig.pump.service_in_s == 0.0:
            rig.pump.take_control(LEASE_S, holder=holder)

    with rig.pump.take_control(LEASE_S, holder=holder):
        asked = rig.operator
        rig.operator = _Attended(asked, regain)
        try:
            yield OnLeaseLoss.STOP
        finally:
            rig.operator = asked


class _Attended:
    """An operator after whose every answer something is done."""

    def __init__(self, operator: Operator, after: Callable[[], None]) -> None:
        self._operator = operator
        self._after = after

    def confirm(self, key: str, text: str) -> Answer:
        answer = self._operator.confirm(key, text)
        self._after()
        return answer

    def set_stopcock(self, open: bool) -> None:  # noqa: A002
        self._operator.set_stopcock(open)
        self._after()

    def set_check_weight(self, on_pan: bool) -> None:
        self._operator.set_check_weight(on_pan)
        self._after()


def _holder(name: str) -> str:
    """As much of a name as the lease has room for."""
    return name.encode()[:HOLDER_BYTES].decode(errors="ignore").strip() or "bench"
