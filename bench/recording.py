"""The recording of a run: an MCAP file of protobuf messages, on the disk within a second of being written.

A killed process leaves a file without its footer; `read_recording` reads all that reached the disk.
"""

from __future__ import annotations

import os
import struct
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path
from typing import IO, Any, ClassVar, Protocol, TypeVar, get_type_hints

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message
from mcap.exceptions import EndOfFile, McapError
from mcap.reader import NonSeekingReader
from mcap.stream_reader import CRCValidationError
from mcap.writer import CompressionType, Writer

from bench.errors import RecordingFailed

FILE_NAME = "recording.mcap"
SYNC_EVERY_S = 1.0
PROTO_PACKAGE = "thecabench"


@dataclass(frozen=True, slots=True)
class Reading:
    """One balance reading; `time_s` is the middle of the exchange, give or take `half_width_s`."""

    topic: ClassVar[str] = "balance"
    time_s: float
    half_width_s: float
    mass_mg: float
    stable: bool


@dataclass(frozen=True, slots=True)
class Air:
    """One reading of the thermohygrometer and barometer."""

    topic: ClassVar[str] = "air"
    time_s: float
    temperature_c: float
    humidity_pct: float
    pressure_hpa: float


@dataclass(frozen=True, slots=True)
class PumpSample:
    """One telemetry message of the pump."""

    topic: ClassVar[str] = "pump"
    time_s: float
    sequence: int
    device_time_us: int
    mode: int
    steps: int
    rate_ul_per_h: float
    head_temperature_c: float
    battery_mv: int
    alarms: int


@dataclass(frozen=True, slots=True)
class PumpEvent:
    """One event message of the pump."""

    topic: ClassVar[str] = "pump_event"
    time_s: float
    sequence: int
    device_time_us: int
    code: int
    argument: int


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of the run that the analysis uses, written when it is complete."""

    topic: ClassVar[str] = "segment"
    time_s: float
    stage: str
    kind: str
    rate_ul_per_h: float
    repeat: int
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Note:
    """What the bench did or was told, in words."""

    topic: ClassVar[str] = "note"
    time_s: float
    kind: str
    text: str


Entry = Reading | Air | PumpSample | PumpEvent | Segment | Note
ENTRY_KINDS: tuple[type[Entry], ...] = (Reading, Air, PumpSample, PumpEvent, Segment, Note)
EntryT = TypeVar("EntryT", Reading, Air, PumpSample, PumpEvent, Segment, Note)

_PROTO_TYPES = {
    float: descriptor_pb2.FieldDescriptorProto.TYPE_DOUBLE,
    int: descriptor_pb2.FieldDescriptorProto.TYPE_INT64,
    bool: descriptor_pb2.FieldDescriptorProto.TYPE_BOOL,
    str: descriptor_pb2.FieldDescriptorProto.TYPE_STRING,
}


class Record(Protocol):
    """Where a procedure puts what it sees."""

    def add(self, entry: Entry) -> None: ...

    def sync_if_due(self) -> None: ...

    def freeze(self, name: str, data: bytes) -> None: ...


class Recorder:
    """Writes entries as they come and brings them to the disk every second; `close` makes the file complete.

    `freeze` writes an intermediate result beside the recording, once and for all. `opener` opens the file for writing.
    """

    def __init__(self, folder: Path, *, opener: Callable[[Path], IO[bytes]] | None = None) -> None:
        self.folder = folder
        self.path = folder / FILE_NAME
        self._file = opener(self.path) if opener is not None else self.path.open("wb")
        self._writer = Writer(self._file, compression=CompressionType.NONE, enable_data_crcs=True)
        self._writer.start(profile="", library="thecabench")
        self._channels = {kind: self._register(kind) for kind in ENTRY_KINDS}
        self._sequence = 0
        self._synced_at = time.monotonic()
        self._broken = False

    def add(self, entry: Entry) -> None:
        """Append one entry.

        Raises:
            RecordingFailed: the disk is full or gone.
        """
        time_ns = round(entry.time_s * 1e9)
        data = _message_classes()[type(entry)](**asdict(entry)).SerializeToString(deterministic=True)
        try:
            self._writer.add_message(
                self._channels[type(entry)], log_time=time_ns, data=data, publish_time=time_ns, sequence=self._sequence
            )
            self._sequence += 1
            self.sync_if_due()
        except OSError as error:
            raise self._failed(error) from error

    def sync_if_due(self) -> None:
        """Flush and fsync when the last time was a second ago; a long wait calls this too."""
        if time.monotonic() - self._synced_at >= SYNC_EVERY_S:
            self.sync()

    def sync(self) -> None:
        """Flush and fsync.

        Raises:
            RecordingFailed: the disk is full or gone.
        """
        self._synced_at = time.monotonic()
        try:
            self._writer.flush()  # type: ignore[no-untyped-call]
            os.fsync(self._file.fileno())
        except OSError as error:
            raise self._failed(error) from error

    def freeze(self, name: str, data: bytes) -> None:
        """Write a file that must not exist yet, synced before going on.

        Raises:
            FileExistsError: it was frozen before.
            RecordingFailed: the disk is full or gone.
        """
        try:
            with (self.folder / name).open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except FileExistsError:
            raise
        except OSError as error:
            raise self._failed(error) from error

    def close(self) -> None:
        """Write the footer and close; after a failed write the file is left as it is, readable without one."""
        if self._file.closed:
            return
        try:
            if not self._broken:
                self._writer.finish()  # type: ignore[no-untyped-call]
                self._file.flush()
                os.fsync(self._file.fileno())
        finally:
            try:
                self._file.close()
            except OSError:
                if not self._broken:
                    raise

    def _failed(self, error: OSError) -> RecordingFailed:
        self._broken = True
        return RecordingFailed(
            f"the recording in {self.folder} cannot be written: {error.strerror}; free the disk, then run again"
        )

    def _register(self, kind: type[Entry]) -> int:
        schema_id = self._writer.register_schema(
            name=f"{PROTO_PACKAGE}.{kind.__name__}", encoding="protobuf", data=_descriptor_set()
        )
        return self._writer.register_channel(topic=kind.topic, message_encoding="protobuf", schema_id=schema_id)


def read_recording(path: Path) -> dict[type[Entry], list[Any]]:
    """All entries of a recording by kind, in the order they were written; one cut off by a kill is read to its end.

    Raises:
        ValueError: the file is no recording of this bench, or a checksum in it does not hold.
    """
    kinds = {kind.topic: kind for kind in ENTRY_KINDS}
    entries: dict[type[Entry], list[Any]] = defaultdict(list)
    with path.open("rb") as file:
        for topic, data in _messages(path, file):
            kind = kinds.get(topic)
            if kind is None:
                raise ValueError(f"{path}: topic {topic!r} is none of this bench's; known: {', '.join(kinds)}")
            message = _message_classes()[kind].FromString(data)
            entries[kind].append(kind(*(getattr(message, item.name) for item in fields(kind))))
    return entries


def entries_of(entries: Mapping[type[Entry], list[Any]], kind: type[EntryT]) -> list[EntryT]:
    """The entries of one kind."""
    return entries.get(kind, [])


def _messages(path: Path, file: IO[bytes]) -> Iterator[tuple[str, bytes]]:
    try:
        for _, channel, message in NonSeekingReader(file, validate_crcs=True).iter_messages(log_time_order=False):
            yield channel.topic, message.data
    except (EndOfFile, struct.error) as error:
        if file.read(1):
            raise ValueError(f"{path}: not a sound recording: {error}") from error
    except (McapError, CRCValidationError) as error:
        raise ValueError(f"{path}: not a sound recording: {error}") from error


@cache
def _descriptor_set() -> bytes:
    return descriptor_pb2.FileDescriptorSet(file=[_file_descriptor()]).SerializeToString(deterministic=True)


@cache
def _file_descriptor() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(name="thecabench.proto", package=PROTO_PACKAGE, syntax="proto3")
    for kind in ENTRY_KINDS:
        hints = get_type_hints(kind)
        message = file.message_type.add(name=kind.__name__)
        for number, item in enumerate(fields(kind), 1):
            message.field.add(
                name=item.name,
                number=number,
                type=_PROTO_TYPES[hints[item.name]],
                label=descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL,
            )
    return file


@cache
def _message_classes() -> dict[type[Entry], type[Message]]:
    pool = descriptor_pool.DescriptorPool()
    pool.Add(_file_descriptor())
    return {
        kind: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PROTO_PACKAGE}.{kind.__name__}"))
        for kind in ENTRY_KINDS
    }
