"""The dosing conversation: PROPOSE, COMMIT, results, and STOP."""

from __future__ import annotations

from collections.abc import Callable

from firmware_mock.firmware.nvram import Nvram
from firmware_mock.firmware.proposals import Planner, Supported
from firmware_mock.firmware.refusals import RefusedRequest
from firmware_mock.firmware.therapy import Therapy
from firmware_mock.firmware.tokens import Tokens
from protocol import CommandResult, CommandResultRequest, Commit, NakReason, Proposal, Stop, Stopped


class Dosing:
    """Answers the requests that move liquid or change what moves; `stopped` makes the reply to STOP."""

    def __init__(
        self, nvram: Nvram, planner: Planner, tokens: Tokens, therapy: Therapy, stopped: Callable[[], Stopped]
    ) -> None:
        self._nvram = nvram
        self._planner = planner
        self._tokens = tokens
        self._therapy = therapy
        self._stopped = stopped

    def propose(self, proposed: Supported) -> Proposal:
        """Answer a PROPOSE.

        Raises:
            RefusedRequest: the id is not above the highest, the planner refuses it, or the memory is lost.
        """
        if self._nvram.is_lost:
            raise RefusedRequest(NakReason.WRONG_STATE, "memory lost; the pump must be programmed anew")
        highest = self._nvram.memory.last_command_id
        if proposed.command_id <= highest:
            raise RefusedRequest(NakReason.STALE_COMMAND_ID, f"command_id must be above {highest}")
        return self._tokens.issue(self._planner.plan(proposed))

    def commit(self, commit: Commit) -> CommandResult:
        """Answer a COMMIT; one of an id that was accepted before does nothing and tells what became of it.

        Where the memory is lost any id may have been.

        Raises:
            RefusedRequest: the token is not good.
        """
        if commit.command_id > self._nvram.memory.last_command_id and not self._nvram.is_lost:
            self._tokens.redeem(commit).carry_out(commit.token)
        return self._therapy.result(commit.command_id)

    def result(self, request: CommandResultRequest) -> CommandResult:
        """Answer a CommandResultRequest; of a proposal that waits, the token dies: no late COMMIT belies the answer."""
        if (pending := self._tokens.pending) is not None and request.command_id == pending.command_id:
            self._tokens.kill()
        return self._therapy.result(request.command_id)

    def stop(self, _: Stop) -> Stopped:
        """Answer a STOP: all stands still, and no waiting token brings it back."""
        self._therapy.stop()
        if (pending := self._tokens.pending) is not None:
            self._tokens.kill()
            self._therapy.burn(pending.command_id, pending.token)
        return self._stopped()
