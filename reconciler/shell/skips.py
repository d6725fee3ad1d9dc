"""What a pin asks to be let past, and whose signature is on the commit that wrote it."""

from __future__ import annotations

from reconciler.errors import OperatorError
from reconciler.model.env_repo import Pin
from reconciler.model.names import CommitId
from reconciler.model.release import Revision
from reconciler.model.skips import Vouched
from reconciler.ports.git import History, Signers
from reconciler.shell.pin_writers import PinWriters

FIELDS = ("skip",)

NOBODY_MAY = "the daemon's setting repo.allowed_signers_file names nobody whose word counts"


class Skips:
    """Looks for who vouches for a skip.

    Args:
        history: The mirror.
        root: The subfolder that is the env repo, or empty.
        signers: Whose signatures count; None: nobody's, so that nobody may skip anything.
    """

    def __init__(self, history: History, root: str, signers: Signers | None) -> None:
        self._pins = PinWriters(history, root)
        self._signers = signers

    def of(self, head: CommitId, pin: Pin, wanted: Revision) -> Vouched | None:
        """Returns a pin's skip; None where it has none.

        A merge's own signature counts, and so does that of the commit which it merged as it is. Absence is always the
        same revision: of it only what was written since it was last asked for counts.

        Args:
            head: The commit that the pin is read from.
            pin: As it is there.
            wanted: What it asks for; nobody is looked for who vouched for another.

        Raises:
            TransientError: The mirror could not be read.
        """
        if pin.skip is None:
            return None
        if pin.skip.revision != wanted.id:
            return Vouched(pin.skip, ())
        if self._signers is None:
            return Vouched(pin.skip, (), NOBODY_MAY)
        path = f"environments/{pin.environment}/{pin.service}.yaml"
        try:
            writers = tuple(
                facts
                for facts in self._pins.writers(head, path, FIELDS)
                if self._pins.says_the_same(facts.commit, head, path, FIELDS)
            )
            if wanted.absent and writers:
                writers, asked_in = self._pins.anew(head, path, writers)
                if not writers:
                    anew = asked_in or "a commit too old to be looked for"
                    why = f"it was written before {anew} asked for absence"
                    return Vouched(pin.skip, (), why)
            found = [self._signers.signer_of(facts.commit) or "" for facts in writers]
        except OperatorError as error:
            return Vouched(pin.skip, (), f"who wrote it cannot be told: {error}")
        names = (name.strip() for principals in found for name in principals.split(","))
        signers = tuple(dict.fromkeys(filter(None, names)))
        commit = writers[-1].commit if writers else "a commit too old to be looked for"
        why = f"none of the allowed signers has signed {commit}, which wrote it"
        return Vouched(pin.skip, signers, "" if signers else why)
