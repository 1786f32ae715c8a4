"""The dosing conversation: PROPOSE, COMMIT, results, and STOP."""

from __future__ import annotations

from collections.abc import Callable

from firmware_mock.firmware.nvram import Nvram
from firmware_mock.firmware.outcomes import Outcomes
from firmware_mock.firmware.proposals import Plan, Planner
from firmware_mock.firmware.refusals import RefusedRequest
from firmware_mock.firmware.supported import Supported
from firmware_mock.firmware.therapy import Therapy
from firmware_mock.firmware.tokens import Tokens
from protocol import (
    CommandResult,
    CommandResultRequest,
    Commit,
    EventCode,
    NakReason,
    Proposal,
    ProposePatientBolus,
    Stop,
    Stopped,
)


class Dosing:
    """Answers the requests that move liquid or change what moves; `stopped` makes the reply to STOP."""

    def __init__(
        self,
        nvram: Nvram,
        planner: Planner,
        tokens: Tokens,
        therapy: Therapy,
        outcomes: Outcomes,
        stopped: Callable[[], Stopped],
        announce: Callable[[EventCode, int], None],
    ) -> None:
        self._nvram = nvram
        self._planner = planner
        self._tokens = tokens
        self._therapy = therapy
        self._outcomes = outcomes
        self._stopped = stopped
        self._announce = announce

    def propose(self, proposed: Supported) -> Proposal:
        """Answer a PROPOSE.

        Raises:
            RefusedRequest: the id is not above the highest, the planner refuses it, or the memory is lost.
        """
        return self._tokens.issue(self._planned(proposed))

    def commit(self, commit: Commit) -> CommandResult:
        """Answer a COMMIT; one of an id that was accepted before does nothing and tells what became of it.

        Where the memory is lost any id may have been.

        Raises:
            RefusedRequest: the token is not good, or what was proposed is no longer allowed.
        """
        if commit.command_id > self._nvram.memory.last_command_id and not self._nvram.is_lost:
            self._tokens.redeem(commit).carry_out(commit.token)
        return self._outcomes.told(commit.command_id)

    def result(self, request: CommandResultRequest) -> CommandResult:
        """Answer a CommandResultRequest; of a proposal that waits, the token dies: no late COMMIT belies the answer."""
        if (pending := self._tokens.pending) is not None and request.command_id == pending.command_id:
            self._tokens.kill()
        return self._outcomes.told(request.command_id)

    def press_button(self) -> None:
        """The patient asks for a bolus: it takes the next id and needs no COMMIT; a waiting token dies."""
        command_id = self._nvram.memory.last_command_id + 1
        try:
            plan = self._planned(ProposePatientBolus(command_id, 0.0, 0.0))
        except RefusedRequest as refusal:
            self._announce(EventCode.PATIENT_BOLUS_REFUSED, refusal.reason)
            return
        self._tokens.kill()
        plan.carry_out(self._tokens.draw())

    def stop(self, _: Stop) -> Stopped:
        """Answer a STOP: all stands still, and no waiting token brings it back."""
        self._therapy.stop()
        if (pending := self._tokens.pending) is not None:
            self._tokens.kill()
            self._therapy.burn(pending.command_id, pending.token)
        return self._stopped()

    def _planned(self, proposed: Supported) -> Plan:
        if self._nvram.is_lost:
            raise RefusedRequest(NakReason.WRONG_STATE, "memory lost; the pump must be programmed anew")
        highest = self._nvram.memory.last_command_id
        if proposed.command_id <= highest:
            raise RefusedRequest(NakReason.STALE_COMMAND_ID, f"command_id must be above {highest}")
        return self._planner.plan(proposed)
