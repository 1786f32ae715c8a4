"""The mock with a key: what it lets in, how it is paired, and what is left of the key after resets and lost memory."""

import pytest

from protocol import (
    Ack,
    Alarm,
    BulkObject,
    BulkOpen,
    BulkRead,
    BulkReader,
    Capability,
    CommandResult,
    Event,
    EventCode,
    HandshakeFailed,
    HandshakeRequest,
    Hello,
    HostSession,
    Lease,
    LeaseRequest,
    LeaseStatusRequest,
    Mode,
    Nak,
    NakReason,
    Paired,
    PairRequest,
    Proposal,
    ProposeBolus,
    ProposeContinuous,
    Status,
    StatusRequest,
    Stop,
    Stopped,
    Stream,
    StreamDecoder,
    Subscribe,
    Telemetry,
    encode,
    key_check,
)

KEY, NEXT = bytes(range(16)), bytes(range(16, 32))


@pytest.fixture
def keyed(host):
    """A pump with KEY and a host that has shaken hands with it."""
    pump = host(key=KEY)
    assert pump.shake_hands(KEY) == Ack()
    return pump


def events(host):
    return [record.code for record in host.pull(BulkReader(BulkObject.EVENT_LOG))]


def as_stranger(host, act):
    """What somebody without the key gets on the same line; the host's own session stays as it is."""
    ours, host.session = host.session, HostSession()
    try:
        return act()
    finally:
        host.session = ours


def test_only_a_pump_with_a_key_announces_authentication(host):
    assert host().hello(1).capabilities & Capability.AUTHENTICATION == 0
    assert host(key=KEY).hello(1).capabilities & Capability.AUTHENTICATION


def test_without_the_key_it_reads_and_does_nothing(host):
    pump = host(key=KEY)
    pump.hello(1)
    assert isinstance(pump.status(), Status)
    for request in (
        ProposeBolus(1, 1.0, 0.0),
        Stop(),
        LeaseRequest(0, 5000, "stranger"),
        Subscribe(Stream.POWER, 1000),
    ):
        assert pump.ask(request).reason == NakReason.UNAUTHENTICATED
    assert pump.status().last_command_id == 0


def test_with_the_key_it_doses_and_stops(keyed):
    _, result = keyed.do(ProposeBolus(1, 1.0, 0.0))
    assert isinstance(result, CommandResult)
    assert isinstance(keyed.stop(), Stopped)


def test_a_stranger_ends_neither_stream_nor_lease_nor_token_of_the_holder(keyed):
    keyed.ask(LeaseRequest(0, 60_000, "holder"))
    keyed.ask(Subscribe(Stream.TELEMETRY, 1000))
    proposal = keyed.propose(ProposeContinuous(1, 20.0, 0))
    assert isinstance(proposal, Proposal)
    assert isinstance(as_stranger(keyed, lambda: keyed.hello(99)), Hello)
    assert isinstance(as_stranger(keyed, keyed.stop), Nak)
    assert any(isinstance(note, Telemetry) for note in keyed.hear(3.0))
    assert isinstance(keyed.commit(proposal), CommandResult)


def test_a_stranger_neither_drops_nor_reads_the_snapshot_of_the_holder(keyed):
    def look(nonce, *requests):
        """What a stranger is answered after a HELLO of his own."""
        return as_stranger(keyed, lambda: [keyed.hello(nonce), *map(keyed.ask, requests)][1:])

    ours = keyed.ask(BulkOpen(BulkObject.EVENT_LOG, 0)).snapshot_id
    held = keyed.ask(BulkRead(ours, 0, 500))
    opened, refused = look(50, BulkOpen(BulkObject.EVENT_LOG, 1), BulkRead(ours, 0, 500))
    assert opened.snapshot_id != ours
    assert refused.reason == NakReason.NO_SNAPSHOT
    assert keyed.ask(BulkRead(ours, 0, 500)) == held
    assert look(60, BulkRead(opened.snapshot_id, 0, 500))[0].snapshot_id == opened.snapshot_id
    keyed.pump.reboot()
    gone = look(70, BulkRead(opened.snapshot_id, 0, 500), BulkRead(ours, 0, 500))
    assert [refusal.reason for refusal in gone] == [NakReason.NO_SNAPSHOT] * 2


def test_the_leases_id_is_told_to_its_holder_and_not_in_the_open(keyed):
    granted = keyed.ask(LeaseRequest(0, 60_000, "holder"))
    assert keyed.ask(LeaseStatusRequest()).lease_id == granted.lease_id != 0
    told = as_stranger(keyed, lambda: keyed.ask(LeaseStatusRequest()))
    assert (told.lease_id, told.holder) == (0, "holder")
    assert told.remaining_ms > 59_000


def test_another_session_of_the_key_ends_streams_and_has_to_renew_the_lease(keyed):
    lease = keyed.ask(LeaseRequest(0, 60_000, "holder"))
    keyed.ask(Subscribe(Stream.TELEMETRY, 1000))
    keyed.shake_hands(KEY, nonce=2)
    keyed.hear(0.1)
    assert keyed.hear(5.0) == []
    assert keyed.propose(ProposeBolus(1, 1.0, 0.0)).reason == NakReason.LEASE_HELD
    keyed.ask(LeaseRequest(lease.lease_id, 60_000, "holder"))
    assert isinstance(keyed.propose(ProposeBolus(1, 1.0, 0.0)), Proposal)


def test_a_key_is_taken_in_pairing_mode_once_and_survives_a_power_cut(host):
    pump = host()
    pump.hello(1)
    assert pump.ask(PairRequest(KEY)).reason == NakReason.NOT_PAIRING
    pump.pump.press_pairing_button()
    assert pump.ask(PairRequest(KEY)) == Paired(key_check(KEY, "P-1"))
    assert pump.ask(PairRequest(NEXT)).reason == NakReason.NOT_PAIRING
    assert EventCode.PAIRED in events(pump)
    pump.pump.cut_power(2.0)
    pump.world.sleep(3.0)
    assert pump.shake_hands(KEY, nonce=2) == Ack()
    with pytest.raises(HandshakeFailed):
        pump.shake_hands(NEXT, nonce=3)


def test_pairing_ends_what_was_begun_without_the_key(host):
    pump = host()
    pump.hello(1)
    pump.ask(Subscribe(Stream.TELEMETRY, 1000))
    pump.ask(LeaseRequest(0, 60_000, "before"))
    pump.pump.press_pairing_button()
    pump.ask(PairRequest(KEY))
    pump.hear(0.1)
    assert pump.hear(5.0) == []
    assert pump.shake_hands(KEY, nonce=2) == Ack()
    assert pump.propose(ProposeBolus(1, 1.0, 0.0)).reason == NakReason.LEASE_HELD


def test_a_keyed_pump_in_pairing_mode_takes_another_key_and_its_session_is_over(keyed):
    keyed.pump.press_pairing_button()
    assert as_stranger(keyed, lambda: keyed.ask(PairRequest(NEXT))) == Paired(key_check(NEXT, "P-1"))
    assert keyed.pump._session.is_sealed is False
    assert keyed.shake_hands(NEXT, nonce=2) == Ack()


def answers(data):
    return [frame.message for frame in StreamDecoder().feed(data) if not isinstance(frame.message, Event | Telemetry)]


def test_what_comes_in_the_same_bytes_behind_a_pairing_needs_the_new_key(host):
    pump = host()
    pump.hello(1)
    pump.pump.press_pairing_button()
    orders = [ProposeContinuous(1, 20.0, 0), LeaseRequest(0, 60_000, "stranger"), Subscribe(Stream.POWER, 1000), Stop()]
    wires = [encode(order, seq=seq) for seq, order in enumerate([PairRequest(KEY), *orders, StatusRequest()], 10)]
    pump.pump._receive(b"".join(wires))
    pump.world.sleep(2.0)
    paired, *refused, status = answers(pump.port.host.read(0.0))
    assert paired == Paired(key_check(KEY, "P-1"))
    assert [nak.reason for nak in refused] == [NakReason.UNAUTHENTICATED] * len(orders)
    assert isinstance(status, Status)
    assert as_stranger(pump, lambda: pump.ask(LeaseStatusRequest())) == Lease(0, 0, "")


def test_what_was_sealed_under_the_old_key_is_not_done_behind_a_pairing_in_the_same_bytes(keyed):
    keyed.do(ProposeContinuous(1, 20.0, 0))
    keyed.pump.press_pairing_button()
    keyed.session.request(Stop(), 0.0)
    keyed.pump._receive(encode(PairRequest(NEXT), seq=9) + keyed.session.data_to_send())
    assert as_stranger(keyed, keyed.status).mode == Mode.CONTINUOUS


@pytest.mark.parametrize("ends", ["reset", "power cut"])
def test_pairing_mode_ends_with_a_reset(host, ends):
    pump = host()
    pump.pump.press_pairing_button()
    if ends == "reset":
        pump.pump.reboot()
    else:
        pump.pump.cut_power(1.0)
        pump.world.sleep(2.0)
    pump.forget()
    assert pump.ask(PairRequest(KEY)).reason == NakReason.NOT_PAIRING


def test_power_that_fails_in_a_pairing_leaves_no_pump_that_takes_yet_another_key(host):
    for cut_ns in range(0, 200_000_000, 9_700_000):
        pump = host(key=KEY)
        pump.hello(1)
        pump.pump.press_pairing_button()
        pump.pump.cut_power_at(pump.world.now_ns + 5_000_000 + cut_ns, 0.5)
        pump.send(PairRequest(NEXT))
        pump.world.sleep(2.0)
        pump.forget()
        assert pump.ask(PairRequest(bytes(16))).reason == NakReason.NOT_PAIRING, f"cut at {cut_ns} ns"


@pytest.mark.parametrize("ends", ["reset", "power cut"])
def test_after_a_reset_a_sealed_request_is_refused_in_the_open_and_a_handshake_opens_again(keyed, ends):
    keyed.do(ProposeContinuous(1, 20.0, 0))
    if ends == "reset":
        keyed.pump.reboot()
    else:
        keyed.pump.cut_power(1.0)
        keyed.world.sleep(2.0)
    keyed.port.host.read(0.1)
    keyed.session.request(Stop(), 0.0)
    keyed.port.host.write(keyed.session.data_to_send())
    assert keyed.session.receive(keyed.port.host.read(2.0), 0.0) == []
    assert keyed.session.is_denied
    assert keyed.shake_hands(KEY, nonce=2) == Ack()
    assert isinstance(keyed.stop(), Stopped)


def test_no_nonce_of_the_pump_comes_twice_not_even_after_resets(host):
    pump = host(key=KEY)
    seen = set()
    for nonce in range(1, 20):
        pump.hello(nonce)
        seen.add(pump.ask(HandshakeRequest(bytes(16))).device_nonce)
        pump.session = HostSession()
        pump.pump.reboot() if nonce % 2 else pump.pump.cut_power(0.5)
        pump.world.sleep(1.0)
        pump.port.host.read(0.1)
    assert len(seen) == 19


def lose_memory(pump):
    """Both slots go bad, which the next start finds."""
    for slot in pump.pump._nvram._slots:
        slot[10] ^= 0xFF
    pump.pump.cut_power(2.0)
    pump.world.sleep(3.0)
    pump.session = HostSession()
    pump.port.host.read(0.1)


def test_with_its_memory_lost_a_keyed_pump_lets_nobody_in_and_says_so(keyed):
    lose_memory(keyed)
    assert keyed.hello(7).capabilities & Capability.AUTHENTICATION
    assert keyed.alarms()[Alarm.MEMORY_ERROR].active
    for key in (KEY, NEXT, bytes(16)):
        with pytest.raises(HandshakeFailed):
            keyed.shake_hands(key, nonce=8)
    assert keyed.propose(ProposeBolus(1, 1.0, 0.0)).reason == NakReason.UNAUTHENTICATED
    keyed.pump.press_pairing_button()
    assert keyed.ask(PairRequest(KEY)).reason == NakReason.WRONG_STATE


def test_with_its_memory_lost_a_pump_that_never_had_a_key_is_as_open_as_before(host):
    pump = host()
    lose_memory(pump)
    assert pump.hello(7).capabilities & Capability.AUTHENTICATION == 0
    assert isinstance(pump.stop(), Stopped)


def test_power_that_fails_anywhere_in_a_pairing_leaves_the_old_key_or_the_new_one(host):
    kept = set()
    for cut_ns in range(0, 200_000_000, 2_700_000):
        pump = host(key=KEY)
        pump.hello(1)
        pump.pump.press_pairing_button()
        pump.pump.cut_power_at(pump.world.now_ns + 5_000_000 + cut_ns, 0.5)
        pump.send(PairRequest(NEXT))
        pump.world.sleep(2.0)
        pump.session = HostSession()
        pump.port.host.read(0.1)
        for key in (KEY, NEXT):
            try:
                assert pump.shake_hands(key, nonce=len(kept) + 2) == Ack()
            except HandshakeFailed:
                continue
            kept.add(key)
            break
        else:
            pytest.fail(f"neither key opens after a cut at {cut_ns} ns")
    assert kept == {KEY, NEXT}
