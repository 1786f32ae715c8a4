"""Thecabench: the public names for scripts, and `python -m thecabench`. A bench tool, never a clinical one.

import thecabench

with thecabench.open_rig("sim") as rig:
    print(rig.pump.status(), rig.balance.read())
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

_HOME = Path(__file__).resolve().parent


def _refuse_strangers() -> None:
    """Another package named `driver` or `bench` on the path would be imported in place of ours.

    Raises:
        ImportError: one is found, with where it lies.
    """
    for name in ("protocol", "driver", "bench", "firmware_mock", "hw_configs"):
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            raise ImportError(f"thecabench needs its package {name!r}, which is missing; install thecabench again")
        origin = Path(spec.origin).resolve()
        if origin.parent.parent != _HOME:
            raise ImportError(
                f"package {name!r} is taken from {origin.parent}, not from thecabench in {_HOME}; "
                "remove the other one from the path, or give thecabench an environment of its own"
            )


_refuse_strangers()

from bench.rig import Rig, open_rig  # noqa: E402  after the check above, which explains a stranger's package
from driver import (  # noqa: E402
    BolusLimits,
    Bridge,
    Continuous,
    Dose,
    DoseState,
    Flex,
    FlexStep,
    KeyFile,
    KeyringStore,
    MinimumRate,
    Pump,
    Trial,
    bridge,
)
from driver.instruments import open_balance, open_thermohygrometer  # noqa: E402
from protocol import Alarm, Day, OnLeaseLoss, SelfTestItem, Stream  # noqa: E402

__all__ = [
    "Alarm",
    "BolusLimits",
    "Bridge",
    "Continuous",
    "Day",
    "Dose",
    "DoseState",
    "Flex",
    "FlexStep",
    "KeyFile",
    "KeyringStore",
    "MinimumRate",
    "OnLeaseLoss",
    "Pump",
    "Rig",
    "SelfTestItem",
    "Stream",
    "Trial",
    "bridge",
    "open_balance",
    "open_rig",
    "open_thermohygrometer",
]

if __name__ == "__main__":
    from bench.cli import main

    main()
