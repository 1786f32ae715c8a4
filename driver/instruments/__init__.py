"""Measuring instruments and the person beside them."""

from __future__ import annotations

from driver.instruments.balance import Balance, BalanceIdentity, BalanceSettings, Reading, open_balance
from driver.instruments.environment import (
    AirReading,
    Thermohygrometer,
    ThermohygrometerIdentity,
    open_thermohygrometer,
)
from driver.instruments.operator import Answer, ConsoleOperator, Operator, RemoteOperator

__all__ = [
    "AirReading",
    "Answer",
    "Balance",
    "BalanceIdentity",
    "BalanceSettings",
    "ConsoleOperator",
    "Operator",
    "Reading",
    "RemoteOperator",
    "Thermohygrometer",
    "ThermohygrometerIdentity",
    "open_balance",
    "open_thermohygrometer",
]
