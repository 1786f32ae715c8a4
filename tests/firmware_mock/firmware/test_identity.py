"""Who the pump says it is: what it can do, how it lays out its messages, what firmware runs since when."""

import hashlib

import protocol
from protocol import Capability, DescribeRequest, ResetCause, SelfTestItem


def test_the_description_comes_in_pieces_and_is_the_schema_that_hello_announced(host):
    pump = host()
    document, total_bytes = b"", None
    while len(document) != total_bytes:
        part = pump.ask(DescribeRequest(len(document)))
        assert (part.offset, part.data) != (0, b"")
        document, total_bytes = document + part.data, part.total_bytes
    assert len(document) > 512
    schema = protocol.read_schema(document, pump.hello(1).schema_hash)
    assert schema == protocol.own_schema()
    assert pump.ask(DescribeRequest(total_bytes)).data == pump.ask(DescribeRequest(0xFFFF_FFFF)).data == b""


def test_it_announces_all_but_what_takes_a_key(host):
    able = host().hello(1).capabilities
    assert able == Capability(sum(Capability)) & ~Capability.AUTHENTICATION


def test_every_request_of_the_protocol_is_answered(host):
    """With defaults of zero it may be refused, but never left out."""
    pump = host()
    for entry in protocol.registry.DEFINITIONS.values():
        if entry.role is protocol.registry.Role.REQUEST:
            request = protocol.decode_payload(entry.type_byte, bytes(entry.codec.head.size + entry.codec.has_tail))
            assert protocol.registry.answers(pump.ask(request).TYPE, entry.type_byte)


def test_firmware_information_says_why_and_since_when_it_runs(host):
    pump = host()
    pump.world.sleep(90.0)
    before = pump.ask(protocol.FirmwareInformationRequest())
    assert (before.reset_cause, before.boot_id, before.uptime_s) == (ResetCause.POWER_ON, 1, 90)
    pump.pump.reboot()
    pump.world.sleep(5.0)
    after = pump.ask(protocol.FirmwareInformationRequest())
    assert (after.reset_cause, after.boot_id, after.uptime_s) == (ResetCause.SOFTWARE, 2, 5)
    assert after.image_sha256 == before.image_sha256


def test_the_image_hash_is_over_the_image_as_it_is_stored(host):
    pump = host()
    sound = pump.ask(protocol.FirmwareInformationRequest()).image_sha256
    image = pump.pump._image
    assert b"class PumpFirmware" in image.content
    image.content = image.content.replace(b"class", b"clazz", 1)
    damaged = pump.ask(protocol.FirmwareInformationRequest()).image_sha256
    assert damaged == hashlib.sha256(image.content).digest() != sound
    assert pump.ask(protocol.SelfTestRequest(0)).failed == SelfTestItem.FIRMWARE_IMAGE
