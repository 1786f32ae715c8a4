"""Where this host keeps the keys of pumps: a file that nobody else may read, the system's key ring, or memory.

A pump has one key, or two while a pairing is under way whose end is not known; the newest comes first. No key is ever
part of a message, a log or a `repr`.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any, Protocol

from driver.errors import KeyStoreError
from driver.storage import replace_file
from protocol import KEY_BYTES

if TYPE_CHECKING:
    from types import ModuleType

MOST_KEYS = 2
OTHERS = 0o177  # every bit that mode 600 has not got

_HEAD = "# Keys of pumps by serial number. Secret: keep this file mode 600. Written by thecabench pair.\n"
_HEX_KEY = re.compile(rf"[0-9a-fA-F]{{{2 * KEY_BYTES}}}")
_SERVICE = "thecabench"
_INDEX = "paired pumps"
_KEY_OF = "key of "


class KeySource(Protocol):
    """Keys by serial number. Every failure is a `KeyStoreError` in one sentence without the key."""

    @property
    def name(self) -> str:
        """How people know the place."""
        ...

    def keys(self, serial_number: str) -> tuple[bytes, ...]:
        """The keys of a pump, newest first; none where it was never paired here."""
        ...


class KeyStore(KeySource, Protocol):
    """One that can be changed."""

    def serial_numbers(self) -> tuple[str, ...]:
        """The pumps that it has keys of, sorted."""
        ...

    def replace(self, serial_number: str, keys: Sequence[bytes]) -> None:
        """Keep these keys of a pump in place of those before, durably; none forgets it."""
        ...


class KeysInMemory:
    """Keys that live as long as this object; without any, a host without keys."""

    name = "memory"

    def __init__(self, keys: Mapping[str, bytes] | None = None) -> None:
        self._keys: dict[str, tuple[bytes, ...]] = {number: (key,) for number, key in (keys or {}).items()}

    def serial_numbers(self) -> tuple[str, ...]:
        return tuple(sorted(self._keys))

    def keys(self, serial_number: str) -> tuple[bytes, ...]:
        return self._keys.get(serial_number, ())

    def replace(self, serial_number: str, keys: Sequence[bytes]) -> None:
        self._keys.pop(serial_number, None)
        if keys:
            self._keys[serial_number] = tuple(keys)


class KeyFile:
    """A TOML file of mode 600, a line for each pump: `"SERIAL" = "32 hex digits"`, or a list of two of them.

    Where the system knows no such modes (Windows) the folder's own protection has to do.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @classmethod
    def in_default_directory(cls) -> KeyFile:
        """This user's own: under `$XDG_CONFIG_HOME` or `~/.config`, on Windows under `%APPDATA%`."""
        if os.name == "nt":
            base = os.environ.get("APPDATA") or str(Path.home() / "AppData" / "Roaming")
        else:
            base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
        return cls(Path(base) / "thecabench" / "keys.toml")

    @property
    def name(self) -> str:
        return str(self.path)

    def serial_numbers(self) -> tuple[str, ...]:
        return tuple(sorted(self._table()))

    def keys(self, serial_number: str) -> tuple[bytes, ...]:
        table = self._table()
        return self._parsed(serial_number, table[serial_number]) if serial_number in table else ()

    def replace(self, serial_number: str, keys: Sequence[bytes]) -> None:
        try:
            with _one_writer(self.path):
                table = {number: self._parsed(number, entry) for number, entry in self._table().items()}
                table.pop(serial_number, None)
                if keys:
                    table[serial_number] = tuple(keys)
                lines = [f"{_quoted(number)} = {_listed(table[number])}\n" for number in sorted(table)]
                replace_file(self.path.resolve(), (_HEAD + "".join(lines)).encode())
        except OSError as error:
            raise KeyStoreError(self.name, f"the keys cannot be written ({error.strerror or error})") from error

    def _table(self) -> dict[str, Any]:
        try:
            return tomllib.loads(self._read().decode())
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise KeyStoreError(self.name, f"the keys cannot be read ({error.strerror or error})") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError):
            raise KeyStoreError(
                self.name, 'this is no TOML; a file of keys has a line "SERIAL" = "32 hex digits" for each pump'
            ) from None

    def _read(self) -> bytes:
        """The content, of the very file whose mode was checked."""
        with self.path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if os.name != "nt" and mode & OTHERS:
                raise KeyStoreError(
                    self.name,
                    f"others may read or change these keys (mode {mode:03o}); if nobody has, run: "
                    f"chmod 600 {quote(self.name)}",
                )
            return file.read()

    def _parsed(self, serial_number: str, entry: Any) -> tuple[bytes, ...]:
        texts = entry if isinstance(entry, list) else [entry]
        keys = [key for text in texts if (key := _key_of_text(text)) is not None]
        if not 1 <= len(texts) == len(keys) <= MOST_KEYS:
            raise KeyStoreError(
                self.name,
                f'the entry of pump {serial_number} is no key; it must be "{2 * KEY_BYTES} hex digits", or a list of '
                "two such while a pairing is under way",
            )
        return tuple(keys)


class KeyringStore:
    """The system's key ring, through the package `keyring` (the extra of that name)."""

    name = "the system's key ring"

    def serial_numbers(self) -> tuple[str, ...]:
        known = self._get(_INDEX)
        try:
            listed = [] if known is None else json.loads(known)
            return tuple(sorted(str(number) for number in listed if self._get(_KEY_OF + str(number)) is not None))
        except (ValueError, TypeError):
            raise KeyStoreError(self.name, f"the entry {_INDEX!r} of {_SERVICE} is damaged; remove it there") from None

    def keys(self, serial_number: str) -> tuple[bytes, ...]:
        entry = self._get(_KEY_OF + serial_number)
        if entry is None:
            return ()
        keys = [_key_of_text(text) for text in entry.split()]
        if not 1 <= len(keys) <= MOST_KEYS or None in keys:
            raise KeyStoreError(
                self.name,
                f"the entry of pump {serial_number} is no key; remove {_KEY_OF + serial_number!r} of {_SERVICE} there, "
                "then pair the pump again",
            )
        return tuple(key for key in keys if key is not None)

    def replace(self, serial_number: str, keys: Sequence[bytes]) -> None:
        if keys:
            numbers = sorted({*self.serial_numbers(), serial_number})
            self._do(lambda ring: ring.set_password(_SERVICE, _INDEX, json.dumps(numbers)))
            entry = " ".join(key.hex() for key in keys)
            self._do(lambda ring: ring.set_password(_SERVICE, _KEY_OF + serial_number, entry))
            if self._get(_KEY_OF + serial_number) != entry:
                raise KeyStoreError(self.name, "it does not keep what it is given; use a file of keys instead")
        elif self._get(_KEY_OF + serial_number) is not None:
            self._do(lambda ring: ring.delete_password(_SERVICE, _KEY_OF + serial_number))

    def _get(self, entry: str) -> str | None:
        found: str | None = self._do(lambda ring: ring.get_password(_SERVICE, entry))
        return found

    def _do(self, act: Any) -> Any:
        ring = _keyring()
        try:
            return act(ring)
        except ring.errors.KeyringError as error:
            why = str(error) or type(error).__name__
            raise KeyStoreError(self.name, f"it cannot be used ({why}); use a file of keys instead") from None


def _keyring() -> ModuleType:
    """The package, imported when it is needed: it searches the system for key rings."""
    try:
        import keyring
    except ImportError:
        raise KeyStoreError(
            KeyringStore.name,
            "the package keyring is not installed; install thecabench[keyring], or use a file of keys",
        ) from None
    return keyring


def _key_of_text(text: object) -> bytes | None:
    return bytes.fromhex(text) if isinstance(text, str) and _HEX_KEY.fullmatch(text) else None


def _listed(keys: Sequence[bytes]) -> str:
    quoted = [f'"{key.hex()}"' for key in keys]
    return quoted[0] if len(quoted) == 1 else f"[{', '.join(quoted)}]"


def _quoted(serial_number: str) -> str:
    """A TOML key; JSON escapes all that TOML wants escaped but the delete character."""
    return json.dumps(serial_number, ensure_ascii=False).replace("\x7f", "\\u007f")


@contextlib.contextmanager
def _one_writer(path: Path) -> Iterator[None]:
    """Whoever changes the file waits for whoever does so now: no key of another pump is lost between."""
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_LOCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
