"""Recordings of the wire as pcapng files (draft-ietf-opsawg-pcapng), which Wireshark opens.

One interface of link type USER0, for which `thecabench protocol export wireshark` prints the dissector; a packet is a
run of bytes cut behind its closing zero, its direction in the packet's flags, its time in nanoseconds. Every block goes
to the file whole and at once, so that a killed writer leaves a file that is readable up to its last packet.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

from driver.transport.tapped import Direction

LINKTYPE_USER0 = 147
LONGEST_BLOCK_BYTES = 1 << 24
NS_PER_S = 1_000_000_000

_SECTION, _INTERFACE, _SIMPLE_PACKET, _STATISTICS, _PACKET = 0x0A0D0D0A, 1, 3, 5, 6
_SECTION_BYTES = _SECTION.to_bytes(4, "little")
_BYTE_ORDER_MAGIC = 0x1A2B3C4D
_END, _COMMENT = 0, 1
_SHB_OS, _SHB_APPLICATION = 3, 4
_IF_NAME, _IF_TSRESOL, _IF_TSOFFSET = 2, 9, 14
_EPB_FLAGS = 2
_ISB_END_TIME, _ISB_RECEIVED, _ISB_DROPPED = 3, 4, 5
_NANOSECONDS = 9
_MICROSECONDS = 6
_INBOUND, _OUTBOUND = 1, 2
_FLAGS_OF = {None: 0, Direction.TO_HOST: _INBOUND, Direction.TO_DEVICE: _OUTBOUND}
_DIRECTION_OF = {_INBOUND: Direction.TO_HOST, _OUTBOUND: Direction.TO_DEVICE}
_FRAME_BYTES = 12
_OLD_PCAP = {bytes.fromhex(magic) for magic in ("a1b2c3d4", "d4c3b2a1", "a1b23c4d", "4d3cb2a1")}

Options = dict[int, bytes]


class CaptureError(ValueError):
    """The file is no capture that can be read; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Packet:
    """Bytes that crossed; `time_ns` is when the last of them did, since 1970 (UTC), None where the file has no time.

    `direction` is None where nobody knows it; `interface` counts from 0, `number` from 1 as Wireshark does, None
    outside of files.
    """

    time_ns: int | None
    direction: Direction | None
    data: bytes
    interface: int = 0
    number: int | None = None


class CaptureWriter:
    """Writes packets as they come to a file opened for unbuffered writing, which stays the caller's.

    Raises:
        OSError: from every method, where the file takes no more.
    """

    def __init__(self, file: IO[bytes], *, port: str, application: str, system: str, comment: str) -> None:
        self._file = file
        self._is_disk_file = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
        self._packets = 0
        section = struct.pack("<IHHq", _BYTE_ORDER_MAGIC, 1, 0, -1)
        named = {_COMMENT: comment.encode(), _SHB_OS: system.encode(), _SHB_APPLICATION: application.encode()}
        interface = struct.pack("<HHI", LINKTYPE_USER0, 0, 0)
        named_interface = {_IF_NAME: port.encode(), _IF_TSRESOL: bytes([_NANOSECONDS])}
        self._write(_block(_SECTION, section, named) + _block(_INTERFACE, interface, named_interface))

    def packet(self, packet: Packet) -> None:
        """Write a packet that has a time."""
        assert packet.time_ns is not None
        high, low = divmod(packet.time_ns, 1 << 32)
        size = len(packet.data)
        body = struct.pack("<IIIII", 0, high, low, size, size) + packet.data + bytes(-size % 4)
        self._write(_block(_PACKET, body, {_EPB_FLAGS: struct.pack("<I", _FLAGS_OF[packet.direction])}))
        self._packets += 1

    def end(self, reason: str, time_ns: int, dropped_bytes: int = 0) -> None:
        """Say that and why the recording ended; without it, it was cut off or still goes on."""
        high, low = divmod(time_ns, 1 << 32)
        known = {
            _COMMENT: reason.encode(),
            _ISB_END_TIME: struct.pack("<II", high, low),
            _ISB_RECEIVED: struct.pack("<Q", self._packets),
            _ISB_DROPPED: struct.pack("<Q", dropped_bytes),
        }
        self._write(_block(_STATISTICS, struct.pack("<III", 0, high, low), known))
        self.sync()

    def sync(self) -> None:
        """Bring what was written to the disk, against a power cut."""
        if self._is_disk_file:
            os.fsync(self._file.fileno())

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            left = left[self._file.write(left) :]


class CaptureReader:
    """The packets of a pcapng file or pipe, by whichever program written, as an iterator that reads once.

    The attributes are complete when the iterator ends: `application` and `comment` of the first section (known before
    the first packet), `ended` (the recorder's last words, None where it was cut off), `torn` (a sentence about an
    unfinished last block), `foreign_packets` (of other link types), `shortened_packets` (not captured whole).

    Raises:
        CaptureError: while iterating, where the file is no pcapng file or is broken.
    """

    def __init__(self, file: IO[bytes], name: str) -> None:
        self.application = ""
        self.comment = ""
        self.interface_names: list[str] = []
        self.ended: str | None = None
        self.torn: str | None = None
        self.foreign_packets = 0
        self._packets = 0
        self.shortened_packets = 0
        self._file = file
        self._name = name
        self._offset = 0
        self._order = "<"
        self._sections = 0
        self._interfaces: list[_Interface] = []

    def __iter__(self) -> Iterator[Packet]:
        while (block := self._next_block()) is not None:
            kind, offset, body = block
            if kind == _SECTION:
                self._take_section(body, offset)
            elif kind == _INTERFACE:
                self._take_interface(body, offset)
            elif kind == _STATISTICS and len(body) >= _FRAME_BYTES:
                comment = self._options(body[_FRAME_BYTES:], offset).get(_COMMENT, b"")
                self.ended = comment.decode(errors="replace")
            elif kind in (_PACKET, _SIMPLE_PACKET):
                packet = (self._packet if kind == _PACKET else self._simple_packet)(body, offset)
                if packet is not None:
                    yield packet

    def _next_block(self) -> tuple[int, int, bytes] | None:
        """Kind, offset and body; None at the end of the file."""
        offset = self._offset
        head = self._read(8)
        is_section = head[:4] == _SECTION_BYTES
        if not self._sections and not (head and _SECTION_BYTES.startswith(head[:4])):
            raise self._no_capture(head)
        if is_section:
            head += self._read(4)
        if len(head) < (_FRAME_BYTES if is_section else 8):
            self._tear(offset, head)
            return None
        if is_section:
            self._order = self._byte_order(head[8:], offset)
        kind, length = struct.unpack_from(self._order + "II", head)
        if length < len(head) + 4 or length % 4 or length > LONGEST_BLOCK_BYTES:
            raise self._error(offset, f"a block says it has {length} bytes, which no block has")
        rest = self._read(length - len(head))
        if len(rest) < length - len(head):
            self._tear(offset, head + rest)
            return None
        (again,) = self._unpack("I", rest, len(rest) - 4, offset)
        if again != length:
            raise self._error(offset, f"a block says at its end that it has {again} bytes, and {length} at its start")
        return kind, offset, (head + rest)[8:-4]

    def _take_section(self, body: bytes, offset: int) -> None:
        major, minor = self._unpack("HH", body, 4, offset)
        if major != 1:
            raise self._error(offset, f"it is pcapng version {major}.{minor}; this program reads version 1")
        if not self._sections:
            options = self._options(body[16:], offset)
            self.application = options.get(_SHB_APPLICATION, b"").decode(errors="replace")
            self.comment = options.get(_COMMENT, b"").decode(errors="replace")
        self._sections += 1
        self._interfaces = []

    def _take_interface(self, body: bytes, offset: int) -> None:
        (link_type,) = self._unpack("H", body, 0, offset)
        options = self._options(body[8:], offset)
        resolution = (options.get(_IF_TSRESOL) or bytes([_MICROSECONDS]))[0]
        base = 2 if resolution & 0x80 else 10
        shift = options.get(_IF_TSOFFSET, bytes(8))
        (offset_s,) = self._unpack("q", shift, 0, offset)
        number = len(self.interface_names)
        self._interfaces.append(_Interface(number, link_type, base ** (resolution & 0x7F), offset_s))
        self.interface_names.append(options.get(_IF_NAME, b"").decode(errors="replace"))

    def _packet(self, body: bytes, offset: int) -> Packet | None:
        number, high, low, captured, crossed = self._unpack("IIIII", body, 0, offset)
        if number >= len(self._interfaces):
            raise self._error(offset, f"a packet is of interface {number}, which the file does not describe")
        interface = self._interfaces[number]
        padded = captured + -captured % 4
        if 20 + padded > len(body):
            raise self._error(offset, f"a packet of {captured} bytes lies in a block of {len(body) + _FRAME_BYTES}")
        flags = self._options(body[20 + padded :], offset).get(_EPB_FLAGS, bytes(4))
        (flag_bits,) = self._unpack("I", flags, 0, offset)
        time_ns = (high << 32 | low) * NS_PER_S // interface.units_per_s + interface.offset_s * NS_PER_S
        return self._of_ours(interface, body[20 : 20 + captured], crossed, time_ns, _DIRECTION_OF.get(flag_bits & 3))

    def _simple_packet(self, body: bytes, offset: int) -> Packet | None:
        (crossed,) = self._unpack("I", body, 0, offset)
        if not self._interfaces:
            raise self._error(offset, "a packet is of interface 0, which the file does not describe")
        return self._of_ours(self._interfaces[0], body[4 : 4 + crossed], crossed, None, None)

    def _of_ours(
        self, interface: _Interface, data: bytes, crossed: int, time_ns: int | None, direction: Direction | None
    ) -> Packet | None:
        self._packets += 1
        if interface.link_type != LINKTYPE_USER0:
            self.foreign_packets += 1
            return None
        self.shortened_packets += crossed > len(data)
        return Packet(time_ns, direction, data, interface.number, self._packets)

    def _options(self, data: bytes, offset: int) -> Options:
        """The first option of each code."""
        found: Options = {}
        position = 0
        while position < len(data):
            code, size = self._unpack("HH", data, position, offset)
            position += 4
            if code == _END:
                break
            if position + size > len(data):
                raise self._error(offset, f"option {code} of a block is longer than the block")
            found.setdefault(code, data[position : position + size])
            position += size + -size % 4
        return found

    def _unpack(self, form: str, data: bytes, position: int, offset: int) -> tuple[Any, ...]:
        try:
            return struct.unpack_from(self._order + form, data, position)
        except struct.error as error:
            raise self._error(offset, "a block is too short for what it must hold") from error

    def _byte_order(self, magic: bytes, offset: int) -> str:
        for order in "<>":
            if magic == struct.pack(order + "I", _BYTE_ORDER_MAGIC):
                return order
        raise self._error(offset, f"a section's byte-order mark is {magic.hex()}, which is none")

    def _read(self, size: int) -> bytes:
        data = self._file.read(size)
        self._offset += len(data)
        return data

    def _tear(self, offset: int, part: bytes) -> None:
        if part:
            self.torn = (
                f"{self._name}: the last {len(part)} bytes, from byte {offset} on, are an unfinished packet: "
                "the recorder was cut off there; all before it was read"
            )

    def _no_capture(self, head: bytes) -> CaptureError:
        if not head:
            return CaptureError(f"{self._name}: the file is empty")
        if head[:4] in _OLD_PCAP:
            return self._error(0, "this is an old pcap file; editcap -F pcapng makes a pcapng file of it")
        return self._error(
            0, f"this is no pcapng file, it begins with {head.hex(' ')}; for the bytes of the wire alone give --raw"
        )

    def _error(self, offset: int, sentence: str) -> CaptureError:
        return CaptureError(f"{self._name}: byte {offset}: {sentence}")


@dataclass(frozen=True, slots=True)
class _Interface:
    number: int
    link_type: int
    units_per_s: int
    offset_s: int


def _block(kind: int, body: bytes, options: Options) -> bytes:
    packed = [struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4) for code, value in options.items()]
    data = body + b"".join(packed) + struct.pack("<HH", _END, 0)
    length = struct.pack("<I", len(data) + _FRAME_BYTES)
    return struct.pack("<I", kind) + length + data + length
