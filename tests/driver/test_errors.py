"""Driver errors: they survive the way between processes."""

from __future__ import annotations

import pickle

import pytest

from driver.errors import BalanceOverload, DriverError, NakError, PortLost
from protocol import NakReason


@pytest.mark.parametrize(
    "error",
    [
        PortLost("socket://127.0.0.1:5410", "the connection is gone"),
        NakError("/dev/pump", "Commit", NakReason.EXPIRED, "token"),
        BalanceOverload("/dev/balance", "overload", command="SI", raw="S +"),
    ],
)
def test_an_error_is_the_same_on_the_other_side_of_a_process_border(error: DriverError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert vars(copy) == vars(error)
