"""From which commits of the env repo a revision comes: those that a forge's checks can have looked at."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

from reconciler.core.boarding import FormerPin
from reconciler.core.identity import with_clusters
from reconciler.errors import InvalidInput, OperatorError
from reconciler.model.env_repo import Pin, Snapshot
from reconciler.model.names import CommitId, EnvironmentName, ServiceName
from reconciler.model.release import Revision
from reconciler.shell.sources import Sources


class Origins:
    """Reads the history of pins and services.

    Args:
        sources: Services and pins at any commit.
    """

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def of(
        self,
        snapshot: Snapshot,
        service: ServiceName,
        environment: EnvironmentName,
        revision: Revision,
    ) -> tuple[CommitId, ...]:
        """Returns the commits that hold all of a revision between them; none where they are not known.

        That is the one that last changed what the pin asks for. Where the service's files are others there
        than those that it is given, it is also the commit that they come from: the pin's `source`, or the
        last that changed them. If that one is the later, it holds the pin as well, and stands alone.

        Raises:
            TransientError: The mirror could not be read.
        """
        try:
            return self._of(snapshot, service, environment, revision)
        except OperatorError:
            # A commit that is larger than is ever read, or is not there any more.
            return ()

    def _of(
        self,
        snapshot: Snapshot,
        service: ServiceName,
        environment: EnvironmentName,
        revision: Revision,
    ) -> tuple[CommitId, ...]:
        pins = tuple(self._sources.pins(snapshot.commit, environment, service))
        former, is_heads = _asked(pins, revision)
        if former is None:
            # It stood there before all that is looked through.
            files = self._files_commit(service, snapshot.pins[environment, service], revision)
            return (files,) if files is not None else ()
        if revision.absent or self._holds_files(service, former.commit, revision):
            return (former.commit,)
        files = self._files_commit(service, former.pin, revision)
        if files is None:
            return ()
        if is_heads and self._sources.is_ancestor(former.commit, files):
            return (files,)
        return (former.commit, files)

    def _holds_files(self, service: ServiceName, commit: CommitId, revision: Revision) -> bool:
        try:
            there = self._sources.at(service, commit)
        except InvalidInput:
            return False
        given = self._sources.at(service, revision.release.source)
        return (
            there is not None
            and given is not None
            and (there.tree, there.identity) == (given.tree, given.identity)
        )

    def _files_commit(self, service: ServiceName, pin: Pin, revision: Revision) -> CommitId | None:
        source = revision.release.source
        if pin.source is not None:
            return source
        return self._sources.changed(service, source)


def _asked(pins: Sequence[FormerPin], revision: Revision) -> tuple[FormerPin | None, bool]:
    """Returns the first commit of those in a row that ask for a revision, and whether HEAD is of that row.

    What takes a part of HEAD's pin alone, as immediate values do, is in no pin of its own: HEAD's asks for it.
    """
    begins = next((i for i, one in enumerate(pins) if _asks_for(one.pin, revision)), 0)
    row = takewhile(lambda one: _words(one.pin) == _words(pins[begins].pin), pins[begins:])
    return next(iter(reversed(tuple(row))), None), begins == 0


def _words(pin: Pin) -> object:
    """Returns what a pin asks for; a note, a pause or an approval is no part of it."""
    return pin.version, pin.images, pin.source, pin.values, pin.cluster_values


def _asks_for(pin: Pin, revision: Revision) -> bool:
    release = revision.release
    values = with_clusters(pin.values, pin.cluster_values)
    asked = pin.version, pin.images, values
    return asked == (release.version, release.images, revision.values)
