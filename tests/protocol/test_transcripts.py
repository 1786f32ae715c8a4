"""Both sessions against transcripts written by hand, those of docs/protocol.md included."""

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest

import protocol
from protocol import (
    BULK_RECORDS,
    TEST_KEY,
    BulkData,
    BulkInformation,
    BulkObject,
    CommandResult,
    CommandState,
    Description,
    DeviceGuard,
    DeviceRequest,
    DeviceSession,
    EventCode,
    EventRecord,
    Handshake,
    HandshakeFailed,
    Hello,
    HelloRequest,
    HostEvent,
    HostHandshake,
    HostSession,
    Lease,
    Message,
    Nak,
    NakReason,
    Refused,
    RejectCause,
    Reply,
    read_schema,
)

HERE = Path(__file__).parent
FILES = sorted((HERE / "transcripts").glob("*.txt"))
REFERENCE = HERE.parents[1] / "docs" / "protocol.md"
MessageT = TypeVar("MessageT", bound=Message)


@dataclass(frozen=True)
class Line:
    """One step: what happens when, and for a frame its content if the comment above gives it."""

    number: int
    time_s: float
    verb: str
    argument: str
    content: str


def steps(text: str) -> Iterator[Line]:
    """The steps of a transcript; an indented line continues the one above, a comment of hex alone is a content."""
    joined = re.sub(r"\n {2,}(?=\S)", " ", re.sub(r"\n# {2,}(?=[0-9A-F]{2}\b)", "\n#= ", text))
    content = ""
    for number, line in enumerate(joined.splitlines(), start=1):
        if line.startswith("#= "):
            content += line[3:] + " "
        elif line and not line.startswith("#"):
            match = re.fullmatch(r"([\d.]+) ([<>][x+]?|host polls|(?:host|device) \w+(?=:)):? ?(.*)", line)
            assert match, f"not a transcript line: {line!r}"
            yield Line(number, float(match[1]), match[2], match[3].strip(), content)
            content = ""


class Play:
    """Both sessions, each fed what the page says arrives, and held to what the page says it does."""

    def __init__(self) -> None:
        self.host = HostSession()
        self.device = DeviceSession()
        self.guard = DeviceGuard(bytes)
        self.hello_request: HelloRequest | None = None
        self.events: list[HostEvent] = []
        self.requests: list[DeviceRequest] = []
        self.heard: list[HostEvent] = []

    def step(self, line: Line) -> None:
        now, argument = line.time_s, line.argument
        match line.verb:
            case "host asks":
                message = evaluated(argument)
                self.hello_request = message if isinstance(message, HelloRequest) else self.hello_request
                self.host.request(message, now)
            case "host polls":
                self.events += self.host.poll(now)
            case "host gets":
                self.heard.append(self.events.pop(0))
                assert self.heard[-1] == evaluated(argument)
            case "host secures":
                self.host.secure(self.handshake(argument).accept(self.replies(Handshake)[-1]))
            case "host doubts":
                with pytest.raises(HandshakeFailed):
                    self.handshake(argument).accept(self.replies(Handshake)[-1])
            case "host leaves":
                assert self.host.is_denied
                self.host.abandon()
                self.host.secure(None)
            case "device holds":
                key, *nonces = evaluated(argument)
                drawn = iter(nonces)
                self.guard = DeviceGuard(lambda size: next(drawn), key)
                self.device = DeviceSession(self.guard)
            case "device resets":
                self.device = DeviceSession(self.guard)
            case "device trusts":
                assert self.requests.pop(0) == DeviceRequest(*seq_and_message(argument), is_sealed=True)
            case "device sees":
                assert self.requests.pop(0) == DeviceRequest(*seq_and_message(argument))
            case "device answers":
                self.device.reply(*seq_and_message(argument))
            case "device notifies":
                self.device.notify(evaluated(argument))
            case ">" | ">x" | ">+" as way:
                if way != ">+":
                    assert self.host.data_to_send() == bytes.fromhex(argument)
                if way != ">x":
                    self.requests += self.device.receive(bytes.fromhex(argument), now)
            case "<" | "<x" | "<+" as way:
                if way != "<+":
                    assert self.device.data_to_send() == bytes.fromhex(argument)
                if way != "<x":
                    self.events += self.host.receive(bytes.fromhex(argument), now)
            case other:
                pytest.fail(f"no such step: {other}")

    def play(self, text: str) -> "Play":
        for line in steps(text):
            try:
                self.step(line)
            except AssertionError as error:
                raise AssertionError(
                    f"step {line.number}, {line.time_s} {line.verb} {line.argument}: {error}"
                ) from None
        assert (self.events, self.requests) == ([], []), "the page does not mention these"
        assert (self.host.data_to_send(), self.device.data_to_send()) == (b"", b""), "the page does not mention these"
        return self

    def handshake(self, argument: str) -> HostHandshake:
        """The host's half, from the HELLO that went before."""
        key, host_nonce = evaluated(argument)
        assert self.hello_request
        return HostHandshake(key, self.hello_request, self.replies(Hello)[-1], host_nonce)

    def replies(self, kind: type[MessageT]) -> list[MessageT]:
        """The replies of a kind that the host got."""
        return [each.message for each in self.heard if isinstance(each, Reply) and isinstance(each.message, kind)]


def evaluated(expression: str):
    return eval(expression, dict(vars(protocol)))


def seq_and_message(argument: str):
    seq, _, expression = argument.partition(" ")
    return int(seq), evaluated(expression)


def documented() -> list[str]:
    return re.findall(r"^```transcript\n(.*?)^```", REFERENCE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def transcripts() -> list:
    files = [pytest.param(path.read_text(encoding="utf-8"), id=path.stem) for path in FILES]
    return files + [pytest.param(text, id=f"docs-{number}") for number, text in enumerate(documented())]


@pytest.mark.parametrize("text", transcripts())
def test_both_sessions_do_what_the_transcript_says(text: str) -> None:
    Play().play(text)


@pytest.mark.parametrize("text", transcripts())
def test_the_wire_bytes_of_the_transcript_are_its_content_under_crc_and_cobs(
    text: str, wire: Callable[[str], bytes]
) -> None:
    frames = [line for line in steps(text) if line.verb[0] in "<>" and line.content]
    assert frames
    for line in frames:
        assert bytes.fromhex(line.argument) == wire(line.content), f"step {line.number}, content {line.content}"


def transcript(name: str) -> str:
    return (HERE / "transcripts" / f"{name}.txt").read_text(encoding="utf-8")


def test_the_reference_has_a_worked_session() -> None:
    assert len(documented()) == 1


def test_late_and_duplicate_replies_are_counted() -> None:
    play = Play().play(transcript("lost-request-and-late-reply"))
    assert (play.host.retries, play.host.stale_replies) == (2, 1)
    assert (play.device.repeats_pending, play.device.replays) == (1, 1)


def test_foreign_replies_and_echoes_are_counted() -> None:
    play = Play().play(transcript("notifications-and-foreign-replies"))
    assert (play.host.mismatched_replies, play.host.stale_replies, play.host.echoes) == (1, 1, 1)


def test_damage_is_counted_and_answered_by_nothing() -> None:
    play = Play().play(transcript("bolus-on-a-noisy-line"))
    assert play.device.decoder.reject_counts == {RejectCause.CRC: 1}


def test_refused_frames_are_named_and_echoes_are_not_answered() -> None:
    play = Play().play(transcript("refusals"))
    assert [reject.cause.name for reject in play.device.decoder.rejects] == [
        "UNKNOWN_TYPE",
        "PAYLOAD",
        "LENGTH",
        "VERSION",
        "UNKNOWN_TYPE",
    ]
    assert play.device.echoes == 2


def test_the_old_sessions_answer_is_dropped_and_the_new_ones_retry_is_answered() -> None:
    play = Play().play(transcript("one-seq-in-two-sessions"))
    assert (play.device.dropped_replies, play.device.replays) == (1, 1)


def test_a_count_that_contradicts_the_payload_is_malformed() -> None:
    play = Play().play(transcript("flex-therapy"))
    assert [reject.cause for reject in play.device.decoder.rejects] == [RejectCause.PAYLOAD]


def test_the_pieces_of_a_description_are_the_schema_that_hello_announced() -> None:
    play = Play().play(transcript("described-layouts"))
    (hello,), pieces = play.replies(Hello), play.replies(Description)
    document = b"".join(piece.data for piece in pieces)
    assert [piece.offset for piece in pieces] == [0, len(pieces[0].data)]
    assert len(document) == pieces[0].total_bytes
    assert read_schema(document, hello.schema_hash).values["Mode"]["FLEX"] == 3


RECORDS = (
    EventRecord(7, 3, 0x1000, EventCode.BOOT, 0),
    EventRecord(8, 3, 0x2000, EventCode.STARTED, 42),
)


@pytest.mark.parametrize(
    ("name", "records"), [("bulk-read-resumed", RECORDS), ("bulk-read-after-a-reset", RECORDS[1:])]
)
def test_the_pieces_of_a_bulk_object_are_its_records_with_crc_and_hash(
    name: str, records: tuple[EventRecord, ...], crc32c: Callable[[bytes], int]
) -> None:
    play = Play().play(transcript(name))
    (information,), pieces = play.replies(BulkInformation), play.replies(BulkData)
    data = b"".join(piece.data for piece in pieces)
    assert (len(data), hashlib.sha256(data).digest()) == (information.size_bytes, information.sha256)
    size = information.record_bytes
    found = [data[start : start + size] for start in range(0, len(data), size)]
    assert [int.from_bytes(each[-4:], "little") for each in found] == [crc32c(each[:-4]) for each in found]
    decode = BULK_RECORDS[BulkObject.EVENT_LOG].codec.decode
    assert tuple(decode(each[:-4]) for each in found) == records
    assert information.first_index == records[0].index
    assert information.records == len(records)


def test_the_lease_is_refused_to_the_second_session_which_is_not_told_its_id() -> None:
    heard = [frame.message for frame in frames_to_host("control-lease")]
    assert [each.reason for each in heard if isinstance(each, Nak)] == [NakReason.LEASE_HELD] * 2
    leases = [each for each in heard if isinstance(each, Lease)]
    assert [each.remaining_ms > 0 for each in leases] == [True, True, True, False]
    assert [each.lease_id for each in leases] == [0x0102030405060708, 0, 0x0102030405060708, 0]


def test_an_acknowledgement_is_an_event_before_it_is_answered() -> None:
    kinds = [type(frame.message).__name__ for frame in frames_to_host("alarms-acknowledged")]
    assert kinds.index("Event") < kinds.index("Ack")


def test_what_was_not_announced_is_refused_as_unsupported() -> None:
    play = Play().play(transcript("unsupported"))
    assert {each.nak.reason for each in play.heard if isinstance(each, Refused)} == {NakReason.UNSUPPORTED}


def test_of_a_sealed_session_strangers_get_nothing_and_all_is_counted() -> None:
    play = Play().play(transcript("sealed-session"))
    assert (play.device.forged, play.device.replayed, play.device.replays) == (1, 1, 1)
    assert (play.host.forged_frames, play.host.replayed_frames, play.host.is_denied) == (2, 0, False)


def test_after_a_reset_the_host_is_denied_and_the_old_session_is_forged() -> None:
    play = Play().play(transcript("sealed-session-after-a-reset"))
    assert (play.device.forged, play.device.replayed) == (1, 0)
    assert play.replies(CommandResult)[-1].state is CommandState.UNKNOWN


def test_a_changed_hello_and_guessed_confirmations_open_nothing() -> None:
    play = Play().play(transcript("handshake-refused"))
    assert (play.device.forged, play.device.is_sealed, play.host.is_secured) == (5, False, False)


@pytest.mark.parametrize("name", ["sealed-session", "sealed-session-after-a-reset", "handshake-refused"])
def test_proofs_and_trailers_of_the_transcripts_are_those_of_the_second_implementation(name: str, second_keys) -> None:
    payloads: dict[int, bytes] = {}
    keys, verified = None, 0
    for line in steps(transcript(name)):
        content = bytes.fromhex(line.content.replace("|", ""))
        if not content or line.verb in (">+", "<+"):
            continue
        if content[0] == 0x10:
            payloads[content[1]] = content[6:]
            if content[1] == Handshake.TYPE and line.verb == "<":
                hello = payloads[0x01] + payloads[0x81]
                keys = second_keys(TEST_KEY, payloads[0x28], content[6:22], hello)
                assert content[22:] == keys.proof
        else:
            assert keys is not None
            counter = int.from_bytes(content[-12:-8], "little")
            assert content[-12:] == keys.trailer(content[:-12], counter, to_device=line.verb.startswith(">"))
            verified += 1
    assert verified or name == "handshake-refused"


def frames_to_host(name: str) -> list[protocol.Frame]:
    wire = b"".join(bytes.fromhex(line.argument) for line in steps(transcript(name)) if line.verb.startswith("<"))
    return protocol.StreamDecoder().feed(wire)
