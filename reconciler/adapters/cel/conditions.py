"""The Conditions port: a process of its own evaluates, so that one that takes too long can be ended.

The library has no limit of time or memory, and holds every thread of its process while it evaluates.
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import threading
import time
import weakref
from contextlib import suppress

from reconciler.adapters.cel.worker import READY
from reconciler.model.answers import NotKnown
from reconciler.model.outside import ConditionQuestion

EVALUATE_S = 1.0
"""A thousand times what one takes; a machine that is busy may need some of it."""

START_S = 20.0
"""Python and the library are loaded in a fifth of a second."""

FACTS_BYTES_MAX = 1024 * 1024
"""Values of 16 KB and five hundred clusters are a fifth of this."""

ANSWER_BYTES_MAX = 64 * 1024

_WORKER = "reconciler.adapters.cel.worker"


class CelConditions:
    """The Conditions port. Safe to use from several threads, of which one evaluates at a time."""

    def __init__(self, *, evaluate_s: float = EVALUATE_S) -> None:
        self._evaluate_s = evaluate_s
        self._lock = threading.Lock()
        self._worker: _Worker | None = None

    def holds(self, question: ConditionQuestion) -> bool | NotKnown:
        """As the port has it."""
        if len(question.facts.encode()) > FACTS_BYTES_MAX:
            return _not_known(f"its facts are over {FACTS_BYTES_MAX} bytes")
        with self._lock:
            try:
                text = json.dumps([question.expression, question.facts])
                answer, ends = self._asked().ask(text, self._evaluate_s)
                if ends:
                    self._end()
            except TimeoutError:
                answer = f"it takes longer than {self._evaluate_s:g} s"
                self._end()
            except OSError as error:
                answer = f"the process that evaluates it has ended ({type(error).__name__})"
                self._end()
        return answer if isinstance(answer, bool) else _not_known(str(answer))

    def _asked(self) -> _Worker:
        if self._worker is None or not self._worker.lives:
            self._end()
            self._worker = _Worker()
            self._worker.begin()
        return self._worker

    def _end(self) -> None:
        if self._worker is not None:
            self._worker.end()
            self._worker = None


class _Worker:
    """A process; it leaves when our end of its stdin is gone, so that a daemon that is killed takes it along."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-P", "-m", _WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "LANG": "C.UTF-8"},
        )
        self._ended = weakref.finalize(self, _end, self._process)

    @property
    def lives(self) -> bool:
        return self._process.poll() is None

    def begin(self) -> None:
        """Waits until it can be asked."""
        if self._line(START_S) != READY.encode():
            raise BrokenPipeError

    def ask(self, text: str, timeout_s: float) -> tuple[bool | str, bool]:
        """Returns its answer, and whether that was its last.

        Raises:
            TimeoutError: There is none in time.
            OSError: It has ended.
        """
        stdin = self._process.stdin
        assert stdin is not None
        stdin.write(f"{text}\n".encode())
        stdin.flush()
        try:
            told = json.loads(self._line(timeout_s))
            return told["answer"], bool(told["ends"])
        except (ValueError, KeyError, TypeError):
            raise BrokenPipeError from None

    def end(self) -> None:
        """Ends it, whatever it does."""
        self._ended()

    def _line(self, timeout_s: float) -> bytes:
        stdout = self._process.stdout
        assert stdout is not None
        until_s = time.monotonic() + timeout_s
        told = b""
        # Not select(): a daemon of many clusters has more open files than that can name.
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            while not told.endswith(b"\n"):
                if not selector.select(max(0.0, until_s - time.monotonic())):
                    raise TimeoutError
                chunk = os.read(stdout.fileno(), 1 << 16)
                if not chunk or len(told) > ANSWER_BYTES_MAX:
                    raise BrokenPipeError
                told += chunk
        return told.removesuffix(b"\n")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    with suppress(OSError), process:  # Waits, and closes the pipes.
        pass


def _not_known(why: str) -> NotKnown:
    line = " ".join(why.split())
    return NotKnown("ConditionUnknown", f"it could not be evaluated: {line}")
