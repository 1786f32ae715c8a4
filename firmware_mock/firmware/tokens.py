"""The one proposal that waits for its COMMIT, under a token that works once and not for long."""

from __future__ import annotations

from dataclasses import dataclass

from firmware_mock.firmware.proposals import Plan
from firmware_mock.firmware.refusals import RefusedRequest
from firmware_mock.world import World, to_ns
from protocol import Commit, NakReason, Proposal, encode_payload, proposal_digest

LIFETIME_S = 30.0


@dataclass(frozen=True, slots=True)
class _Pending:
    plan: Plan
    proposal: Proposal
    expires_ns: int


class Tokens:
    """A new proposal replaces the one that waits. The lifetime is real time: it scales with a served world's speed."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._stream = world.stream("pump.tokens")
        self._pending: _Pending | None = None

    @property
    def pending(self) -> Proposal | None:
        """The proposal that waits, None without one."""
        return None if self._pending is None else self._pending.proposal

    def issue(self, plan: Plan) -> Proposal:
        """The reply to a PROPOSE that was found good."""
        proposal = Proposal(
            command_id=plan.canonical.command_id,
            token=self.draw(),
            digest=proposal_digest(plan.canonical),
            expires_in_ms=round(LIFETIME_S * 1000),
            canonical=encode_payload(plan.canonical),
        )
        expires_ns = self._world.now_ns + to_ns(LIFETIME_S * self._world.served_speed)
        self._pending = _Pending(plan, proposal, expires_ns)
        return proposal

    def draw(self) -> int:
        """A token that nobody knows; never 0."""
        return self._stream.getrandbits(64) or 1

    def redeem(self, commit: Commit) -> Plan:
        """The plan behind a token, which is then used up.

        Raises:
            RefusedRequest: no such token waits, it is too old, or id or digest are not those of the proposal.
        """
        pending = self._pending
        if pending is None or pending.proposal.token != commit.token:
            raise RefusedRequest(NakReason.BAD_TOKEN, "no proposal waits under this token")
        if (pending.proposal.command_id, pending.proposal.digest) != (commit.command_id, commit.digest):
            raise RefusedRequest(NakReason.BAD_TOKEN, "command_id or digest differs from the proposal")
        self._pending = None
        if self._world.now_ns > pending.expires_ns:
            raise RefusedRequest(NakReason.EXPIRED, f"the token was good for {LIFETIME_S:.0f} s")
        return pending.plan

    def kill(self) -> None:
        """Let no waiting token be redeemed."""
        self._pending = None
