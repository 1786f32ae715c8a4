"""Errors of the bench itself; each message is for the person at the bench."""

from __future__ import annotations


class SetupRefused(ValueError):
    """The plan, the station or an answer to the checklist does not allow the run; nothing was moved."""


class RecordingFailed(RuntimeError):
    """What was seen could not be written; what reached the disk before is kept."""


class RunAborted(RuntimeError):
    """The run ended before its plan was done; what was recorded so far is kept."""
