"""Which of our messages a pump understands: its schema by DESCRIBE or from this user's cache, compared with ours."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from driver.errors import LinkTimeout, VersionMismatch
from driver.link import Link
from driver.storage import replace_file
from protocol import (
    SCHEMA_HASH,
    THERAPY_TYPES,
    BulkObject,
    DecodeError,
    DescribeRequest,
    Description,
    Hello,
    Schema,
    Stop,
    Stopped,
    own_schema,
    read_schema,
    usable_records,
    usable_types,
)
from protocol.schema import FROZEN_TYPES, MOST_BYTES, MessageSchema

PIECE_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Layouts:
    """What a pump lays out as this program does: type bytes of `messages`, bulk objects by number in `records`.

    `foreign_therapy` names the therapy messages that differ, STOP among them: while there are any, this program does
    not dose, since what it cannot stop it does not start.
    """

    firmware: str
    messages: frozenset[int]
    records: frozenset[int]
    foreign_therapy: tuple[str, ...]

    def require_therapy(self, port: str) -> None:
        """
        Raises:
            VersionMismatch: a therapy message, or STOP, is laid out differently.
        """
        if self.foreign_therapy:
            raise VersionMismatch(
                port,
                f"firmware {self.firmware} lays therapy messages out differently ({', '.join(self.foreign_therapy)}), "
                "so this program reads and does not dose; use the program that was released with this firmware",
            )

    def require_records(self, port: str, bulk_object: BulkObject) -> None:
        """
        Raises:
            VersionMismatch: the records of a bulk object are laid out differently.
        """
        if bulk_object not in self.records:
            raise VersionMismatch(
                port,
                f"firmware {self.firmware} lays the records of {bulk_object.name} out differently, so they cannot be "
                "read; use the program that was released with this firmware",
            )


class SchemaCache:
    """A folder with a file per schema hash. What cannot be read, or is damaged, counts as not there."""

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)

    @classmethod
    def in_default_directory(cls) -> SchemaCache:
        """This user's own: under `$XDG_CACHE_HOME` or `~/.cache`, on Windows under `%LOCALAPPDATA%`."""
        if os.name == "nt":
            base = os.environ.get("LOCALAPPDATA") or str(Path.home() / "AppData" / "Local")
        else:
            base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        return cls(Path(base) / "thecabench" / "schemas")

    def path(self, schema_hash: bytes) -> Path:
        """Where the schema of a hash is kept."""
        return self._folder / f"{schema_hash.hex()}.json.zlib"

    def read(self, schema_hash: bytes) -> Schema | None:
        """The schema of this hash, checked against it, or None."""
        with contextlib.suppress(OSError, DecodeError):
            return read_schema(self.path(schema_hash).read_bytes(), schema_hash)
        return None

    def write(self, schema_hash: bytes, document: bytes) -> None:
        """Keep a document. Where that fails, the pump is asked again at the next opening, and no more is lost."""
        with contextlib.suppress(OSError):
            replace_file(self.path(schema_hash), document)


@cache
def _own() -> tuple[frozenset[int], frozenset[int]]:
    """All of our own message types and bulk objects."""
    ours = own_schema()
    return usable_types(ours), usable_records(ours)


def layouts_of(link: Link, hello: Hello, cache: SchemaCache | None) -> Layouts:
    """What can be said to the pump; asks it only where its schema is neither ours nor in the cache.

    While it is asked, nothing but HELLO and DESCRIBE is understood. `cache` defaults to this user's own.

    Raises:
        VersionMismatch: its schema cannot be had or read.
        TransportError: the port is lost.
    """
    if hello.schema_hash == SCHEMA_HASH:
        return Layouts(hello.firmware_version, *_own(), ())
    cache = cache if cache is not None else SchemaCache.in_default_directory()
    theirs = cache.read(hello.schema_hash)
    if theirs is None:
        link.restrict(FROZEN_TYPES, hello.firmware_version)
        try:
            document = _fetch(link)
            theirs = read_schema(document, hello.schema_hash)
        except (LinkTimeout, DecodeError) as error:
            why = error.finding if isinstance(error, LinkTimeout) else str(error)
            raise VersionMismatch(
                link.port,
                f"pump {hello.serial_number} lays its messages out differently (schema {hello.schema_hash.hex()}, ours "
                f"{SCHEMA_HASH.hex()}) and its description cannot be had, because {why}; use the program that was "
                f"released with firmware {hello.firmware_version}",
            ) from error
        cache.write(hello.schema_hash, document)
    messages = usable_types(theirs)
    link.restrict(messages, hello.firmware_version)
    return Layouts(hello.firmware_version, messages, usable_records(theirs), _foreign_therapy(theirs, messages))


def _fetch(link: Link) -> bytes:
    document = bytearray()
    total: int | None = None
    while total is None or len(document) < total:
        piece = _piece(link, len(document))
        total = piece.total_bytes if total is None else total
        if piece.total_bytes != total or not 0 < total <= MOST_BYTES:
            raise DecodeError(f"the schema has {total} bytes, then {piece.total_bytes}; at most {MOST_BYTES} are read")
        if piece.offset != len(document) or not 0 < len(piece.data) <= total - len(document):
            raise DecodeError(
                f"{len(piece.data)} bytes of the schema came from byte {piece.offset} on, "
                f"{len(document)} of {total} are there"
            )
        document += piece.data
    return bytes(document)


def _piece(link: Link, offset: int) -> Description:
    for _ in range(PIECE_ROUNDS - 1):
        with contextlib.suppress(LinkTimeout):
            return link.request(DescribeRequest(offset), Description)
    return link.request(DescribeRequest(offset), Description)


def _foreign_therapy(theirs: Schema, usable: frozenset[int]) -> tuple[str, ...]:
    if usable >= THERAPY_TYPES and Stop.TYPE in usable:
        return ()
    needed = THERAPY_TYPES | {Stop.TYPE, Stopped.TYPE}
    named = {(entry.type, entry.name): _kinds(entry) for entry in theirs.messages}
    ours = [entry for entry in own_schema().messages if entry.type in needed]
    differing = tuple(entry.name for entry in ours if named.get((entry.type, entry.name)) != _kinds(entry))
    return differing or ("Nak",)


def _kinds(entry: MessageSchema) -> list[tuple[str, str]]:
    return [(field.name, field.kind) for field in entry.fields]
