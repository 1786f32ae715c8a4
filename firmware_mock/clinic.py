"""The clinic of a scenario: a programmer that speaks the protocol to the pump, over its port and nothing else.

Each visit opens a session, puts its orders one after the other, each proposed and then committed, and ends at the first
that is refused or not answered. Nothing blocks: it goes on when bytes arrive, or when nobody answers in time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass

from firmware_mock.ports import Port, PortUnplugged
from firmware_mock.world import Event, World, to_ns
from protocol import (
    PROTOCOL_MAJOR,
    PROTOCOL_MINOR,
    CommandResult,
    Commit,
    Hello,
    HelloRequest,
    HostSession,
    Message,
    Nak,
    Proposal,
    Refused,
    Reply,
    TimedOut,
)
from protocol.messages import PROPOSALS

_NOT_ANSWERED = "no answer"
_Asking = Generator[Message, Message | None, str]


@dataclass(frozen=True, slots=True)
class Order:
    """What the clinic wants, in words for people, and the request for it under a command id.

    `on_commit` is called as a COMMIT goes out: what a scenario does to the pump just then.
    """

    words: str
    request: Callable[[int], Message]
    on_commit: Callable[[], None] = lambda: None


class Clinic:
    """The host at the end of a port. `told` hears how each order ended, in words."""

    def __init__(self, world: World, port: Port, told: Callable[[str], None]) -> None:
        self._world = world
        self._port = port
        self._told = told
        self._session = HostSession()
        self._nonces = world.stream("clinic.nonces")
        self._waiting: deque[Order] = deque()
        self._asking: _Asking | None = None
        self._deadline: Event | None = None
        port.on_arrival = self._arrived

    def wants(self, order: Order) -> None:
        """Put an order at the next visit, which begins at once unless one is under way."""
        self._waiting.append(order)
        if self._asking is None:
            self._begin()

    def _begin(self) -> None:
        self._session = HostSession()
        self._port.take_arrived()
        self._asking = self._visit()
        self._go_on(None)

    def _visit(self) -> _Asking:
        hello = yield HelloRequest(PROTOCOL_MAJOR, PROTOCOL_MINOR, self._nonces.getrandbits(64))
        if not isinstance(hello, Hello):
            self._tell_all(_NOT_ANSWERED)
            return _NOT_ANSWERED
        last_id = hello.last_command_id
        while self._waiting:
            order = self._waiting.popleft()
            last_id += 1
            ended = yield from _put(order, last_id)
            self._told(f"{order.words}: {ended}")
            if ended == _NOT_ANSWERED:
                self._tell_all(_NOT_ANSWERED)
        return "done"

    def _tell_all(self, ended: str) -> None:
        while self._waiting:
            self._told(f"{self._waiting.popleft().words}: {ended}")

    def _go_on(self, answer: Message | None) -> None:
        """Give the visit an answer, and send what it asks for next."""
        assert self._asking is not None
        try:
            request = next(self._asking) if answer is None else self._asking.send(answer)
        except StopIteration:
            self._end()
            return
        self._session.request(request, self._world.monotonic())
        self._send()

    def _give_up(self) -> None:
        assert self._asking is not None
        self._session.abandon()
        try:
            self._asking.send(None)
        except StopIteration:
            pass
        else:
            raise AssertionError("a visit that got no answer goes on")
        self._end()

    def _end(self) -> None:
        self._asking = None
        self._cancel()

    def _send(self) -> None:
        try:
            self._port.host_writes(self._session.data_to_send())
        except PortUnplugged:
            self._give_up()
            return
        self._cancel()
        due_s = self._session.next_deadline()
        if due_s is not None:
            self._deadline = self._world.at(max(self._world.now_ns, to_ns(due_s) + 1), self._late)

    def _late(self) -> None:
        events = self._session.poll(self._world.monotonic())
        if any(isinstance(event, TimedOut) for event in events):
            self._give_up()
        else:
            self._send()

    def _arrived(self) -> None:
        for event in self._session.receive(self._port.take_arrived(), self._world.monotonic()):
            if isinstance(event, Reply | Refused) and self._asking is not None:
                self._cancel()
                self._go_on(event.message if isinstance(event, Reply) else event.nak)

    def _cancel(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def _put(order: Order, command_id: int) -> Generator[Message, Message | None, str]:
    request = order.request(command_id)
    answer = yield request
    if not isinstance(request, PROPOSALS) or not isinstance(answer, Proposal):
        return _ended(answer)
    order.on_commit()
    answer = yield Commit(command_id, answer.token, answer.digest)
    return _ended(answer)


def _ended(answer: Message | None) -> str:
    match answer:
        case None:
            return _NOT_ANSWERED
        case Nak():
            reason = getattr(answer.reason, "name", str(answer.reason))
            return f"refused, {reason}: {answer.detail}" if answer.detail else f"refused, {reason}"
        case CommandResult():
            return getattr(answer.state, "name", str(answer.state)).lower()
    return "done"
