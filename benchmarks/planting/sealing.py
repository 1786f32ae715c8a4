"""Bugs of authentication: the fault campaign has no forger, so they are looked for by forgery.py and replay.py."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import forgery
import replay

from planting.bug import Swap, instead
from protocol import Frame, HostSession, handshake, security
from protocol.handshake import Admission, DeviceGuard
from protocol.security import COUNTER_BYTES, Verdict, Verifier

FRAMES_AT_ONCE = 130


@dataclass(frozen=True, slots=True)
class SealBug:
    """What is wrong, in one sentence; what swaps it in; and which campaign finds it, in so many frames or sessions."""

    name: str
    says: str
    found_by: str
    swaps: Callable[[], Iterable[Swap]]


def search_sealed(planted: SealBug | None, campaign: str, most: int) -> tuple[int, str]:
    """How many changed frames, or recorded sessions, it took until the first was accepted, and which; else empty."""
    with ExitStack() as swapped:
        for swap in planted.swaps() if planted is not None else ():
            swapped.enter_context(swap)
        done = seed = 0
        while done < most:
            if campaign == "forgery":
                forged = forgery.run_scene(seed, FRAMES_AT_ONCE)
                done, wrong = done + forged.frames.total(), forged.changes
            else:
                replayed = replay.run_pump(seed, 1 + seed % 2)  # what is accepted may spoil the next recording
                done, wrong = done + replayed.sessions, replayed.accepted
            if wrong:
                return done, wrong[0]
            seed += 1
    return done, ""


def _tag_not_compared() -> Iterable[Swap]:
    yield patch.object(hmac, "compare_digest", lambda *_: True)


def _counter_before_tag() -> Iterable[Swap]:
    def verdict(original: Any, verifier: Verifier, frame: Frame) -> Verdict:
        before = verifier._counter
        found: Verdict = original(verifier, frame)
        if frame.trailer is not None:
            verifier._counter = max(before, int.from_bytes(frame.trailer[:COUNTER_BYTES], "little"))
        return found

    yield instead(Verifier, "verdict", verdict)


def _header_not_sealed() -> Iterable[Swap]:
    def tag(original: Any, begun: Any, version_flags: int, type_byte: int, seq: int, *rest: Any) -> Any:
        return original(begun, version_flags, 0, 0, *rest)

    yield instead(security, "_tag", tag)


def _plain_accepted() -> Iterable[Swap]:
    def admit(original: Any, guard: DeviceGuard, *arguments: Any) -> Admission:
        admission: Admission = original(guard, *arguments)
        return Admission.PLAIN if admission is Admission.UNAUTHENTICATED else admission

    yield instead(DeviceGuard, "admit", admit)
    yield instead(DeviceGuard, "takes", lambda original, guard, *arguments, **named: True)


def _counter_not_compared() -> Iterable[Swap]:
    def verdict(original: Any, verifier: Verifier, frame: Frame) -> Verdict:
        verifier._counter = 0
        found: Verdict = original(verifier, frame)
        return found

    yield instead(Verifier, "verdict", verdict)


def _counter_reset_on_reboot() -> Iterable[Swap]:
    def end_session(original: Any, guard: DeviceGuard) -> None:
        if guard._verifier is None:
            original(guard)
        else:
            guard._verifier._counter = 0

    yield instead(handshake.DeviceGuard, "end_session", end_session)


def _reply_not_verified() -> Iterable[Swap]:
    yield instead(HostSession, "_is_proven", lambda original, session, frame, verifier: True)


SEAL_BUGS = (
    SealBug("tag-not-compared", "Any tag will do.", "forgery", _tag_not_compared),
    SealBug("counter-before-tag", "The counter moves before the tag is looked at.", "forgery", _counter_before_tag),
    SealBug("header-not-sealed", "The tag leaves type and seq out.", "forgery", _header_not_sealed),
    SealBug("plain-accepted", "A pump with a key takes commands in the open.", "forgery", _plain_accepted),
    SealBug("counter-not-compared", "A frame counts however often it comes.", "replay", _counter_not_compared),
    SealBug(
        "counter-reset-on-reboot",
        "A session outlives a reset of the pump, and its counter begins anew.",
        "replay",
        _counter_reset_on_reboot,
    ),
    SealBug("reply-not-verified", "The driver takes replies without their tag.", "replay", _reply_not_verified),
)
