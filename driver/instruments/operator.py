"""The person at the bench, a driver like any other: at this terminal, or behind a port. No procedure asks which."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol, TextIO

from driver.clock import Clock, Deadline
from driver.errors import OperatorError
from driver.instruments.line import LineChannel
from driver.transport import Transport, open_guarded

PATIENCE_S = 1800.0
_KEY = re.compile(r"[A-Za-z0-9_.-]+")


@dataclass(frozen=True, slots=True)
class Answer:
    """What was asked, under which key, and who said yes or no."""

    key: str
    text: str
    yes: bool
    by: str


class Operator(Protocol):
    """Someone with hands and a name."""

    def confirm(self, key: str, text: str) -> Answer:
        """Ask a question that is answered with yes or no.

        Raises:
            OperatorError: there was no answer.
        """
        ...

    def set_stopcock(self, open: bool) -> None:  # noqa: A002
        """Have the outlet's stopcock opened or closed; returns when it is done.

        Raises:
            OperatorError: it was not done.
        """
        ...

    def set_check_weight(self, on_pan: bool) -> None:
        """Have the check weight put on the balance's pan or taken off; returns when it is done.

        Raises:
            OperatorError: it was not done.
        """
        ...


class ConsoleOperator:
    """A person at a terminal. The end of input is a no; what is neither yes nor no is asked again."""

    def __init__(self, name: str, *, input: TextIO, output: TextIO) -> None:  # noqa: A002
        self.name = name
        self._input = input
        self._output = output

    def confirm(self, key: str, text: str) -> Answer:
        """Print the question and wait for the answer, as long as it takes."""
        return Answer(key, text, self._asks(f"{text} (yes/no) "), self.name)

    def set_stopcock(self, open: bool) -> None:  # noqa: A002
        """Print the request and wait for a yes.

        Raises:
            OperatorError: the answer was no, or the input ended.
        """
        action = "open" if open else "close"
        if not self._asks(f"Please {action} the stopcock. Is it {'open' if open else 'closed'}? (yes/no) "):
            raise OperatorError("terminal", f"{self.name} did not {action} the stopcock", command=f"{action}-stopcock")

    def set_check_weight(self, on_pan: bool) -> None:
        """Print the request and wait for a yes.

        Raises:
            OperatorError: the answer was no, or the input ended.
        """
        request = "put the check weight on the pan" if on_pan else "take the check weight off the pan"
        if not self._asks(f"Please {request} and close the draught shield. Done? (yes/no) "):
            command = "put-check-weight" if on_pan else "take-check-weight"
            raise OperatorError("terminal", f"{self.name} did not {request}", command=command)

    def _asks(self, prompt: str) -> bool:
        while True:
            self._output.write(prompt)
            self._output.flush()
            line = self._input.readline()
            word = line.strip().casefold()
            if not line or word in ("n", "no"):
                return False
            if word in ("y", "yes"):
                return True


class RemoteOperator:
    """A person, or a simulated hand, behind a port: UTF-8 lines ended by LF, each with an id that is never used twice.

        ASK <id> <text>                     ANSWER <id> yes|no <name>
        DO <id> open-stopcock               DONE <id> <name>
        DO <id> close-stopcock              DONE <id> <name>
        DO <id> put-check-weight            DONE <id> <name>
        DO <id> take-check-weight           ERROR <id> <reason>

    People act in process time, so `clock` is the process clock, and `patience_s` is how long to wait on it. A late
    answer to an earlier id is passed over.
    """

    def __init__(self, port: str | Transport, clock: Clock, *, patience_s: float = PATIENCE_S) -> None:
        self._line = LineChannel(open_guarded(port), clock, clock, ending=b"\n")
        self._clock = clock
        self._patience_s = patience_s
        self._count = 0

    def confirm(self, key: str, text: str) -> Answer:
        """Ask, and wait for the answer.

        Raises:
            OperatorError: there was no answer in time, or it was an error or no answer at all.
            PortLost: the port is gone.
        """
        said, name = self._exchange("ASK", key, " ".join(text.split()), "ANSWER")
        if said not in ("yes", "no") or not name:
            raise OperatorError(
                self._line.port, f"to {key!r} came {said!r} by {name!r}; it should be yes or no and a name", command=key
            )
        return Answer(key, text, said == "yes", name)

    def set_stopcock(self, open: bool) -> None:  # noqa: A002
        """Have the stopcock turned, and wait until it is.

        Raises:
            OperatorError: it was not done, or not in time.
            PortLost: the port is gone.
        """
        action = "open-stopcock" if open else "close-stopcock"
        self._exchange("DO", "stopcock", action, "DONE")

    def set_check_weight(self, on_pan: bool) -> None:
        """Have the check weight put on or taken off, and wait until it is.

        Raises:
            OperatorError: it was not done, or not in time.
            PortLost: the port is gone.
        """
        self._exchange("DO", "check-weight", "put-check-weight" if on_pan else "take-check-weight", "DONE")

    def close(self) -> None:
        self._line.close()

    def _exchange(self, verb: str, key: str, text: str, wanted: str) -> tuple[str, str]:
        if not _KEY.fullmatch(key):
            raise ValueError(f"an operator's question has a key of letters, digits, dot, dash, underscore, not {key!r}")
        self._count += 1
        id_ = f"{key}#{self._count}"
        self._line.send(f"{verb} {id_} {text}")
        deadline = Deadline(self._clock, self._patience_s)
        while (line := self._line.receive_before(deadline)) is not None:
            kind, _, rest = line.text.partition(" ")
            its_id, _, rest = rest.partition(" ")
            if its_id != id_:
                continue
            if kind != wanted:
                raise OperatorError(self._line.port, f"{text!r} was not done: {rest or line.text}", command=text)
            said, _, name = rest.partition(" ")
            return said, name.strip()
        raise OperatorError(self._line.port, f"nobody answered {text!r} within {self._patience_s:g} s", command=text)
