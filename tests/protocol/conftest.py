"""The wire a second time, from the reference and not from our code: CRC-32C, COBS, AES-CMAC, HKDF, a few lines each."""

import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

REFLECTED_POLYNOMIAL = 0x82F63B78
Wire = Callable[[str], bytes]


def bitwise_crc32c(data: bytes) -> int:
    """CRC-32C, one bit at a time."""
    register = 0xFFFFFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = (register >> 1) ^ (REFLECTED_POLYNOMIAL if register & 1 else 0)
    return register ^ 0xFFFFFFFF


def stuffed(raw: bytes) -> bytes:
    """COBS as Cheshire and Baker describe it: pieces between zeros, each behind its length plus one."""
    out, piece, after_full = b"", b"", False
    for byte in raw:
        if byte == 0:
            out += bytes([len(piece) + 1]) + piece
            piece, after_full = b"", False
            continue
        piece += bytes([byte])
        after_full = len(piece) == 254
        if after_full:
            out += b"\xff" + piece
            piece = b""
    return out if after_full else out + bytes([len(piece) + 1]) + piece


def doubled(byte: int) -> int:
    """Times x in the field of AES (FIPS 197, 4.2.1)."""
    return (byte << 1 ^ (0x1B if byte & 0x80 else 0)) & 0xFF


def times(left: int, right: int) -> int:
    """The product in the field of AES."""
    product = 0
    while right:
        product ^= left if right & 1 else 0
        left, right = doubled(left), right >> 1
    return product


def substitute(byte: int) -> int:
    """The S-box (FIPS 197, 5.1.1): the inverse, then the affine map."""
    inverse = next((other for other in range(256) if times(byte, other) == 1), 0)
    mixed = inverse
    for turn in range(1, 5):
        mixed ^= (inverse << turn | inverse >> (8 - turn)) & 0xFF
    return mixed ^ 0x63


S_BOX = bytes(substitute(byte) for byte in range(256))


def aes128(key: bytes, block: bytes) -> bytes:
    """AES-128 of one block (FIPS 197, 5.1 and 5.2)."""
    words = [key[place : place + 4] for place in range(0, 16, 4)]
    constant = 1
    for number in range(4, 44):
        word = words[-1]
        if number % 4 == 0:
            word = bytes(S_BOX[byte] for byte in word[1:] + word[:1])
            word = bytes([word[0] ^ constant]) + word[1:]
            constant = doubled(constant)
        words.append(bytes(a ^ b for a, b in zip(words[-4], word, strict=True)))
    rounds = [b"".join(words[place : place + 4]) for place in range(0, 44, 4)]
    state = xored(block, rounds[0])
    for number in range(1, 11):
        state = bytes(S_BOX[state[place * 5 % 16]] for place in range(16))
        if number < 10:
            state = b"".join(mixed_column(state[place : place + 4]) for place in range(0, 16, 4))
        state = xored(state, rounds[number])
    return state


def mixed_column(column: bytes) -> bytes:
    """MixColumns of one column (FIPS 197, 5.1.3)."""
    a, b, c, d = column
    return bytes(
        doubled(p) ^ doubled(q) ^ q ^ r ^ s for p, q, r, s in ((a, b, c, d), (b, c, d, a), (c, d, a, b), (d, a, b, c))
    )


def xored(left: bytes, right: bytes) -> bytes:
    """Bit by bit."""
    return bytes(a ^ b for a, b in zip(left, right, strict=True))


def aes_cmac(key: bytes, message: bytes) -> bytes:
    """AES-CMAC as RFC 4493, 2.4, describes it: all 16 bytes."""
    zero_ciphered = int.from_bytes(aes128(key, bytes(16)), "big")
    subkeys = []
    for _ in range(2):
        zero_ciphered = (zero_ciphered << 1 ^ (0x87 if zero_ciphered >> 127 else 0)) % (1 << 128)
        subkeys.append(zero_ciphered.to_bytes(16, "big"))
    pieces = [message[place : place + 16] for place in range(0, len(message), 16)] or [b""]
    last = pieces.pop()
    last = xored(last, subkeys[0]) if len(last) == 16 else xored((last + b"\x80").ljust(16, b"\0"), subkeys[1])
    state = bytes(16)
    for piece in [*pieces, last]:
        state = aes128(key, xored(state, piece))
    return state


def hkdf_sha256(key: bytes, salt: bytes, info: bytes, size: int) -> bytes:
    """HKDF as RFC 5869, 2.2 and 2.3, describes it."""
    extracted = hmac.digest(salt, key, "sha256")
    out, block = b"", b""
    for number in range(1, -(-size // 32) + 1):
        block = hmac.digest(extracted, block + info + bytes([number]), "sha256")
        out += block
    return out[:size]


@dataclass(frozen=True)
class SecondKeys:
    """The keys of a session and what is made with them, as docs/protocol.md says and not by our code."""

    session_id: bytes
    to_device: bytes
    to_host: bytes
    hello_hash: bytes

    @classmethod
    def derived(cls, key: bytes, host_nonce: bytes, device_nonce: bytes, hello: bytes) -> "SecondKeys":
        digest = hashlib.sha256(hello).digest()
        octets = hkdf_sha256(key, host_nonce + device_nonce, b"thecabench session 1" + digest, 40)
        return cls(octets[:8], octets[8:24], octets[24:], digest)

    @property
    def proof(self) -> bytes:
        return aes_cmac(self.to_host, b"device" + self.hello_hash)[:8]

    def trailer(self, content: bytes, counter: int, *, to_device: bool) -> bytes:
        """The trailer behind `content`, which is header and payload."""
        octets = counter.to_bytes(4, "little")
        key, direction = (self.to_device, b"\0") if to_device else (self.to_host, b"\1")
        return octets + aes_cmac(key, self.session_id + direction + content[:6] + octets + content[6:])[:8]


@pytest.fixture(scope="session")
def second_cmac() -> Callable[[bytes, bytes], bytes]:
    """The independent AES-CMAC."""
    return aes_cmac


@pytest.fixture(scope="session")
def second_hkdf() -> Callable[[bytes, bytes, bytes, int], bytes]:
    """The independent HKDF-SHA256: key, salt, info, size."""
    return hkdf_sha256


@pytest.fixture(scope="session")
def second_keys() -> Callable[[bytes, bytes, bytes, bytes], SecondKeys]:
    """The independent session keys: key, host nonce, device nonce, payloads of both HELLO messages."""
    return SecondKeys.derived


@pytest.fixture(scope="session")
def framed() -> Callable[[bytes], bytes]:
    """The wire bytes of any content, header to trailer, with its right CRC."""
    return lambda raw: b"\0" + stuffed(raw + bitwise_crc32c(raw).to_bytes(4, "little")) + b"\0"


@pytest.fixture(scope="session")
def crc32c() -> Callable[[bytes], int]:
    """The independent CRC-32C."""
    return bitwise_crc32c


@pytest.fixture(scope="session")
def wire(framed: Callable[[bytes], bytes]) -> Wire:
    """The wire bytes of a frame from its content in hex, without the CRC; blanks and bars are for the reader."""

    def from_content(content: str) -> bytes:
        return framed(bytes.fromhex(content.replace("|", "")))

    return from_content


@pytest.fixture(scope="session")
def reference() -> str:
    """docs/protocol.md."""
    return (Path(__file__).parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Section:
    """One message or bulk record of the reference: its number and role in the heading, its rows, those of its tail."""

    text: str
    number: str
    role: str
    fields: list[tuple[int, str, str]]
    record: str = ""
    record_bytes: int = 0
    record_fields: list[tuple[int, str, str]] = field(default_factory=list)


@pytest.fixture(scope="session")
def documented(reference: str) -> dict[str, Section]:
    """The sections of the reference that lay something out, by the name in their headings."""
    found = {}
    for section in re.split(r"^##+ ", reference, flags=re.MULTILINE)[1:]:
        if heading := re.match(r"(0x[0-9A-F]{2}|\d+) (\w+) — (.+)\n", section):
            head, *tail = re.split(r"^(\w+), (\d+) bytes:\n", section, flags=re.MULTILINE)
            assert len(tail) in (0, 3), f"{heading[2]}: at most one tail"
            entry = Section(section, heading[1], heading[3], table_rows(head))
            if tail:
                entry = replace(entry, record=tail[0], record_bytes=int(tail[1]), record_fields=table_rows(tail[2]))
            assert heading[2] not in found, f"{heading[2]} is there twice"
            found[heading[2]] = entry
    return found


def table_rows(text: str) -> list[tuple[int, str, str]]:
    """Offset, field and type of the rows of a table."""
    rows = re.findall(r"^\| (\d+) \| (\w+) \| ([\w*]+) \|", text, flags=re.MULTILINE)
    return [(int(offset), name, kind) for offset, name, kind in rows]
