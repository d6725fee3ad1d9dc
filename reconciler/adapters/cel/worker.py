"""The process that evaluates conditions: a question a line on stdin, an answer a line on stdout, until stdin ends."""

from __future__ import annotations

import json
import resource
import sys

from reconciler.adapters.cel.evaluating import evaluate

MEMORY_BYTES_MAX = 256 * 1024 * 1024
"""Ten times what the library and the facts of a large service take; a condition that takes more is a mistake."""

READY = "ready"
"""The first line, once all is loaded."""


def main() -> None:
    """Answers until nobody asks any more, or a question took too much memory."""
    for kind, most in ((resource.RLIMIT_DATA, MEMORY_BYTES_MAX), (resource.RLIMIT_CORE, 0)):
        _, allowed = resource.getrlimit(kind)
        least = most if allowed == resource.RLIM_INFINITY else min(most, allowed)
        resource.setrlimit(kind, (least, least))
    _say(READY)
    for line in sys.stdin:
        expression, facts = json.loads(line)
        try:
            answer: bool | str = evaluate(expression, facts)
        except MemoryError:
            why = f"it takes more than {MEMORY_BYTES_MAX // 1024 // 1024} MiB"
            _say(json.dumps({"answer": why, "ends": True}))
            # What is left of it is not known.
            return
        _say(json.dumps({"answer": answer, "ends": False}))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
