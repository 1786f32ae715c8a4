"""Both sessions against transcripts written by hand, those of docs/protocol.md included."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import protocol
from protocol import DeviceRequest, DeviceSession, HostEvent, HostSession, RejectCause

HERE = Path(__file__).parent
FILES = sorted((HERE / "transcripts").glob("*.txt"))
REFERENCE = HERE.parents[1] / "docs" / "protocol.md"


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
        self.events: list[HostEvent] = []
        self.requests: list[DeviceRequest] = []

    def step(self, line: Line) -> None:
        now, argument = line.time_s, line.argument
        match line.verb:
            case "host asks":
                self.host.request(evaluated(argument), now)
            case "host polls":
                self.events += self.host.poll(now)
            case "host gets":
                assert self.events.pop(0) == evaluated(argument)
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
