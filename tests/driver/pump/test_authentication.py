"""A pump with a key: who may give it orders, what is refused in which words, and what a reset or a stranger changes."""

from __future__ import annotations

import msgspec
import pytest

from driver import (
    BolusLimits,
    Continuous,
    DoseNotStarted,
    DoseState,
    DoseUncertain,
    DowngradeRefused,
    HandshakeRefused,
    KeyFile,
    KeysInMemory,
    KeyStoreError,
    LinkTimeout,
    NotAuthenticated,
    Pump,
    TestKeyRefused,
    VersionMismatch,
    WrongDevice,
    WrongKey,
)
from protocol import (
    TEST_KEY,
    Ack,
    Alarm,
    Calibration,
    Capability,
    CommandResult,
    CommandResultRequest,
    CommandState,
    Commit,
    Handshake,
    HandshakeConfirm,
    HandshakeRequest,
    Hello,
    HelloRequest,
    Mode,
    Nak,
    NakReason,
    StatusRequest,
    Stop,
    Stopped,
    Stream,
    StreamDecoder,
    Subscribe,
    encode,
    encode_frame,
    encode_payload,
)
from protocol.wire import FLAG_TRAILER

KEY, ANOTHER = bytes(range(16)), bytes(range(16, 32))


@pytest.fixture
def keyed(device, wire, open_pump):
    """Opens the hand-made pump, which has KEY, with that key unless told otherwise; with a nonce, a simulated one."""
    device.guard.key = KEY

    def open_it(key=KEY, **options):
        if "host_nonce" in options:
            wire.is_simulated = True
        return open_pump(key=key, **options)

    return open_it


def sent(wire, message):
    return wire.log.count(f"sent {message.__name__}")


def test_with_the_key_all_goes_on_sealed(keyed, wire, device):
    with keyed() as pump:
        assert pump.is_authenticated
        began = len(device.requests)
        assert pump.bolus(1.0).state == DoseState.DELIVERED
        assert pump.stop().steps == 4711
    assert len(device.requests) > began
    assert device.session.forged == device.session.replayed == 0


def test_every_frame_behind_the_handshake_has_a_trailer_both_ways(keyed, wire, monkeypatch):
    crossed = []
    passed = type(wire)._pass

    def watched(self, frame, deliver):
        crossed.append((type(frame.message), frame.trailer is not None))
        passed(self, frame, deliver)

    monkeypatch.setattr(type(wire), "_pass", watched)
    with keyed() as pump:
        pump.start(Continuous(20.0))
        pump.subscribe(1.0)
    plain = {message.__name__ for message, has_trailer in crossed if not has_trailer}
    assert plain == {"HelloRequest", "Hello", "HandshakeRequest", "Handshake"}
    assert (HandshakeConfirm, True) in crossed


@pytest.mark.parametrize("observe", [False, True])
def test_without_the_key_a_pump_is_open_for_reading(keyed, observe):
    with keyed(KeysInMemory(), observe=observe) as pump:
        assert not pump.is_authenticated
        assert pump.status().boot_id == 1
        assert pump.calibration().generation == 3
        assert pump.alarms().entries == ()
        assert pump.control().remaining_ms == 0
        assert pump.therapy() is None


CHANGES = {
    "start": lambda pump: pump.start(Continuous(20.0)),
    "bolus": lambda pump: pump.bolus(1.0),
    "prime": lambda pump: pump.prime(1.0),
    "refill": lambda pump: pump.refill(1000.0),
    "limits": lambda pump: pump.write_patient_bolus_limits(BolusLimits(1.0, 100.0, 60, 3, 3600, 9.0)),
    "calibration": lambda pump: pump.write_calibration(10.1),
    "stop": lambda pump: pump.stop(),
    "acknowledge": lambda pump: pump.acknowledge(Alarm.LOW_BATTERY),
    "self-test": lambda pump: pump.self_test(),
    "lease": lambda pump: pump.take_control(holder="bench"),
    "subscribe": lambda pump: pump.subscribe(1.0),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_without_the_key_what_changes_the_pump_is_refused_in_one_sentence_and_not_sent(keyed, wire, device, change):
    with keyed(KeysInMemory()) as pump:
        before = [entry for entry in wire.log if "StatusRequest" not in entry]
        with pytest.raises(NotAuthenticated) as caught:
            change(pump)
        assert [entry for entry in wire.log if "StatusRequest" not in entry] == before
    assert str(caught.value) == (
        "hand:pump: pump HAND-1 takes this only from who has its key, and memory has none for it, so it was not sent; "
        "pair the pump (thecabench pair), or fetch its key from the host that has it"
    )


def test_a_dose_in_doubt_stays_so_for_a_host_without_the_key(keyed, wire, device):
    killed = keyed()
    wire.fault("lose", CommandResult, times=99)
    with pytest.raises(DoseUncertain):
        killed.bolus(1.0)
    killed.journal.release()
    wire.faults.clear()
    asked = sent(wire, CommandResultRequest)
    with keyed(KeysInMemory()) as pump:
        assert pump.uncertain_doses == (1,)
    assert sent(wire, CommandResultRequest) == asked
    with keyed() as pump:
        assert pump.uncertain_doses == ()


def test_a_dose_is_resolved_by_what_the_pump_has_sealed_and_by_nothing_else(keyed, wire, device, clock):
    """Whoever says on the line that it was done, or never seen, is not believed."""
    with keyed(host_nonce=1) as pump:
        session = pump._link.session
        wire.fault("lose", CommandResult, times=99)
        for said in (CommandState.DONE, CommandState.UNKNOWN):
            for seq in range(1, 100):
                lie = encode(CommandResult(1, said, 0.0, 0.0, 7), seq=seq)
                clock.after(0.1, lambda lie=lie: wire.send_raw(lie))
        with pytest.raises(DoseUncertain):
            pump.bolus(1.0, wait=False)
        assert session.forged_frames == 2 * 99
        wire.faults.clear()
        assert pump.dose(1).state in (DoseState.DELIVERED, DoseState.PENDING)
    assert device.commits == [1]


def test_a_key_here_and_none_at_the_pump_is_refused_not_talked_down(keyed, device, wire):
    device.hello = {"capabilities": Capability.BOLUS}
    with pytest.raises(DowngradeRefused) as caught:
        keyed()
    assert "memory" not in str(caught.value)
    assert str(caught.value).startswith(
        "hand:pump: the program has a key for pump HAND-1, and what answers as HAND-1 does not ask for one"
    )
    assert sent(wire, HandshakeRequest) == 0


def test_a_pump_without_a_key_is_refused_where_a_store_has_one(open_pump, wire, tmp_path):
    store = KeyFile(tmp_path / "keys.toml")
    store.replace("HAND-1", [KEY])
    with pytest.raises(DowngradeRefused, match=r"keys\.toml has a key for pump HAND-1"):
        open_pump(key=store)
    store.replace("HAND-1", [])
    store.replace("HAND-2", [KEY])
    with open_pump(key=store) as pump:
        assert not pump.is_authenticated


def test_the_users_own_keys_are_the_default(device, open_pump, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("APPDATA", str(tmp_path))
    device.guard.key = KEY
    KeyFile.in_default_directory().replace("HAND-1", [KEY])
    with open_pump(key=None) as pump:
        assert pump.is_authenticated


def test_where_the_keys_cannot_be_read_a_pump_without_one_is_stopped_by_whoever_names_its_key(
    device, open_pump, tmp_path
):
    path = tmp_path / "keys.toml"
    path.write_text("text")
    path.chmod(0o600)
    running = open_pump()
    running.start(Continuous(20.0))
    with pytest.raises(KeyStoreError, match=r"keys\.toml: this is no TOML"):
        open_pump(key=KeyFile(path), observe=True)
    assert device.mode == Mode.CONTINUOUS
    with open_pump(key=KeysInMemory(), observe=True) as pump:
        pump.stop()
    assert device.mode == Mode.STOPPED
    running.close()


def test_a_wrong_key_opens_nothing_and_nothing_that_depends_on_it_is_sent(keyed, wire, device):
    with pytest.raises(WrongKey) as caught:
        keyed(ANOTHER)
    assert str(caught.value).startswith("hand:pump: pump HAND-1 does not prove the key that the program has for it; it")
    assert sent(wire, HandshakeConfirm) == 0
    for key in (KEY, ANOTHER):
        assert key.hex() not in str(caught.value)
        assert repr(key) not in repr(caught.value)


def test_the_newer_of_two_keys_or_the_older_opens(keyed, tmp_path):
    store = KeyFile(tmp_path / "keys.toml")
    for keys in ([KEY, ANOTHER], [ANOTHER, KEY]):
        store.replace("HAND-1", keys)
        with keyed(store) as pump:
            assert pump.is_authenticated


def test_the_key_of_simulated_pumps_opens_no_port_that_does_not_end_in_this_program(keyed, device, wire, tmp_path):
    device.guard.key = TEST_KEY
    store = KeyFile(tmp_path / "keys.toml")
    store.replace("HAND-1", [TEST_KEY])
    for key in (TEST_KEY, store):
        with pytest.raises(TestKeyRefused, match="the test key for pump HAND-1, which is public and opens nothing but"):
            keyed(key)
    wire.is_simulated = True
    with keyed(TEST_KEY) as pump:
        assert pump.is_authenticated


def test_locked_handshakes_are_told_with_the_pumps_words(keyed, device, wire):
    device.receive(encode(HelloRequest(1, 0, 5), seq=9))
    for seq in range(5):
        device.receive(encode(HandshakeRequest(bytes(16)), seq=10 + seq))
        device.receive(_sealed_wrongly(HandshakeConfirm()))
    with pytest.raises(
        HandshakeRefused, match=r"takes no handshake now \(no handshake for \d+ s: too many went wrong\)"
    ):
        keyed()


def _sealed_wrongly(message):
    return encode_frame(message.TYPE, 1, encode_payload(message), trailer=b"\1\0\0\0" + bytes(8))


@pytest.mark.parametrize("kind", ["lose", "corrupt", "duplicate"])
@pytest.mark.parametrize("message", [HelloRequest, HandshakeRequest, Handshake, HandshakeConfirm, Ack])
def test_a_bad_frame_of_the_handshake_costs_a_retry(keyed, wire, kind, message):
    wire.fault(kind, message)
    with keyed() as pump:
        assert pump.status().boot_id == 1


def test_a_reset_within_the_handshake_costs_another_round(keyed, wire, device, clock):
    for moment in (HandshakeRequest, HandshakeConfirm):
        wire.fault("delay", moment, delay_s=0.1)
        clock.after(0.05, device.reset)
        with keyed() as pump:
            assert pump.is_authenticated


def test_a_late_hello_of_an_earlier_session_between_hello_and_handshake_costs_another_round(keyed, device, wire, clock):
    wire.fault("delay", HandshakeRequest, delay_s=0.1)
    clock.after(0.05, lambda: device.receive(encode(HelloRequest(1, 0, 77), seq=78)))
    with keyed() as pump:
        assert pump.is_authenticated


CHANGED_HELLOS = {
    "without authentication": {"capabilities": Capability.BOLUS},
    "of another pump": {"serial_number": "HAND-2"},
    "of another schema": {"schema_hash": bytes(8)},
    "of another major version": {"protocol_major": 2},
    "of another boot": {"boot_id": 9},
}


def change_hello(wire, changes, *, times):
    """Somebody on the line changes the next answers to HELLO."""
    passed, left = wire._pass, [None] * times

    def changed(frame, deliver):
        if frame.type == Hello.TYPE and left:
            left.pop()
            deliver(encode(msgspec.structs.replace(frame.message, **changes), seq=frame.seq))
        else:
            passed(frame, deliver)

    wire._pass = changed


def refuse(wire, message, reason):
    """Somebody on the line refuses the next request that `message` answers, ahead of the pump."""
    passed, left = wire._pass, [message.TYPE]

    def refused(frame, deliver):
        if frame.type in left:
            left.clear()
            deliver(encode(Nak(reason, "go away"), seq=frame.seq))
        passed(frame, deliver)

    wire._pass = refused


@pytest.mark.parametrize("reason", [NakReason.SEQ_REUSED, NakReason.RATE_LIMITED, NakReason.UNAUTHENTICATED])
@pytest.mark.parametrize("message", [Hello, Handshake])
def test_a_forged_refusal_while_it_is_opened_costs_a_round(keyed, device, wire, clock, message, reason):
    refuse(wire, message, reason)
    with keyed() as pump:
        assert pump.is_authenticated
        pump.start(Continuous(20.0))
        device.reset()
        device.commands[1].state = CommandState.RUNNING
        refuse(wire, message, reason)
        pump.stop()
        assert device.mode == Mode.STOPPED
    assert clock.monotonic() < 5.0


@pytest.mark.parametrize("changes", CHANGED_HELLOS.values(), ids=CHANGED_HELLOS)
def test_a_hello_that_is_changed_on_the_line_costs_rounds(keyed, device, wire, clock, changes):
    change_hello(wire, changes, times=1)
    with keyed(expect_serial="HAND-1") as pump:
        assert pump.is_authenticated
        assert pump.identity.serial_number == "HAND-1"
        pump.start(Continuous(20.0))
        device.reset()
        device.commands[1].state = CommandState.RUNNING
        change_hello(wire, changes, times=1)
        pump.stop()
        assert device.mode == Mode.STOPPED


@pytest.mark.parametrize("changes", CHANGED_HELLOS.values(), ids=CHANGED_HELLOS)
def test_a_hello_that_is_always_changed_opens_nothing(keyed, wire, changes):
    change_hello(wire, changes, times=99)
    with pytest.raises((DowngradeRefused, WrongDevice, VersionMismatch, WrongKey)):
        keyed(expect_serial="HAND-1")
    assert sent(wire, HandshakeConfirm) == 0


def test_a_nonce_that_is_known_is_refused_at_every_port_but_a_simulated_one(open_pump, wire, tmp_path):
    for port in ("socket://127.0.0.1:1", "/dev/null"):
        with pytest.raises(ValueError, match=f"^{port}: a host_nonce is given only to a pump simulated in the same"):
            Pump.open(port, observe=True, host_nonce=1)
    with pytest.raises(ValueError, match=r"^hand:pump: a host_nonce is given only to"):
        open_pump(host_nonce=1)
    assert wire.log == []
    wire.is_simulated = True
    with open_pump(host_nonce=1) as pump:
        assert pump.status().boot_id == 1


def test_what_came_unasked_before_the_handshake_proves_nothing_and_is_not_handed_out(keyed, wire, event):
    wire.send_raw(encode(event(3)))
    with keyed() as pump:
        assert pump.telemetry().events == ()
        wire.send_unasked(event(4))
        wire.send_raw(encode(event(5)))
        pump.status()
        assert [item.sequence for item in pump.telemetry().events] == [4]


def test_after_a_reset_of_the_pump_reading_goes_on_by_itself(keyed, device, wire):
    with keyed() as pump:
        device.reset()
        assert pump.status().boot_id == 2
        assert pump.is_authenticated
        assert pump.calibration().generation == 3
    assert sent(wire, HelloRequest) == 2


def test_a_commit_that_a_reset_swallowed_is_asked_for_by_id_and_never_sent_again(keyed, device, wire, clock):
    with keyed() as pump:
        wire.fault("delay", Commit, delay_s=0.1)
        clock.after(0.05, device.reset)
        with pytest.raises(DoseNotStarted):
            pump.bolus(1.0)
        assert sent(wire, Commit) == 1
        assert sent(wire, CommandResultRequest) == 1
        assert pump.bolus(1.0).state == DoseState.DELIVERED
    assert device.commits == [2]


def test_a_commit_whose_reply_a_reset_swallowed_is_settled_by_the_pumps_evidence(keyed, device, wire, clock):
    with keyed() as pump:
        wire.fault("lose", CommandResult)
        clock.after(0.3, device.reset)
        dose = pump.bolus(1.0)
    assert dose.state in (DoseState.PARTLY, DoseState.NOT_DELIVERED)
    assert device.commits == [1]
    assert sent(wire, Commit) == 2  # the second is the session's own retry, which the pump no longer understood


def test_stop_after_a_reset_opens_another_session_and_goes_out(keyed, device, wire):
    with keyed() as pump:
        pump.start(Continuous(20.0))
        device.reset()
        device.commands[1].state = CommandState.RUNNING  # basal resumes
        pump.stop()
        assert device.mode == Mode.STOPPED
    assert sent(wire, HandshakeConfirm) == 2


def test_stop_after_a_reset_and_on_a_bad_line_gets_through_within_its_rounds(keyed, device, wire):
    with keyed() as pump:
        pump.start(Continuous(20.0))
        device.reset()
        device.commands[1].state = CommandState.RUNNING
        wire.fault("lose", Stop, times=2)
        wire.fault("lose", HelloRequest, times=2)
        wire.fault("lose", Handshake)
        wire.fault("lose", Stopped)
        pump.stop()
    assert device.mode == Mode.STOPPED


def test_stop_goes_out_in_the_old_session_where_no_other_can_be_had(keyed, device, wire):
    """Silence may be the line's fault alone: then the old session is as good as ever, and HELLO only costs time."""
    with keyed() as pump:
        pump.start(Continuous(20.0))
        wire.fault("lose", StatusRequest, times=3)
        with pytest.raises(LinkTimeout):
            pump.status()
        wire.fault("lose", HelloRequest, times=99)
        pump.stop()
        assert device.mode == Mode.STOPPED


def test_stop_goes_out_in_the_old_session_before_another_is_asked_for(keyed, device, wire, clock):
    """Silence proves nothing about the session, and HELLO with its handshake may take many seconds on a bad line."""
    with keyed() as pump:
        pump.start(Continuous(20.0))
        wire.fault("lose", StatusRequest, times=3)
        with pytest.raises(LinkTimeout):
            pump.status()
        wire.fault("lose", Handshake, times=99)
        modes_soon = []
        clock.after(0.1, lambda: modes_soon.append(device.mode))
        pump.stop()
        assert modes_soon == [Mode.STOPPED]


def test_stop_gets_through_though_somebody_denies_the_session_and_has_locked_the_handshakes(keyed, device, wire, clock):
    """Both take no key; the session that they deny is still in force."""
    with keyed(host_nonce=1) as pump:
        pump.start(Continuous(20.0))
        device.guard._locked_until_s = clock.monotonic() + 30.0
        wire.fault("lose", Stop)
        denials = b"".join(encode(Nak(NakReason.UNAUTHENTICATED, ""), seq=seq) for seq in range(50))
        clock.after(0.01, lambda: wire.send_raw(denials))
        pump.stop()
        assert device.mode == Mode.STOPPED


def test_a_forged_refusal_costs_a_new_session_and_is_never_taken_for_the_pumps_word(keyed, device, wire, clock):
    """A plain NAK proves nothing: the COMMIT that it seems to refuse was carried out."""
    with keyed(host_nonce=1) as pump:
        wire.fault("delay", CommandResult, delay_s=0.2)
        for reason in (NakReason.BAD_TOKEN, NakReason.UNAUTHENTICATED):
            refusals = b"".join(encode(Nak(reason, "no"), seq=seq) for seq in range(50))
            clock.after(0.1, lambda refusals=refusals: wire.send_raw(refusals))
        assert pump.bolus(1.0).state == DoseState.DELIVERED
    assert device.commits == [1]
    assert sent(wire, HandshakeConfirm) == 2


def test_the_session_of_another_holder_of_the_key_is_met_with_one_of_our_own(keyed, device, wire):
    with keyed(observe=True) as ours, keyed(observe=True) as theirs:
        assert theirs.status().boot_id == 1
        with pytest.raises(LinkTimeout):
            ours.status()
        assert ours.status().boot_id == 1


def test_a_lease_goes_on_and_streams_begin_anew_in_the_next_session(keyed, device, wire):
    with keyed() as pump:
        pump.take_control(60.0, holder="bench")
        pump.subscribe(1.0)
        wire.fault("lose", StatusRequest, times=3)
        with pytest.raises(LinkTimeout):
            pump.status()
        assert pump.status().boot_id == 1
        assert not device.may_control
        pump.service()
        assert device.may_control
        assert pump.start(Continuous(20.0)).state == DoseState.PENDING
        asked = [request for request in device.requests if isinstance(request, Subscribe)]
        assert asked == [Subscribe(Stream.TELEMETRY, 1000)] * 2
        device.reset()
        pump.status()
        pump.telemetry()
        assert [request for request in device.requests if isinstance(request, Subscribe)] == asked


def test_another_pump_after_a_reset_is_not_taken_for_the_one_before(keyed, device):
    with keyed() as pump:
        device.reset()
        device.hello = {"serial_number": "HAND-2"}
        with pytest.raises(WrongDevice, match="pump HAND-2 answers here now, and it was HAND-1"):
            pump.status()


def test_a_pump_that_comes_back_without_its_key_is_refused(keyed, device):
    with keyed() as pump:
        device.reset()
        device.guard.key = None
        with pytest.raises(LinkTimeout):
            pump.status()
        with pytest.raises(DowngradeRefused):
            pump.status()


def test_a_failed_attempt_to_open_another_session_leaves_the_old_one_usable(keyed, device, wire, clock):
    with keyed(host_nonce=1) as pump:
        refusals = b"".join(encode(Nak(NakReason.UNAUTHENTICATED, ""), seq=seq) for seq in range(50))
        clock.after(0.0005, lambda: wire.send_raw(refusals))
        wire.fault("lose", HelloRequest, times=3)
        with pytest.raises(LinkTimeout):
            pump.status()
        assert pump.status().boot_id == 1


def test_a_used_up_session_is_followed_by_another(keyed, device):
    with keyed() as pump:
        session = pump._link.session
        session._sealer._counter = 0xFFFFFFFD
        device.guard._verifier._counter = 0xFFFFFFFD
        assert pump.status().boot_id == 1
        assert pump._link.session is not session


def test_the_trailer_flag_is_what_the_wire_shows(keyed, wire):
    """What `is_authenticated` says is seen on the wire: COBS leaves the first byte of a frame as it is."""
    with keyed() as pump:
        seen = []
        wire.carrier.to_host, before = lambda data: (seen.append(data), before(data)), wire.carrier.to_host
        pump.calibration()
        wire.carrier.to_host = before
    frame = StreamDecoder().feed(b"".join(seen))[0]
    assert isinstance(frame.message, Calibration)
    assert seen[0][2] & FLAG_TRAILER
