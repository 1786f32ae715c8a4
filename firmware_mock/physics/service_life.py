"""Days and years of service, in seconds."""

from __future__ import annotations

S_PER_DAY = 86_400.0
S_PER_YEAR = 365.25 * S_PER_DAY
