"""Who may send what, and which reply answers which request."""

import pytest
from construct import Int8ul, Struct

from protocol import DecodeError, LayoutError, Message, decode_payload
from protocol.registry import DEFINITIONS, Role, answers, notification, reply, request


def test_the_two_top_bits_of_the_type_say_who_speaks() -> None:
    for type_byte, entry in DEFINITIONS.items():
        assert entry.role is [Role.REQUEST, Role.REQUEST, Role.REPLY, Role.NOTIFICATION][type_byte >> 6]
        assert type_byte == entry.message.TYPE


def test_every_request_has_one_answer_besides_nak() -> None:
    nak = 0xA1
    for type_byte, entry in DEFINITIONS.items():
        if entry.role is Role.REQUEST:
            replies = [other for other in DEFINITIONS if answers(other, type_byte)]
            assert nak in replies
            assert len(replies) == 2


def test_nothing_but_a_reply_answers_and_nothing_but_a_request_is_answered() -> None:
    for type_byte in range(256):
        for other in range(256):
            if answers(type_byte, other):
                assert DEFINITIONS[type_byte].role is Role.REPLY
                assert DEFINITIONS[other].role is Role.REQUEST


def test_a_type_byte_is_given_once() -> None:
    with pytest.raises(LayoutError, match="Again: type byte 0x02 already belongs to StatusRequest"):

        @request(0x02, Struct())
        class Again(Message, frozen=True):
            pass


@pytest.mark.parametrize(
    ("decorator", "role"),
    [
        (request(0x00, Struct()), "request"),
        (request(0x80, Struct()), "request"),
        (reply(0x7F, Struct(), to=[]), "reply"),
        (reply(0xC9, Struct(), to=[]), "reply"),
        (notification(0xBF, Struct()), "notification"),
        (notification(0x100, Struct()), "notification"),
    ],
)
def test_a_type_byte_outside_its_range_is_refused(decorator, role: str) -> None:
    class Stray(Message, frozen=True):
        pass

    with pytest.raises(LayoutError, match=f"is outside the range of a {role}"):
        decorator(Stray)


def test_a_refused_message_leaves_no_trace() -> None:
    class Wrong(Message, frozen=True):
        pass

    with pytest.raises(LayoutError):
        request(0x7E, Struct("a" / Int8ul))(Wrong)
    assert 0x7E not in DEFINITIONS


def test_an_unknown_type_has_no_message() -> None:
    with pytest.raises(DecodeError, match="message type 0x7E is unknown"):
        decode_payload(0x7E, b"")
