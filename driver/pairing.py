"""Pairing: a new key for a pump, drawn here, kept before it is sent, and believed once the pump has proven it."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from driver.authentication import HELLO_NONCE_BYTES, Authentication, Credentials
from driver.clock import Clock, SystemClock
from driver.errors import LinkError, LinkTimeout, NakError, PairingError, TransportError, WrongKey
from driver.greeting import check, greet, hello_request
from driver.keys import KeyStore
from driver.link import Link
from driver.schemas import SchemaCache, layouts_of
from driver.transport import SerialSettings, Transport, open_guarded
from protocol import KEY_BYTES, TEST_KEY, Capability, Hello, NakReason, Paired, PairRequest, key_check

_NETWORK = frozenset({"socket", "rfc2217"})


@dataclass(frozen=True, slots=True)
class Pairing:
    """A pump that has a key of this host; the same 16 hex digits at two hosts mean the same key."""

    serial_number: str
    key_check: str


def pair(
    port: str | Transport,
    store: KeyStore,
    *,
    clock: Clock | None = None,
    expect_serial: str | None = None,
    serial_settings: SerialSettings | None = None,
    schemas: SchemaCache | None = None,
    draw: Callable[[int], bytes] = secrets.token_bytes,
) -> Pairing:
    """Give the pump at a cable, whose pairing button was pressed, a new key, and keep it in `store`.

    The key crosses the cable in the open, this once; so nobody may listen there. `draw(n)` gives n random bytes. The
    new key goes into the store before it is sent, beside the old one, and the one that the pump does not prove goes out
    when it has proven the other. So the store has the pump's key at every instant on a line that loses what it likes
    and keeps the order of the rest. One that holds the key back until the pump has proven the old one can give it to a
    pump still in pairing mode when it is no longer kept: then no key here opens the pump, until it is paired again.

    Raises:
        PairingError: the pump did not take the key, or the port is no cable; the sentence says which keys are kept.
        KeyStoreError: the keys cannot be read or written; before the key is sent, or behind a pairing that is done.
        TransportError, LinkError: as in `Pump.open`; nothing was sent.
    """
    _require_cable(port)
    line_clock = clock if clock is not None else SystemClock()
    link = Link(open_guarded(port, serial_settings), line_clock)
    try:
        request = hello_request(_nonce(draw))
        hello = greet(link, line_clock, request)
        check(link.port, hello, expect_serial)
        layouts_of(link, hello, schemas)
        link.require(PairRequest)
        key = draw(KEY_BYTES)
        if key == TEST_KEY:
            raise PairingError(link.port, "the key that was drawn is the public test key, which no pump is given")
        old = _settled(link, hello, store, draw)
        store.replace(hello.serial_number, (key, *old))
        refusal = _given(link, hello, key)
        _believe(link, hello, store, (key, *old), refusal, draw)
        return Pairing(hello.serial_number, key_check(key, hello.serial_number).hex())
    finally:
        link.close()


def _nonce(draw: Callable[[int], bytes]) -> int:
    return int.from_bytes(draw(HELLO_NONCE_BYTES), "little")


def _require_cable(port: str | Transport) -> None:
    """
    Raises:
        PairingError: the port is on a network, where others may listen.
    """
    if not isinstance(port, str):
        return
    url = urlsplit(port)
    if url.scheme.lower() in _NETWORK and not _is_here(url.hostname or ""):
        raise PairingError(
            port, "a key is given over a cable only, and this port is on a network; pair the pump at the host it is at"
        )


def _is_here(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _settled(link: Link, hello: Hello, store: KeyStore, draw: Callable[[int], bytes]) -> tuple[bytes, ...]:
    """The key of the pump before this pairing, at most one: of two from an earlier pairing that which it proves."""
    keys = store.keys(hello.serial_number)
    if len(keys) > 1 and hello.capabilities & Capability.AUTHENTICATION:
        with contextlib.suppress(WrongKey):
            proven = _proven(link, hello, Credentials(keys, store.name), draw)
            return keys[proven : proven + 1]
    return keys[:1]


def _proven(link: Link, hello: Hello, credentials: Credentials, draw: Callable[[int], bytes]) -> int:
    """Which of some keys the pump has, counted from 0, by a new session.

    Raises:
        LinkError: it proves none, or does not answer.
    """
    authentication = Authentication(link, hello, credentials, draw)
    try:
        authentication.reopen()
    finally:
        link.stay_open()
    return authentication.proven


def _given(link: Link, hello: Hello, key: bytes) -> str:
    """Send the key; gives why the pump did not say that it has it, empty where it did. Neither is believed yet."""
    try:
        paired = link.request(PairRequest(key), Paired)
    except NakError as refusal:
        if refusal.reason == NakReason.NOT_PAIRING:
            return f"it is not in pairing mode ({refusal.detail}); press its pairing button, then pair again"
        return refusal.finding
    except (LinkTimeout, TransportError) as silence:
        return silence.finding
    if paired.key_check != key_check(key, hello.serial_number):
        return "it says that it has another one"
    return ""


def _believe(
    link: Link,
    hello: Hello,
    store: KeyStore,
    keys: tuple[bytes, ...],
    refusal: str,
    draw: Callable[[int], bytes],
) -> None:
    """Keep the key that the pump proves, the first being the new one.

    Raises:
        PairingError: it proves the old one, or none.
    """
    number = hello.serial_number
    try:
        request = hello_request(_nonce(draw))
        now = link.request(request, Hello)
        if refusal and not now.capabilities & Capability.AUTHENTICATION:
            store.replace(number, keys[1:])
            raise PairingError(link.port, f"pump {number} did not take the key and has none: {refusal}")
        proven = _proven(link, now, Credentials(keys, store.name), draw)
    except PairingError:
        raise
    except (LinkError, TransportError) as error:
        why = refusal or error.finding
        raise PairingError(
            link.port,
            f"whether pump {number} took the new key is not known ({why}); {store.name} keeps it beside the old one, "
            "and whichever the pump has will open it; pair again",
        ) from error
    store.replace(number, keys[proven : proven + 1])
    if proven != 0:
        why = refusal or "it said that it had taken it"
        raise PairingError(link.port, f"pump {number} did not take the key and goes on with the old one: {why}")
