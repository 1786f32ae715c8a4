"""Orders to a pump that has a key: the handshake behind HELLO, and another one when the pump no longer knows it.

A pump without a key is refused where this host has one for it, so that nobody on the line can talk it out of asking.
"""

from __future__ import annotations

import contextlib
import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from driver.errors import (
    DowngradeRefused,
    HandshakeRefused,
    LinkError,
    LinkTimeout,
    NakError,
    TestKeyRefused,
    VersionMismatch,
    WrongDevice,
    WrongKey,
)
from driver.greeting import HELLO_WINDOW_S, hello_request
from driver.keys import KeyFile, KeySource
from driver.link import Link
from driver.transport import Transport
from protocol import (
    NONCE_BYTES,
    TEST_KEY,
    Ack,
    Capability,
    Handshake,
    HandshakeConfirm,
    HandshakeFailed,
    HandshakeRequest,
    Hello,
    HelloRequest,
    HostHandshake,
    NakReason,
)

ROUNDS = 3
HELLO_NONCE_BYTES = 8


@dataclass(frozen=True, slots=True)
class Credentials:
    """The keys that this host has for a pump, newest first, and where it has them from."""

    keys: tuple[bytes, ...] = field(repr=False)
    place: str


def credentials_for(port: str | Transport, serial_number: str, key: bytes | KeySource | None) -> Credentials:
    """The keys of a pump: the one given, those of a store, or, by default, those of this user's own file.

    Raises:
        KeyStoreError: the keys cannot be read.
        TestKeyRefused: one of them is the public key of simulated pumps, and this port is none of theirs.
    """
    if isinstance(key, bytes):
        found = Credentials((key,), "the program")
    else:
        store = key if key is not None else KeyFile.in_default_directory()
        found = Credentials(store.keys(serial_number), store.name)
    if TEST_KEY in found.keys and not is_simulated(port):
        raise TestKeyRefused(
            port if isinstance(port, str) else port.name,
            f"{found.place} has the test key for pump {serial_number}, which is public and opens nothing but a pump "
            "simulated in the same program; pair the pump to give it a key of its own",
        )
    return found


def no_key(serial_number: str, place: str) -> str:
    """Why a pump with a key is open for reading alone."""
    return (
        f"pump {serial_number} takes this only from who has its key, and {place} has none for it, so it was not sent; "
        "pair the pump (thecabench pair), or fetch its key from the host that has it"
    )


def is_simulated(port: str | Transport) -> bool:
    """Whether a port ends in this program: only a transport says so of itself, a URL never can."""
    return not isinstance(port, str) and getattr(port, "is_simulated", False) is True


def random_bytes_for(host_nonce: int | None) -> Callable[[int], bytes]:
    """Where nonces come from: the system, or, in a simulation, what follows from the one that it gave."""
    return secrets.token_bytes if host_nonce is None else random.Random(host_nonce).randbytes


class Authentication:
    """Sealed sessions between one pump and this host: `open` the first, `reopen` each that follows.

    `hello` is what the session in force was opened with, `proven` which of the keys, counted from 0.
    """

    def __init__(
        self, link: Link, hello: Hello, credentials: Credentials, random_bytes: Callable[[int], bytes]
    ) -> None:
        self.hello = hello
        self.proven = 0
        self._link = link
        self._credentials = credentials
        self._random_bytes = random_bytes

    def open(self, request: HelloRequest) -> None:
        """The handshake behind a HELLO that was answered; from now on all is sealed.

        A pump that restarts between the two, a late frame of an earlier session, and what anybody on the line may have
        said, a refusal or a changed HELLO, cost another round with a new HELLO.

        Raises:
            DowngradeRefused, HandshakeRefused, WrongKey: see there.
            WrongDevice, VersionMismatch: in a round after the first, another pump, or other firmware, answers.
            NakError: the pump refuses HELLO.
            LinkTimeout: the pump does not answer.
        """
        self._open(request)

    def reopen(self) -> None:
        """HELLO and handshake in a session of the link that is not sealed yet; raises as `open`, or where another pump,
        or other firmware, answers than before.
        """
        self._open(None)

    def _open(self, request: HelloRequest | None) -> None:
        window = self._link.deadline(HELLO_WINDOW_S)
        failure: LinkError | None = None
        for _ in range(ROUNDS):
            try:
                if request is None:
                    request = self._greet()
                self._require_authentication()
                if self._shake_hands(request):
                    self._link.seal(self.reopen, self.hello.boot_id)
                    return
                failure = self._wrong_key()
            except LinkTimeout as silence:
                if request is None:
                    raise
                failure = silence
            except LinkError as unproven:
                failure = unproven
                if window.expired:
                    break
            self._link.unseal()
            request = None
        assert failure is not None
        raise failure

    def _wrong_key(self) -> WrongKey:
        return WrongKey(
            self._link.port,
            f"pump {self.hello.serial_number} does not prove the key that {self._credentials.place} has for it; it was "
            "paired elsewhere since, or its memory is lost, which its alarms tell, or somebody on the line changes "
            "what is sent",
        )

    def _greet(self) -> HelloRequest:
        request = hello_request(int.from_bytes(self._random_bytes(HELLO_NONCE_BYTES), "little"))
        before, hello = self.hello, self._link.request(request, Hello)
        if hello.serial_number != before.serial_number:
            raise WrongDevice(
                self._link.port,
                f"pump {hello.serial_number} answers here now, and it was {before.serial_number}; open it again",
            )
        if hello.schema_hash != before.schema_hash:
            raise VersionMismatch(
                self._link.port, f"pump {before.serial_number} runs other firmware than before; open it again"
            )
        self.hello = hello
        return request

    def _require_authentication(self) -> None:
        if not self.hello.capabilities & Capability.AUTHENTICATION:
            number, place = self.hello.serial_number, self._credentials.place
            raise DowngradeRefused(
                self._link.port,
                f"{place} has a key for pump {number}, and what answers as {number} does not ask for one: somebody on "
                "the line may want orders in the open; if the pump was given out without a key, forget the one here",
            )

    def _shake_hands(self, request: HelloRequest) -> bool:
        """Whether both sides have proven the key; False also where the pump lost the thread between two messages."""
        host_nonce = self._random_bytes(NONCE_BYTES)
        try:
            handshake = self._link.request(HandshakeRequest(host_nonce), Handshake)
        except NakError as refusal:
            if refusal.reason == NakReason.WRONG_STATE:
                return False
            number = self.hello.serial_number
            raise HandshakeRefused(
                self._link.port,
                f"pump {number} takes no handshake now ({refusal.detail or refusal.finding}); nothing was sent to it",
                refusal.detail,
            ) from refusal
        for which, key in enumerate(self._credentials.keys):
            with contextlib.suppress(HandshakeFailed):
                self.proven = which
                self._link.session.secure(HostHandshake(key, request, self.hello, host_nonce).accept(handshake))
                self._link.request(HandshakeConfirm(), Ack)
                return True
        return False
