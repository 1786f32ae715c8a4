"""The sounder: which alarm sounds how, and when each of its tones is heard; no tone is an event."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

from firmware_mock.firmware.clock import DeviceClock
from firmware_mock.world import World
from protocol import Alarm, Severity, Tone
from protocol.profile import Sounder as Intervals

SPANS_KEPT = 1024
_US_PER_MIN = 60_000_000


@dataclass(frozen=True, slots=True)
class Heard:
    """A tone of an alarm at an instant of the world."""

    at_ns: int
    alarm: Alarm
    tone: Tone


@dataclass(frozen=True, slots=True)
class _Span:
    """Tones from `first_ns` on, one every `interval_ns`, until before `until_ns`, None for as long as it lasts."""

    alarm: Alarm
    tone: Tone
    first_ns: int
    interval_ns: int
    until_ns: int | None = None

    def heard(self, from_ns: int, until_ns: int) -> list[Heard]:
        end_ns = until_ns if self.until_ns is None else min(until_ns, self.until_ns)
        number = max(0, -((self.first_ns - from_ns) // self.interval_ns))
        instants_ns = range(self.first_ns + number * self.interval_ns, end_ns, self.interval_ns)
        return [Heard(at_ns, self.alarm, self.tone) for at_ns in instants_ns]


class Sounder:
    """`intervals` are the model's; None for a pump that makes no sound. What sounded is kept for `SPANS_KEPT` spans."""

    def __init__(self, world: World, clock: DeviceClock, intervals: Intervals | None) -> None:
        self._world = world
        self._tones: dict[Severity, tuple[Tone, int]] = {}
        if intervals is not None:
            self._tones = {
                severity: (Tone.SINGLE if tones == 1 else Tone.DUAL, clock.true_ns(round(minutes * _US_PER_MIN)))
                for severity, tones, minutes in (
                    (Severity.CRITICAL, intervals.critical_tones, intervals.critical_tone_interval_min),
                    (Severity.NON_CRITICAL, intervals.noncritical_tones, intervals.noncritical_tone_interval_min),
                )
            }
        self._sounding: dict[Alarm, _Span] = {}
        self._over: deque[_Span] = deque(maxlen=SPANS_KEPT)

    def sound(self, alarm: Alarm, severity: Severity, *, quiet_ns: int = 0) -> None:
        """Let an alarm sound from now on, or after a time of quiet, the first tone at once then."""
        self.hush(alarm)
        if severity in self._tones:
            tone, interval_ns = self._tones[severity]
            self._sounding[alarm] = _Span(alarm, tone, self._world.now_ns + quiet_ns, interval_ns)

    def hush(self, alarm: Alarm) -> None:
        """An alarm is over."""
        span = self._sounding.pop(alarm, None)
        if span is not None and span.first_ns < self._world.now_ns:
            self._over.append(replace(span, until_ns=self._world.now_ns))

    def hush_all(self) -> None:
        """No alarm sounds, as without power."""
        for alarm in tuple(self._sounding):
            self.hush(alarm)

    def tone(self, alarm: Alarm) -> Tone:
        """How an alarm sounds now."""
        span = self._sounding.get(alarm)
        return Tone.SILENT if span is None or span.first_ns > self._world.now_ns else span.tone

    def tones(self, from_ns: int, until_ns: int) -> list[Heard]:
        """The tones from an instant until before another, in order; those to come as things are now."""
        heard = [tone for span in (*self._over, *self._sounding.values()) for tone in span.heard(from_ns, until_ns)]
        return sorted(heard, key=lambda tone: (tone.at_ns, tone.alarm))
