"""What another host says on the same line, in frames of a session of its own."""

from __future__ import annotations

from collections.abc import Callable

from firmware_mock.faults.kinds import Fault
from protocol import (
    PROTOCOL_MAJOR,
    PROTOCOL_MINOR,
    CommandResult,
    CommandResultRequest,
    CommandState,
    Commit,
    Hello,
    HelloRequest,
    HostSession,
    LeaseRequest,
    Message,
    Proposal,
    ProposeBolus,
    ProposeRefill,
    Reply,
    StatusRequest,
    Stop,
    encode,
)
from protocol.host_session import LAST_SEQ

HOLDER = "another host"
ITS_COMMAND_ID = 1 << 40
ITS_VOLUME_UL = 0.5
ITS_FILLING_UL = 10_000.0
COMMANDS_AT_ONCE = 8
MOST_COMMANDS = 200


def second_host_bytes(fault: Fault) -> bytes:
    """HELLO and one request, by the fault's amount."""
    hello = HelloRequest(PROTOCOL_MAJOR, PROTOCOL_MINOR, fault.seed)
    seq = 1 + hello.host_nonce % LAST_SEQ
    then: Message = (
        StatusRequest(),
        LeaseRequest(0, round(1000.0 * fault.duration_s), HOLDER),
        Stop(),
        ProposeBolus(ITS_COMMAND_ID, ITS_VOLUME_UL, 0.0),
    )[fault.amount]
    return encode(hello, seq=seq) + encode(then, seq=seq % LAST_SEQ + 1)


def take_an_id(exchange: Callable[[bytes], bytes], nonce: int) -> bool:
    """Give the pump one setting, under the id that is next; whether it took it.

    `exchange` hands bytes to the device and gives what it says to that at once.
    """
    ask = _asker(exchange)
    hello = ask(HelloRequest(PROTOCOL_MAJOR, PROTOCOL_MINOR, nonce))
    return isinstance(hello, Hello) and _refilled(ask, hello.last_command_id + 1)


def overwrite_results(exchange: Callable[[bytes], bytes], nonce: int) -> bool:
    """Stop the pump, then give it settings until it has forgotten its last command before; whether it has."""
    ask = _asker(exchange)
    hello = ask(HelloRequest(PROTOCOL_MAJOR, PROTOCOL_MINOR, nonce))
    if not isinstance(hello, Hello) or hello.last_command_id == 0:
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


def _asker(exchange: Callable[[bytes], bytes]) -> Callable[[Message], Message | None]:
    session = HostSession()

    def ask(message: Message) -> Message | None:
        session.abandon()
        session.request(message, 0.0)
        for event in session.receive(exchange(session.data_to_send()), 0.0):
            if isinstance(event, Reply):
                return event.message
        return None

    return ask


def _refilled(ask: Callable[[Message], Message | None], command_id: int) -> bool:
    proposal = ask(ProposeRefill(command_id, ITS_FILLING_UL))
    return isinstance(proposal, Proposal) and isinstance(
        ask(Commit(command_id, proposal.token, proposal.digest)), CommandResult
    )
