"""Who the pump is: HELLO, the description of its messages, and what firmware runs since when."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

from firmware_mock.firmware.clock import DeviceClock
from firmware_mock.firmware.nvram import Nvram
from firmware_mock.firmware.supported import CAPABILITIES
from protocol import (
    MAX_PAYLOAD_BYTES,
    PROTOCOL_MAJOR,
    PROTOCOL_MINOR,
    SCHEMA_HASH,
    Capability,
    DescribeRequest,
    Description,
    FirmwareInformation,
    FirmwareInformationRequest,
    Hello,
    HelloRequest,
    ResetCause,
    schema_document,
)

FIRMWARE_VERSION = "1.0.0-mock"
BUILT_UTC_S = 1_795_219_200
BOOTLOADER_VERSION = "none"
HARDWARE_REVISION = "simulated"
_DESCRIPTION_BYTES = MAX_PAYLOAD_BYTES - 8


@dataclass(slots=True)
class Image:
    """The firmware as it is stored, and the SHA-256 that was written beside it when it was programmed."""

    content: bytes
    programmed_sha256: bytes

    @classmethod
    def programmed(cls) -> Image:
        """A pump fresh from the programmer: the image is the source text of this package."""
        return cls(*_source())

    @property
    def sha256(self) -> bytes:
        """Of what is stored now."""
        return hashlib.sha256(self.content).digest()

    @property
    def is_intact(self) -> bool:
        """Whether that is what was programmed."""
        return self.sha256 == self.programmed_sha256


class Identity:
    """Answers the requests that change nothing and depend on little."""

    def __init__(self, model: str, serial_number: str, image: Image, nvram: Nvram, clock: DeviceClock) -> None:
        self.reset_cause = ResetCause.POWER_ON
        self._model = model
        self._serial_number = serial_number
        self._image = image
        self._nvram = nvram
        self._clock = clock

    def hello(self, _: HelloRequest, *, is_keyed: bool) -> Hello:
        """Answer a HELLO."""
        memory = self._nvram.memory
        can = CAPABILITIES | Capability.CONTROL_LEASE | Capability.EVENT_LOG | Capability.SELF_TEST
        return Hello(
            protocol_major=PROTOCOL_MAJOR,
            protocol_minor=PROTOCOL_MINOR,
            schema_hash=SCHEMA_HASH,
            capabilities=can | Capability.AUTHENTICATION if is_keyed else can,
            mtu=MAX_PAYLOAD_BYTES,
            boot_id=memory.boot_id,
            last_command_id=memory.last_command_id,
            model=self._model,
            serial_number=self._serial_number,
            firmware_version=FIRMWARE_VERSION,
        )

    def describe(self, request: DescribeRequest) -> Description:
        """Answer a DESCRIBE with as much as fits."""
        document = _document()
        data = document[request.offset : request.offset + _DESCRIPTION_BYTES]
        return Description(len(document), request.offset, data)

    def firmware(self, _: FirmwareInformationRequest) -> FirmwareInformation:
        """Answer a FirmwareInformationRequest."""
        return FirmwareInformation(
            image_sha256=self._image.sha256,
            built_utc_s=BUILT_UTC_S,
            firmware_version=FIRMWARE_VERSION,
            bootloader_version=BOOTLOADER_VERSION,
            hardware_revision=HARDWARE_REVISION,
            boot_id=self._nvram.memory.boot_id,
            uptime_s=self._clock.now_us() // 1_000_000,
            reset_cause=self.reset_cause,
        )


@lru_cache(maxsize=1)
def _document() -> bytes:
    return schema_document()


@lru_cache(maxsize=1)
def _source() -> tuple[bytes, bytes]:
    """The source text of all modules of this package by name, and its SHA-256."""
    folder = resources.files("firmware_mock.firmware")
    files = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".py")), key=lambda entry: entry.name)
    content = b"".join(entry.name.encode() + b"\n" + entry.read_bytes() for entry in files)
    return content, hashlib.sha256(content).digest()
