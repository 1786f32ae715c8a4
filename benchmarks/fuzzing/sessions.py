"""Fuzz targets: the device's session with a small responder, and the host's session with its timers."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, replace

from fuzzing.choices import Choices
from fuzzing.decoders import retained_bytes
from fuzzing.frames import NOTIFICATION_TYPES, REPLY_TYPES, REQUEST_TYPES, Sent, any_piece, any_sent, fitting_payload
from protocol import (
    DeviceRequest,
    DeviceSession,
    Frame,
    HelloRequest,
    HostSession,
    Message,
    Nak,
    NakReason,
    Notification,
    Refused,
    Reject,
    Reply,
    SessionError,
    StreamDecoder,
    TimedOut,
    decode_payload,
    encode_payload,
)
from protocol.device_session import REPLIES_KEPT
from protocol.registry import answers

MOST_PENDING = 24
MOST_RETAINED_BYTES = 541
ATTEMPTS = 3

Content = tuple[int, int, bytes]


def device_session(data: bytes) -> None:
    """Each request is handed up once, each repeat answered alike; what goes out is intact and answers what came in."""
    choices = Choices(data)
    device, model = DeviceSession(), _DeviceModel()
    while choices.left:
        if choices.below(4) == 0:
            _answer_oldest(choices, device, model)
        else:
            octets = _for_device(choices, model)
            handed = device.receive(octets, 0.0)
            model.check_handed(handed, StreamDecoder().scan(octets))
        while len(model.pending) > MOST_PENDING:
            _answer_oldest(choices, device, model)
        model.check_sent(device.data_to_send())
        assert retained_bytes(device.decoder) <= MOST_RETAINED_BYTES, "the decoder keeps more than one frame"
        assert device.data_to_send() == b"", "bytes to send are given twice"
    while model.pending:
        _answer_oldest(Choices(b""), device, model)
    model.check_sent(device.data_to_send())
    model.check_counts(device)


@dataclass(slots=True)
class _Waiting:
    """A request that was handed up; its reply goes nowhere once it is `lost`, by a new session or by sixteen others."""

    request: DeviceRequest
    content: Content
    lost: bool = False


class _DeviceModel:
    """What the reference says a device does with requests: rules 5 to 10 of a session."""

    def __init__(self) -> None:
        self.pending: deque[_Waiting] = deque()
        self.history: deque[Sent] = deque(maxlen=40)
        self.known: dict[int, _Waiting] = {}
        self.seen_seqs: set[int] = set()
        self.repeats = 0
        self.sent = 0
        self.echoes = 0
        self.replies = 0
        self.dropped = 0
        self.naks_due = 0
        self.notifications = 0

    def check_handed(self, handed: list[DeviceRequest], items: list[Frame | Reject]) -> None:
        """Go through what one chunk holds as the reference has it; the same requests must be handed up."""
        expected: list[_Waiting] = []
        for item in items:
            frame = item.frame if isinstance(item, Reject) else item
            if frame is None:
                continue
            content = (frame.type, frame.seq, frame.payload)
            self.seen_seqs.add(frame.seq)
            if frame.type >= 0x80:
                self.echoes += 1
            elif isinstance(item, Reject):
                self.naks_due += 1
            elif frame.seq in self.known and self.known[frame.seq].content == content:
                self.repeats += 1
            elif frame.type != HelloRequest.TYPE and frame.seq in self.known:
                self.naks_due += 1
            else:
                kept = 0 if frame.type == HelloRequest.TYPE else REPLIES_KEPT - 1
                while len(self.known) > kept:
                    self.known.pop(next(iter(self.known))).lost = True
                request = DeviceRequest(frame.seq, decode_payload(frame.type, frame.payload))
                self.known[frame.seq] = _Waiting(request, content)
                expected.append(self.known[frame.seq])
        assert list(map(repr, handed)) == [repr(waiting.request) for waiting in expected], "other requests come up"
        self.pending += expected

    def check_sent(self, octets: bytes) -> None:
        """Whole frames alone go out, and each answers something that came in."""
        decoder = StreamDecoder()
        frames = decoder.feed(octets)
        self.sent += len(frames)
        assert not decoder.rejects, f"the device sends what nobody reads: {decoder.rejects}"
        assert retained_bytes(decoder) == 0, "the device sends half a frame"
        assert all(frame.type >= 0xC0 or frame.seq in self.seen_seqs for frame in frames), "an answer to nothing"

    def check_counts(self, device: DeviceSession) -> None:
        """Nothing is lost without a count."""
        assert device.replays + device.repeats_pending == self.repeats, "the repeats do not add up"
        assert device.dropped_replies == self.dropped, "the dropped replies do not add up"
        assert device.echoes == self.echoes, "the echoes do not add up"
        answered = self.replies + device.replays + self.naks_due + self.notifications
        assert self.sent == answered, "the frames sent do not add up"


def _for_device(choices: Choices, model: _DeviceModel) -> bytes:
    match choices.below(8):
        case 0:
            return any_piece(choices)[0]
        case 1 | 2 if model.history:
            return model.history[-1 - choices.below(len(model.history))].on_the_wire()
        case 3:
            hello = encode_payload(HelloRequest(1, 0, choices.below(4)))
            sent = Sent(HelloRequest.TYPE, choices.below(4), hello)
        case _:
            sent = any_sent(choices, REQUEST_TYPES)
            sent = replace(sent, seq=sent.seq % (40 if choices.below(2) else 65536))
    model.history.append(sent)
    return sent.on_the_wire()


def _answer_oldest(choices: Choices, device: DeviceSession, model: _DeviceModel) -> None:
    if choices.below(16) == 1:
        type_byte = NOTIFICATION_TYPES[choices.below(len(NOTIFICATION_TYPES))]
        device.notify(decode_payload(type_byte, fitting_payload(choices, type_byte, choices.below(4))))
        model.notifications += 1
    if not model.pending:
        return
    waiting = model.pending.popleft()
    request_type, seq = waiting.request.message.TYPE, waiting.request.seq
    dropped = device.dropped_replies + waiting.lost
    model.dropped += waiting.lost
    model.replies += not waiting.lost
    if choices.below(8) == 1:
        wrong = _reply_of(choices, tuple(number for number in REPLY_TYPES if not answers(number, request_type)))
        try:
            device.reply(seq, wrong)
        except SessionError:
            assert not waiting.lost, "a reply into a lost session is refused"
        else:
            assert waiting.lost, "a reply of the wrong type goes out"
            assert device.dropped_replies == dropped, "a reply into a lost session is not counted"
            return
    device.reply(seq, _reply_to(choices, request_type))
    assert device.dropped_replies == dropped, "a reply is dropped although its request waits, or the other way round"


def host_session(data: bytes) -> None:
    """Each request ends once: answered, refused, timed out or abandoned; each notification is handed up once."""
    choices = Choices(data)
    host, model = HostSession(timeout_s=0.5, attempts=ATTEMPTS), HostModel()
    now = 0.0
    while choices.left:
        match choices.below(8):
            case 0 | 1:
                _ask(choices, host, model, now)
            case 2:
                now += choices.below(256) / 100
                model.check_events(host.poll(now), [])
                deadline = host.next_deadline()
                assert deadline is None or deadline > now, "poll leaves a deadline behind"
            case 3:
                if choices.below(4) == 1:
                    _ask(choices, host, model, now)
                    host.abandon()
                    model.outstanding.clear()
                    assert host.data_to_send() == b"", "abandoning leaves bytes to send"
            case _:
                octets = for_host(choices, model)
                frames = StreamDecoder().feed(octets)
                model.check_events(host.receive(octets, now), frames)
        model.check_sent(host.data_to_send())
        assert (host.next_deadline() is None) == (not model.outstanding), "a request is lost, or never ends"
        assert retained_bytes(host.decoder) <= MOST_RETAINED_BYTES, "the decoder keeps more than one frame"
    unused = host.stale_replies + host.mismatched_replies + host.echoes + host.unusable_frames
    assert model.frames == model.used + unused, "the frames received do not add up"
    assert host.retries == model.repeats, "the retries do not add up"


class HostModel:
    """Which requests wait, and how often each was sent."""

    def __init__(self) -> None:
        self.outstanding: dict[int, Message] = {}
        self.ended: deque[int] = deque(maxlen=8)
        self.sent: Counter[int] = Counter()
        self.repeats = 0
        self.frames = 0
        self.used = 0

    def check_events(self, events: list[Reply | Refused | TimedOut | Notification], frames: list[Frame]) -> None:
        """Each event belongs to a frame that came, or to a request that waits and waits no more."""
        self.frames += len(frames)
        notified = [event.message for event in events if isinstance(event, Notification)]
        came = [frame.message for frame in frames if frame.type >= 0xC0]
        assert list(map(repr, notified)) == list(map(repr, came)), "notifications are lost or doubled"
        self.used += len(notified)
        for event in events:
            if isinstance(event, Notification):
                continue
            request = self.outstanding.pop(event.seq, None)
            assert request is not None, f"request {event.seq} ends without having begun, or twice"
            self.ended.append(event.seq)
            if isinstance(event, TimedOut):
                assert event.message == request or repr(event.message) == repr(request), "another request timed out"
                assert self.sent[event.seq] == ATTEMPTS, "a request timed out before all its attempts"
                continue
            self.used += 1
            reply = event.nak if isinstance(event, Refused) else event.message
            assert answers(reply.TYPE, request.TYPE), "a reply of the wrong type is handed up"
            matching = [frame.message for frame in frames if frame.seq == event.seq and frame.type == reply.TYPE]
            assert repr(reply) in map(repr, matching), "a reply that did not come is handed up"

    def check_sent(self, octets: bytes) -> None:
        """Only requests that wait go out, in their own words, and no more often than allowed."""
        decoder = StreamDecoder()
        frames = decoder.feed(octets)
        assert not decoder.rejects, f"the host sends what nobody reads: {decoder.rejects}"
        assert retained_bytes(decoder) == 0, "the host sends half a frame"
        for frame in frames:
            request = self.outstanding.get(frame.seq)
            assert request is not None, f"request {frame.seq} is sent although it does not wait"
            assert encode_payload(request) == frame.payload, "a retry says something else"
            self.sent[frame.seq] += 1
            self.repeats += self.sent[frame.seq] > 1
            assert self.sent[frame.seq] <= ATTEMPTS, "a request is sent too often"


def _ask(choices: Choices, host: HostSession, model: HostModel, now: float) -> None:
    type_byte = REQUEST_TYPES[choices.below(len(REQUEST_TYPES))]
    message = decode_payload(type_byte, fitting_payload(choices, type_byte, choices.below(4)))
    try:
        seq = host.request(message, now)
    except SessionError:
        assert model.outstanding, "a request is refused although none waits"
        return
    assert 1 <= seq <= 0xFFFF, f"seq {seq} is none"
    assert seq not in model.outstanding, f"seq {seq} is taken"
    model.outstanding[seq] = message
    model.sent[seq] = 0


def for_host(choices: Choices, model: HostModel) -> bytes:
    waiting = next(iter(model.outstanding.items()), None)
    match choices.below(8):
        case 0 | 1 | 2 if waiting is not None:
            reply = _reply_to(choices, waiting[1].TYPE)
            octets = Sent(reply.TYPE, waiting[0], encode_payload(reply)).on_the_wire()
            return octets * (1 + choices.below(2))
        case 3 if waiting is not None:
            sent = any_sent(choices, REPLY_TYPES)
            return Sent(sent.type, waiting[0], sent.payload).on_the_wire()
        case 4 if model.ended:
            sent = any_sent(choices, REPLY_TYPES)
            return Sent(sent.type, model.ended[choices.below(len(model.ended))], sent.payload).on_the_wire()
        case 5:
            return any_sent(choices, NOTIFICATION_TYPES).on_the_wire() * (1 + choices.below(12))
    return any_piece(choices)[0]


def _reply_to(choices: Choices, request_type: int) -> Message:
    return _reply_of(choices, tuple(number for number in REPLY_TYPES if answers(number, request_type)))


def _reply_of(choices: Choices, types: tuple[int, ...]) -> Message:
    if not choices.left:
        return Nak(NakReason.BUSY, "busy") if Nak.TYPE in types else decode_payload(types[0], fitting_payload(
            choices, types[0], 0))  # fmt: skip
    type_byte = types[choices.below(len(types))]
    return decode_payload(type_byte, fitting_payload(choices, type_byte, choices.below(4)))
