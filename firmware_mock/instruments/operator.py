"""The simulated operator: answers questions, turns the stopcock, puts the check weight on; as slowly as a hand does.

Lines are UTF-8, ended by LF. The host asks or orders under an id of its own choice (no spaces); the operator does one
thing after another, in order, and answers with the same id and his name:

    ASK <id> <text>                        ->  ANSWER <id> yes|no <name>
    DO <id> open-stopcock|close-stopcock   ->  DONE <id> <name>
    DO <id> put-check-weight               ->  DONE <id> <name>
    DO <id> take-check-weight              ->  DONE <id> <name>
    anything else                          ->  ERROR <id> <reason>    (id `-` where none was given)

The same text, for those who write a client: docs/operator-link.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from firmware_mock.physics.certificates import RigFactMissing, rig_text
from firmware_mock.ports import Port
from firmware_mock.scenario import ScenarioError
from firmware_mock.world import World, to_ns

LONGEST_LINE = 4096
APPROVAL = "approve"


@dataclass(frozen=True, slots=True)
class OperatorEffects:
    """Scenario table `[operator]`: mean time for one answer or one turn of the hand, its relative spread, and the key
    of a question that is answered with no because something is not as it should be.
    """

    delay_s: float = 5.0
    delay_spread: float = 0.0
    sees_wrong: str = ""

    def __post_init__(self) -> None:
        if self.delay_s < 0.0:
            raise ScenarioError(f"[operator] delay_s = {self.delay_s} must be at least 0")
        if not 0.0 <= self.delay_spread <= 1.0:
            raise ScenarioError(f"[operator] delay_spread = {self.delay_spread} must be 0 to 1")


class Hand:
    """The operator's side of the cable. `set_stopcock(True)` is called to open the stopcock, with False to close it;
    `set_check_weight(True)` to put the check weight on the pan, with False to take it off.
    """

    def __init__(
        self,
        world: World,
        port: Port,
        rig: Mapping[str, Any],
        set_stopcock: Callable[[bool], None],
        set_check_weight: Callable[[bool], None],
    ) -> None:
        self._world = world
        self._port = port
        self._actions: dict[str, tuple[str, Callable[[], None]]] = {
            "open-stopcock": ("operator.stopcock", lambda: set_stopcock(True)),
            "close-stopcock": ("operator.stopcock", lambda: set_stopcock(False)),
            "put-check-weight": ("operator.check_weight", lambda: set_check_weight(True)),
            "take-check-weight": ("operator.check_weight", lambda: set_check_weight(False)),
        }
        self._effects = world.scenario.section("operator", OperatorEffects)
        self._name = rig_text(rig, "operator", "name")
        approves = rig["operator"].get("approves", False)
        if not isinstance(approves, bool):
            raise RigFactMissing(f"rig file: [operator] approves is {approves!r}; it must be true or false")
        self._approves = approves
        self._pace = world.stream("operator.pace")
        self._free_ns = world.now_ns
        self._line = bytearray()
        port.on_receive = self._receive

    def _receive(self, data: bytes) -> None:
        self._line += data
        while (end := self._line.find(b"\n")) >= 0:
            line = bytes(self._line[:end])
            del self._line[: end + 1]
            self._handle(line.removesuffix(b"\r"))
        if len(self._line) > LONGEST_LINE:
            self._line.clear()
            self._send(f"ERROR - a line is longer than {LONGEST_LINE} bytes")

    def _handle(self, line: bytes) -> None:
        try:
            words = line.decode("utf-8").split(" ", 2)
        except UnicodeDecodeError:
            self._send("ERROR - the line is not UTF-8")
            return
        match words:
            case ["ASK", identifier, text] if identifier and text.strip():
                answer = "yes" if self._agrees(identifier) else "no"
                self._after_a_while(lambda: self._send(f"ANSWER {identifier} {answer} {self._name}"))
            case ["DO", identifier, action] if identifier and action in self._actions:
                self._after_a_while(lambda: self._act(identifier, action))
            case ["DO", identifier, action] if identifier:
                self._send(f"ERROR {identifier} unknown action {action}; known: {', '.join(self._actions)}")
            case [verb, identifier, *_] if identifier and verb in ("ASK", "DO"):
                self._send(f"ERROR {identifier} {verb} needs an id and a text")
            case [verb, identifier, *_] if identifier:
                self._send(f"ERROR {identifier} unknown word {verb}; known: ASK, DO")
            case _:
                self._send("ERROR - a line is ASK or DO, an id, and a text")

    def _after_a_while(self, act: Callable[[], None]) -> None:
        """One thing after another, each with its own time."""
        spread = self._effects.delay_spread
        delay_s = self._effects.delay_s * self._pace.uniform(1.0 - spread, 1.0 + spread)
        self._free_ns = max(self._free_ns, self._world.now_ns) + to_ns(delay_s)
        self._world.at(self._free_ns, act)

    def _agrees(self, identifier: str) -> bool:
        if identifier.startswith(APPROVAL):
            return self._approves
        wrong = self._effects.sees_wrong
        if not wrong or not identifier.startswith(wrong):
            return True
        self._world.ledger.saw("operator.sees_wrong")
        return False

    def _act(self, identifier: str, action: str) -> None:
        evidence, act = self._actions[action]
        act()
        self._world.ledger.saw(evidence)
        self._send(f"DONE {identifier} {self._name}")

    def _send(self, line: str) -> None:
        self._port.send(f"{line}\n".encode())
