"""The targets by name, with their share of a campaign's executions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fuzzing.bulk import bulk_reader
from fuzzing.decoders import batch_decoder, stream_decoder
from fuzzing.schema import schema
from fuzzing.sealed_device import sealed_device
from fuzzing.sealed_host import sealed_host
from fuzzing.sessions import device_session, host_session


@dataclass(frozen=True, slots=True)
class Target:
    """`run` raises if what it checks does not hold; `share` of 100 executions are its."""

    run: Callable[[bytes], None]
    share: int


TARGETS = {
    "stream-decoder": Target(stream_decoder, 15),
    "batch-decoder": Target(batch_decoder, 10),
    "device-session": Target(device_session, 15),
    "host-session": Target(host_session, 15),
    "sealed-device": Target(sealed_device, 15),
    "sealed-host": Target(sealed_host, 10),
    "bulk-reader": Target(bulk_reader, 15),
    "schema": Target(schema, 5),
}
