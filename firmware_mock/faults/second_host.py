"""What another host says on the same line, in frames of a session of its own."""

from __future__ import annotations

from collections.abc import Callable

from firmware_mock.faults.kinds import Fault
from protocol import (
    NONCE_BYTES,
    PROTOCOL_MAJOR,
    PROTOCOL_MINOR,
    Ack,
    CommandResult,
    CommandResultRequest,
    CommandState,
    Commit,
    Handshake,
    HandshakeConfirm,
    HandshakeFailed,
    Hello,
    HelloRequest,
    HostHandshake,
    HostSession,
    LeaseRequest,
    Message,
    Proposal,
    ProposeBolus,
    ProposeRefill,
    Refused,
    Reply,
    StatusRequest,
    Stop,
    encode,
)
from protocol.host_session import LAST_SEQ

READS, TAKES_LEASE, STOPS, PROPOSES, TAKES_AN_ID = range(5)
HOLDER = "another host"
ITS_COMMAND_ID = 1 << 40
ITS_VOLUME_UL = 0.5
ITS_FILLING_UL = 10_000.0
COMMANDS_AT_ONCE = 8
MOST_COMMANDS = 200

Ask = Callable[[Message], Message | None]
Exchange = Callable[[bytes], bytes]
"""Hands bytes to the device and gives what it says to that at once."""


def second_host_bytes(fault: Fault) -> bytes:
    """HELLO and one request, by the fault's amount, to a pump without a key."""
    hello = HelloRequest(PROTOCOL_MAJOR, PROTOCOL_MINOR, fault.seed)
    seq = 1 + hello.host_nonce % LAST_SEQ
    return encode(hello, seq=seq) + encode(_request_of(fault), seq=seq % LAST_SEQ + 1)


def say_with_key(exchange: Exchange, fault: Fault, key: bytes) -> bool:
    """The same to a pump with a key, which the other host has too; whether its session was opened."""
    ask, hello = _opened(exchange, fault.seed, key)
    return hello is not None and ask(_request_of(fault)) is not None


def take_an_id(exchange: Exchange, nonce: int, key: bytes | None) -> bool:
    """Give the pump one setting, under the id that is next; whether it took it."""
    ask, hello = _opened(exchange, nonce, key)
    return hello is not None and _refilled(ask, hello.last_command_id + 1)


def overwrite_results(exchange: Exchange, nonce: int, key: bytes | None) -> bool:
    """Stop the pump, then give it settings until it has forgotten its last command before; whether it has."""
    ask, hello = _opened(exchange, nonce, key)
    if hello is None or hello.last_command_id == 0:
        return False
    ask(Stop())
    for count in range(1, MOST_COMMANDS + 1):
        if not _refilled(ask, hello.last_command_id + 1 + count):
            return False
        if count % COMMANDS_AT_ONCE == 0:
            result = ask(CommandResultRequest(hello.last_command_id))
            if isinstance(result, CommandResult) and result.state == CommandState.FORGOTTEN:
                return True
    return False


def _request_of(fault: Fault) -> Message:
    requests: tuple[Message, ...] = (
        StatusRequest(),
        LeaseRequest(0, round(1000.0 * fault.duration_s), HOLDER),
        Stop(),
        ProposeBolus(ITS_COMMAND_ID, ITS_VOLUME_UL, 0.0),
    )
    return requests[fault.amount]


def _opened(exchange: Exchange, nonce: int, key: bytes | None) -> tuple[Ask, Hello | None]:
    """How to ask in a session of its own, and the HELLO that opened it, None where that or the handshake failed."""
    session = HostSession()

    def ask(message: Message) -> Message | None:
        session.abandon()
        session.request(message, 0.0)
        for event in session.receive(exchange(session.data_to_send()), 0.0):
            if isinstance(event, Reply | Refused):
                return event.message if isinstance(event, Reply) else event.nak
        return None

    request = HelloRequest(PROTOCOL_MAJOR, PROTOCOL_MINOR, nonce)
    hello = ask(request)
    if not isinstance(hello, Hello) or key is None:
        return ask, hello if isinstance(hello, Hello) else None
    handshake = HostHandshake(key, request, hello, nonce.to_bytes(NONCE_BYTES, "little"))
    answer = ask(handshake.request())
    if not isinstance(answer, Handshake):
        return ask, None
    try:
        session.secure(handshake.accept(answer))
    except HandshakeFailed:
        return ask, None
    return ask, hello if isinstance(ask(HandshakeConfirm()), Ack) else None


def _refilled(ask: Ask, command_id: int) -> bool:
    proposal = ask(ProposeRefill(command_id, ITS_FILLING_UL))
    return isinstance(proposal, Proposal) and isinstance(
        ask(Commit(command_id, proposal.token, proposal.digest)), CommandResult
    )
