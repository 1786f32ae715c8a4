"""Host and device on a line that loses, damages, repeats and delays: acted on at most once, answered rightly."""

from hypothesis import given
from hypothesis import strategies as st

from protocol import (
    CommandResult,
    CommandResultRequest,
    CommandState,
    DeviceSession,
    HostEvent,
    HostSession,
    Reply,
    TimedOut,
)

FATES = st.sampled_from(["arrives", "arrives", "lost", "damaged", "twice", "late"])


class Line:
    """One direction; each write meets the next fate, and what is late comes with the write after it."""

    def __init__(self, fates: list[str]) -> None:
        self._fates = iter(fates)
        self._late = b""

    def carries(self, data: bytes) -> bytes:
        if not data:
            return b""
        late, self._late = self._late, b""
        match next(self._fates, "arrives"):
            case "lost":
                return late
            case "damaged":
                return late + data[:5] + bytes([data[5] ^ 0x40]) + data[6:]
            case "twice":
                return late + data + data
            case "late":
                self._late = data
                return late
        return late + data


@given(there=st.lists(FATES, max_size=30), back=st.lists(FATES, max_size=30))
def test_each_command_is_acted_on_at_most_once_and_answered_by_its_own_result(
    there: list[str], back: list[str]
) -> None:
    host, device = HostSession(timeout_s=1.0, attempts=3), DeviceSession()
    to_device, to_host = Line(there), Line(back)
    acted: list[int] = []
    now = 0.0
    for command_id in range(1, 9):
        host.request(CommandResultRequest(command_id), now)
        events: list[HostEvent] = []
        while not events:
            for request in device.receive(to_device.carries(host.data_to_send()), now):
                assert isinstance(request.message, CommandResultRequest)
                acted.append(request.message.command_id)
                device.reply(request.seq, CommandResult(request.message.command_id, CommandState.DONE, 0.0, 0.0, 9))
            events += host.receive(to_host.carries(device.data_to_send()), now)
            if not events:
                now += 1.0
                events += host.poll(now)
        (event,) = events
        if isinstance(event, Reply):
            assert isinstance(event.message, CommandResult)
            assert event.message.command_id == command_id
            assert command_id in acted
        else:
            assert event == TimedOut(event.seq, CommandResultRequest(command_id))
    assert len(acted) == len(set(acted))
