"""What Gitea's API says, read into values; an answer of another shape is somebody else's, and nothing is known.

Source: `modules/structs` of Gitea 1.26.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from reconciler.adapters.http.answer import Answer, Doing, clean
from reconciler.errors import Refused
from reconciler.model.forge import (
    CommitStatus,
    Protection,
    PullRequest,
    PullRequestState,
    Statuses,
    StatusState,
)
from reconciler.model.names import CommitId

Tree = Mapping[str, Any]

_STATES = {state.value: state for state in StatusState}


def statuses(commit: CommitId, items: list[Tree], doing: Doing) -> Statuses:
    """Returns the statuses of a commit; each check has one."""
    checks = [
        CommitStatus(
            _text(item, "context", doing),
            _STATES.get(_text(item, "status", doing), StatusState.UNKNOWN),
            clean(str(item.get("description") or "")),
        )
        for item in items
    ]
    if len({check.context for check in checks}) != len(checks):
        # They moved from page to page while we read.
        raise doing.unreachable("a check is there twice")
    return Statuses(commit, tuple(sorted(checks)))


def of_commit(body: Any, commit: CommitId, doing: Doing) -> list[Tree]:
    """Returns the statuses in a page of them, if it is about that commit: a branch may be named like one."""
    page = tree(body, doing)
    if page.get("sha") != commit:
        raise doing.unreachable("the answer is about another commit")
    return items(page["statuses"], doing) if page.get("statuses") is not None else []


def protection(branch: str, body: Tree, doing: Doing) -> Protection:
    """Returns what protects a branch."""
    if body.get("name") != branch:
        raise doing.unreachable("the answer is about another branch")
    required = body.get("status_check_contexts") or []
    if not isinstance(required, list):
        raise doing.unreachable("the answer has no list of checks")
    return Protection(
        branch,
        is_protected=_truth(body, "protected", doing),
        can_push=_truth(body, "user_can_push", doing),
        can_merge=_truth(body, "user_can_merge", doing),
        required_checks=(
            tuple(sorted(str(name) for name in required))
            if _truth(body, "enable_status_check", doing)
            else ()
        ),
        required_approvals=_number(body, "required_approvals", doing),
    )


def pull_request(body: Tree, doing: Doing) -> PullRequest:
    """Returns a pull request."""
    head, base = tree(body.get("head"), doing), tree(body.get("base"), doing)
    state = PullRequestState.CLOSED
    if _truth(body, "merged", doing):
        state = PullRequestState.MERGED
    elif _text(body, "state", doing) == "open":
        state = PullRequestState.OPEN
    return PullRequest(
        number=_number(body, "number", doing),
        url=clean(_text(body, "html_url", doing)),
        branch=_branch(head, doing),
        base=_branch(base, doing),
        state=state,
        head=CommitId(_text(head, "sha", doing)),
    )


def is_of(body: Tree, branch: str | None) -> bool:
    """Tells whether a pull request is for a branch, or for any, of this repository, and not of somebody's fork."""
    head, base = body.get("head"), body.get("base")
    if not isinstance(head, dict) or not isinstance(base, dict):
        return False
    is_named = branch is None or head.get("label") == branch
    return is_named and head.get("repo_id") == base.get("repo_id")


def poster(body: Tree, doing: Doing) -> int:
    """Returns who has opened a pull request, by Gitea's number."""
    return _number(tree(body.get("user"), doing), "id", doing)


def check_pulls(repository: Tree, doing: Doing) -> None:
    """Raises where a repository has no pull requests at all."""
    if not _truth(repository, "has_pull_requests", doing):
        fix = "turn pull requests on in the repository's settings"
        raise Refused(doing.subject, doing.what, "the repository has none", fix)


def total(answer: Answer, doing: Doing) -> int:
    """Returns how many items a list has on all its pages."""
    text = answer.headers.get("X-Total-Count", "")
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise doing.unreachable("the answer does not say how many there are")
    return int(text)


def words(answer: Answer) -> str:
    """Returns what Gitea says of a refusal; empty where the answer is not in its words."""
    try:
        body = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return ""
    return str(body.get("message") or "") if isinstance(body, dict) else ""


def tree(body: Any, doing: Doing) -> Tree:
    """Returns a JSON object."""
    if not isinstance(body, dict):
        raise doing.unreachable("the answer is not what Gitea says")
    return body


def items(body: Any, doing: Doing) -> list[Tree]:
    """Returns a list of JSON objects."""
    if not isinstance(body, list) or not all(isinstance(item, dict) for item in body):
        raise doing.unreachable("the answer is not what Gitea says")
    return body


def _branch(end: Tree, doing: Doing) -> str:
    """Returns a branch's name: its label, since the ref of one that is deleted is `refs/pull/…`."""
    return _text(end, "label", doing)


def _text(body: Tree, name: str, doing: Doing) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise doing.unreachable(f"the answer has no {name}")
    return value


def _truth(body: Tree, name: str, doing: Doing) -> bool:
    value = body.get(name)
    if not isinstance(value, bool):
        raise doing.unreachable(f"the answer has no {name}")
    return value


def _number(body: Tree, name: str, doing: Doing) -> int:
    value = body.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise doing.unreachable(f"the answer has no {name}")
    return value
