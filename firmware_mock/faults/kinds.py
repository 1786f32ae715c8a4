"""The kinds of faults, and one fault as data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

NO_TYPE = 0


class FaultKind(StrEnum):
    """What goes wrong. Where a fault has an `amount`, it is named here; windows last `duration_s`.

    FLIP: `amount` bits of a frame. DROP_REQUEST, DROP_REPLY: `amount` frames in a row are lost. DUPLICATE: a frame
    comes again `duration_s` later. LATE: `amount` frames in a row come `duration_s` late, overtaken by what follows.
    REORDER: it changes places with the next of its direction. TRUNCATE: only its first `amount` per cent arrive.
    FRAGMENT: it comes byte by byte, spread over `duration_s`. NOISE: `amount` random bytes before a frame. ECHO: in a
    window the host hears itself. BOOT_GARBAGE: `amount` bytes of text and noise come unasked. WRONG_BAUD: in a window
    every byte is another one. STUCK_LINE: in a window nothing but zeros arrives. HALF_OPEN: nothing gets through any
    more, without an error, until the port is opened afresh. BLOCKED_WRITE: a write takes `duration_s` and fails
    (`amount` 1) or goes through (0). BIT_ROT: in a window each bit flips with `amount` in 10 000. RE_ENUMERATE: the
    port goes and is back `duration_s` later, for whoever opens it afresh. SECOND_HOST: another host says HELLO and,
    by `amount`: 0 reads the status, 1 takes the control lease for `duration_s`, 2 stops the pump, 3 proposes a bolus
    and leaves it, 4 gives a setting under the next command id. HOST_SUSPEND: the host sleeps for `duration_s`; its
    clock counts that (`amount` 1) or not (0). SLOW_READER: in a window the host takes `amount` bytes at a time out of
    a buffer that holds 256. CLOCK_JUMP: the host's clock is `duration_s` ahead from now on. RESET_ON_OPEN: the pump
    resets when the port is next opened, and is deaf for `duration_s`. REBOOT: the pump resets and is deaf for
    `duration_s`. BROWN_OUT: `amount` resets, spread over `duration_s`. POWER_CUT: by `amount`, the pump loses power
    at the trigger (0), or inside what it does next: before the motor starts (1), after it has started (2), before
    what it then sends is out (3), after (4), or within 60 ms, as likely as not in the middle of a write to its memory
    (5); it comes back `duration_s` later. STUCK_MOTOR: the rotor stops and the pump is not told. CLOCK_DRIFT: the
    pump's crystal is `amount` ppm off from the beginning. EVIDENCE_LOST: another host stops the pump and gives it so
    many commands that it forgets how those before ended. NVRAM_ROT: power goes for `duration_s`, and what is stored
    decays meanwhile: both slots of the memory (`amount` 0), one of them (1), or one bit less than `amount`, anywhere in
    slots, step journal and logs. WATCHDOG: the firmware hangs, at the trigger or inside what it does, by `amount` as
    with POWER_CUT (0 to 4), until the watchdog resets it; then it is deaf for `duration_s`.
    """

    FLIP = "flip"
    DROP_REQUEST = "drop-request"
    DROP_REPLY = "drop-reply"
    DUPLICATE = "duplicate"
    LATE = "late"
    REORDER = "reorder"
    TRUNCATE = "truncate"
    FRAGMENT = "fragment"
    NOISE = "noise"
    ECHO = "echo"
    BOOT_GARBAGE = "boot-garbage"
    WRONG_BAUD = "wrong-baud"
    STUCK_LINE = "stuck-line"
    HALF_OPEN = "half-open"
    BLOCKED_WRITE = "blocked-write"
    RESET_ON_OPEN = "reset-on-open"
    REBOOT = "reboot"
    RE_ENUMERATE = "re-enumerate"
    SECOND_HOST = "second-host"
    HOST_SUSPEND = "host-suspend"
    SLOW_READER = "slow-reader"
    CLOCK_JUMP = "clock-jump"
    BIT_ROT = "bit-rot"
    POWER_CUT = "power-cut"
    BROWN_OUT = "brown-out"
    STUCK_MOTOR = "stuck-motor"
    CLOCK_DRIFT = "clock-drift"
    EVIDENCE_LOST = "evidence-lost"
    NVRAM_ROT = "nvram-rot"
    WATCHDOG = "watchdog"


DEVICE_KINDS = (
    FaultKind.POWER_CUT,
    FaultKind.BROWN_OUT,
    FaultKind.STUCK_MOTOR,
    FaultKind.CLOCK_DRIFT,
    FaultKind.EVIDENCE_LOST,
    FaultKind.NVRAM_ROT,
    FaultKind.WATCHDOG,
)
LINK_KINDS = tuple(kind for kind in FaultKind if kind not in DEVICE_KINDS)


class Direction(StrEnum):
    """Which way bytes go."""

    TO_DEVICE = "to device"
    TO_HOST = "to host"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. It is set off by the `nth` frame of a message type in a direction, and acts `delay_s` after it.

    Without a delay it acts on that frame itself. NO_TYPE stands for any frame. `seed` is for what is random in it.
    """

    kind: FaultKind
    direction: Direction
    message_type: int
    nth: int
    delay_s: float
    duration_s: float
    amount: int
    seed: int
