"""A host and a device that share a key, with all that went over the line between them on record."""

import hashlib
from collections.abc import Callable, Iterator
from itertools import count

import pytest

from protocol import (
    TEST_KEY,
    Ack,
    Capability,
    CommandResult,
    CommandResultRequest,
    CommandState,
    DeviceGuard,
    DeviceRequest,
    DeviceSession,
    Frame,
    HandshakeConfirm,
    Hello,
    HelloRequest,
    HostEvent,
    HostHandshake,
    HostSession,
    Message,
    Reply,
    SessionKeys,
    Status,
    StatusRequest,
    Stop,
    Stopped,
    StreamDecoder,
    Subscribe,
    Subscription,
)

STOPPED = Stopped(1, 2, 3.0)
STATUS = Status(1, 1, 0, 0, 0.0, 0, 0.0, 20000.0, 3000, 37.0, 10.0, 0, 0)


def answer_to(message: Message) -> Message:
    """What the device of these tests says to a request."""
    match message:
        case Stop():
            return STOPPED
        case StatusRequest():
            return STATUS
        case HandshakeConfirm():
            return Ack()
        case CommandResultRequest(command_id):
            return CommandResult(command_id, CommandState.DONE, 1.0, 1.0, 0)
        case Subscribe(stream, interval_ms):
            return Subscription(stream, interval_ms, 20)
    raise AssertionError(f"this device has no answer to {message}")


class Device:
    """A keyed device: what it was asked and did is in `acted`."""

    def __init__(self, *, key: bytes | None = TEST_KEY, serial_number: str = "SIM-P-1", seed: int = 0) -> None:
        draws = count()
        self.guard = DeviceGuard(
            lambda size: hashlib.sha256(f"device {seed} {next(draws)}".encode()).digest()[:size], key
        )
        self.session = DeviceSession(self.guard)
        self.acted: list[DeviceRequest] = []
        self.boot_id = 1
        self.serial_number = serial_number

    def hello(self) -> Hello:
        can = Capability.CONTINUOUS | (0 if self.guard.key is None else Capability.AUTHENTICATION)
        return Hello(1, 0, b"SCHEMA01", can, 512, self.boot_id, 0, "implantable-20ml", self.serial_number, "0.1.0")

    def hears(self, data: bytes, now: float = 0.0) -> bytes:
        """Act on what comes, and say what goes out."""
        for request in self.session.receive(data, now):
            self.acted.append(request)
            is_hello = isinstance(request.message, HelloRequest)
            self.session.reply(request.seq, self.hello() if is_hello else answer_to(request.message))
        return self.session.data_to_send()

    def reset(self) -> None:
        self.boot_id += 1
        self.session = DeviceSession(self.guard)


class Host:
    """A host with a key, of one attempt per time-out of 1 s; `heard` is all that its session took."""

    def __init__(self, *, key: bytes = TEST_KEY, seed: int = 0) -> None:
        self.key = key
        self.session = HostSession(timeout_s=1.0, attempts=3)
        self.keys: SessionKeys | None = None
        self._nonces = (hashlib.sha256(f"host {seed} {number}".encode()).digest() for number in count())

    def nonce(self, size: int = 16) -> bytes:
        return next(self._nonces)[:size]


class Pair:
    """Both, and every frame that went either way, in order."""

    def __init__(self, *, seed: int = 0, serial_number: str = "SIM-P-1") -> None:
        self.host = Host(seed=seed)
        self.device = Device(seed=seed, serial_number=serial_number)
        self.now = 0.0
        self.to_device: list[bytes] = []
        self.to_host: list[bytes] = []

    def carry(self) -> list[HostEvent]:
        """Bring to the device what the host sends, and back what the device answers."""
        there = self.host.session.data_to_send()
        self.to_device.append(there)
        back = self.device.hears(there, self.now)
        self.to_host.append(back)
        return self.host.session.receive(back, self.now)

    def ask(self, message: Message) -> Message:
        """The answer to a request on a line that loses nothing."""
        self.host.session.request(message, self.now)
        (event,) = self.carry()
        assert isinstance(event, Reply), event
        return event.message

    def handshake(self) -> HostHandshake:
        """Say HELLO, and have everything ready for HandshakeRequest."""
        request = HelloRequest(1, 0, int.from_bytes(self.host.nonce(8), "little"))
        hello = self.ask(request)
        assert isinstance(hello, Hello)
        return HostHandshake(self.host.key, request, hello, self.host.nonce())

    def open(self) -> "Pair":
        """HELLO, handshake, confirmation."""
        self.host.session.secure(None)
        handshake = self.handshake()
        self.host.keys = handshake.accept(self.ask(handshake.request()))
        self.host.session.secure(self.host.keys)
        assert self.ask(HandshakeConfirm()) == Ack()
        return self

    def works(self) -> bool:
        """Whether a sealed request is still done once, and its answer taken."""
        before = len(self.device.acted)
        answer = self.ask(CommandResultRequest(before))
        assert isinstance(answer, CommandResult)
        done = [(each.message, each.is_sealed) for each in self.device.acted[before:]]
        return answer.command_id == before and done == [(CommandResultRequest(before), True)]


@pytest.fixture
def pair() -> Pair:
    """A host and a device that have not met yet."""
    return Pair()


@pytest.fixture
def opened(pair: Pair) -> Pair:
    """The same with an authenticated session."""
    return pair.open()


@pytest.fixture(scope="session")
def new_pair() -> type[Pair]:
    """Makes pairs that have not met yet, by seed and serial number."""
    return Pair


@pytest.fixture(scope="session")
def open_pair() -> Callable[..., Pair]:
    """Makes pairs with an authenticated session, by seed and serial number."""
    return lambda **differing: Pair(**differing).open()


def frames_in(data: bytes) -> list[Frame]:
    """The intact frames of a stream."""
    return StreamDecoder().feed(data)


@pytest.fixture(scope="session")
def frames() -> Callable[[bytes], list[Frame]]:
    """The intact frames of a stream."""
    return frames_in


@pytest.fixture(scope="session")
def counters() -> Callable[[bytes], list[int | None]]:
    """The counters of the frames of a stream, None for a plain one."""

    def of(data: bytes) -> Iterator[int | None]:
        for frame in frames_in(data):
            yield None if frame.trailer is None else int.from_bytes(frame.trailer[:4], "little")

    return lambda data: list(of(data))
