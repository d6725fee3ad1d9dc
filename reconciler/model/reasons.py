"""Why nothing is done, or why a gate is closed: stable constants that people search for."""

from collections.abc import Mapping
from enum import StrEnum


class Reason(StrEnum):
    """Each has its heading in docs/reasons.md."""

    SETTLED = "Settled"
    PROGRESSING = "Progressing"
    WAITING_FOR_SOAK = "WaitingForSoak"
    WAITING_FOR_PROOF = "WaitingForProof"
    WAITING_FOR_DEPENDENCY = "WaitingForDependency"
    DEPENDENCY_REJECTED = "DependencyRejected"
    WAITING_FOR_PLACE = "WaitingForPlace"
    WAITING_FOR_GROUP = "WaitingForGroup"
    GROUP_FAILED = "GroupFailed"
    STILL_NEEDED = "StillNeeded"
    NOT_ASKED_FOR = "NotAskedFor"
    TOO_MANY_GO = "TooManyGo"
    FAILING_BESIDE = "FailingBeside"
    PROGRESS_DEADLINE = "ProgressDeadline"
    QUEUED = "Queued"
    PAUSED = "Paused"
    FROZEN = "Frozen"
    OUTSIDE_WINDOW = "OutsideWindow"
    WAITING_FOR_APPROVAL = "WaitingForApproval"
    IRREVERSIBLE = "Irreversible"
    RETURN_UNKNOWN = "ReturnUnknown"
    CANNOT_GO_BACK = "CannotGoBack"
    SKIPPED = "Skipped"
    WAITING_FOR_CHECKS = "WaitingForChecks"
    CHECKS_UNKNOWN = "ChecksUnknown"
    GATE_CLOSED = "GateClosed"
    GATE_UNKNOWN = "GateUnknown"
    CONDITION_NOT_MET = "ConditionNotMet"
    CONDITION_UNKNOWN = "ConditionUnknown"
    NOT_CONFIGURED = "NotConfigured"
    PROMOTION_ASKED = "PromotionAsked"
    PROMOTION_CLOSED = "PromotionClosed"
    PIN_NOT_MOVED = "PinNotMoved"
    REGISTRY_UNKNOWN = "RegistryUnknown"
    NOTHING_TO_FOLLOW = "NothingToFollow"
    REJECTED = "Rejected"
    QUARANTINED = "Quarantined"
    QUARANTINE_UNREADABLE = "QuarantineUnreadable"
    NOTHING_PROVEN = "NothingProven"
    ADOPTION_DIFFERS = "AdoptionDiffers"
    ADOPTION_PENDING = "AdoptionPending"
    ORPHANED = "Orphaned"
    INVALID_SERVICE = "InvalidService"
    INVALID_PIN = "InvalidPin"
    RENDERING = "Rendering"
    RENDER_FAILED = "RenderFailed"
    NOT_SUPPORTED = "NotSupported"
    GIT_UNKNOWN = "GitUnknown"
    SOURCE_UNKNOWN = "SourceUnknown"
    HISTORY_REWRITTEN = "HistoryRewritten"
    OTHER_INSTALLATION = "OtherInstallation"
    HOME_UNREACHABLE = "HomeUnreachable"
    ACTION_FAILED = "ActionFailed"
    NOT_LEADING = "NotLeading"
    CLUSTER_UNREACHABLE = "ClusterUnreachable"
    CLUSTER_UNKNOWN = "ClusterUnknown"
    ROLLING_BACK = "RollingBack"
    FUSE_BLOWN = "FuseBlown"
    PLATFORM_INCIDENT = "PlatformIncident"
    FAILING_AFTER_PROOF = "FailingAfterProof"
    FAILING_BEFORE = "FailingBefore"
    JOINING = "Joining"
    SUSPENDED = "Suspended"
    PROVEN_HERE = "ProvenHere"
    RENDER_CHANGED = "RenderChanged"
    SAME_RENDER = "SameRender"
    MODE_OBSERVE = "ModeObserve"
    OPEN = "Open"


CHANGES: Mapping[Reason, str] = {
    Reason.SETTLED: "A new pin.",
    Reason.PROGRESSING: "Its workloads become ready, or a deadline passes.",
    Reason.WAITING_FOR_SOAK: "Time: it must be seen healthy for the whole soak.",
    Reason.WAITING_FOR_PROOF: "The environment before proves it; `reconciler explain` says what it waits for there.",
    Reason.WAITING_FOR_DEPENDENCY: "The service that it depends on is proven here.",
    Reason.DEPENDENCY_REJECTED: "The service that it depends on proves another release here; or another pin.",
    Reason.WAITING_FOR_PLACE: "One of those that roll out there is done, or `max_rollouts` in fleet.yaml is raised.",
    Reason.STILL_NEEDED: "Whatever depends on it goes first, or no longer names it in `depends_on`.",
    Reason.NOT_ASKED_FOR: "The pin says `release: absent` again; or what it asks for now is admitted.",
    Reason.TOO_MANY_GO: "Fewer pins of the environment say `release: absent`, or an hour passes since others went.",
    Reason.FAILING_BESIDE: "What fails there is healthy again; or the pin asks for the service again.",
    Reason.WAITING_FOR_GROUP: "The one of its group that is named could be let in, too, or asks for nothing new.",
    Reason.GROUP_FAILED: "The commit that takes the other back pins what was proven here; or a person pins another.",
    Reason.PROGRESS_DEADLINE: "It becomes ready, or a person looks; it is never reverted on that ground.",
    Reason.QUEUED: "What rolls out is proven or rejected; what is proven here already can be gone back to at once.",
    Reason.PAUSED: "`reconciler resume`, or `paused: false` in the pin.",
    Reason.FROZEN: "The freeze ends at its time, or `reconciler thaw` takes it out of fleet.yaml.",
    Reason.OUTSIDE_WINDOW: "Time: the next window opens; or other `windows` in the policy.",
    Reason.WAITING_FOR_APPROVAL: "Somebody else than who pinned it runs `reconciler approve`.",
    Reason.IRREVERSIBLE: "One that can come back; where the policy asks, `reconciler approve` with `--irreversible`.",
    Reason.RETURN_UNKNOWN: "What is proven here renders again; or `reconciler approve` with `--irreversible`.",
    Reason.CANNOT_GO_BACK: "A newer release that mends it, or a person acts; nothing is put back or reverted.",
    Reason.SKIPPED: "Nothing; `skip` taken out of the pin closes it again.",
    Reason.WAITING_FOR_CHECKS: "The checks that the policy's `commit_statuses` names pass on the commit that is named.",
    Reason.CHECKS_UNKNOWN: "The forge answers; it is asked again.",
    Reason.GATE_CLOSED: "Whoever holds the gate that is named opens it; it is asked again.",
    Reason.GATE_UNKNOWN: "The gate that is named answers open or closed; it is asked again.",
    Reason.CONDITION_NOT_MET: "The facts that the condition of the policy looks at; it is looked at every minute.",
    Reason.CONDITION_UNKNOWN: "The condition in the policy is corrected, or the facts that it looks at are there.",
    Reason.NOT_CONFIGURED: "The daemon's settings name what the policy asks for, or the policy asks for it no more.",
    Reason.PROMOTION_ASKED: "A person merges the pull request, or the branch, or closes it.",
    Reason.PROMOTION_CLOSED: "`reconciler promote`, or a newer release that is proven before.",
    Reason.PIN_NOT_MOVED: "It is tried again; the message says what stands in its way.",
    Reason.REGISTRY_UNKNOWN: "The registry answers; it is asked again, less and less often.",
    Reason.NOTHING_TO_FOLLOW: "A tag that `image_policy` takes is pushed, or a person corrects the policy or the pin.",
    Reason.REJECTED: "Another release, or a reason under `lifted` at its entry in the quarantine file.",
    Reason.QUARANTINED: "Another release, or a reason under `lifted` at its entry in the quarantine file.",
    Reason.QUARANTINE_UNREADABLE: "The file is corrected; `reconciler validate` says where.",
    Reason.NOTHING_PROVEN: "A person acts: pin a release that works, or mend what failed.",
    Reason.ADOPTION_DIFFERS: "See `reconciler diff`; then correct the pin, or say `adopt: overwrite` in it.",
    Reason.ADOPTION_PENDING: "What is live becomes healthy.",
    Reason.ORPHANED: "What is missing comes back; nothing is deleted meanwhile.",
    Reason.INVALID_SERVICE: "The file is corrected; `reconciler validate` says where.",
    Reason.INVALID_PIN: "The file is corrected; `reconciler validate` says where.",
    Reason.RENDERING: "A moment: half a minute for each environment at the most, and for what is rendered before it.",
    Reason.RENDER_FAILED: "The manifests are corrected; `reconciler validate` names them.",
    Reason.NOT_SUPPORTED: "The field is taken out.",
    Reason.GIT_UNKNOWN: "The remote answers.",
    Reason.SOURCE_UNKNOWN: "`source` in the pin names a commit that holds the service; what could not be read or "
    "rendered in time is tried again.",
    Reason.HISTORY_REWRITTEN: "`repo.accept_history` names the new HEAD, if it is meant; "
    "the word is used up by one rewrite.",
    Reason.OTHER_INSTALLATION: "One of the two is ended; or this one was renamed, and `installation_formerly` "
    "names what it was.",
    Reason.HOME_UNREACHABLE: "The home cluster answers, and lets the records be read.",
    Reason.ACTION_FAILED: "It is tried again; the message says what stands in its way.",
    Reason.NOT_LEADING: "This daemon leads again; the one that leads does the work meanwhile.",
    Reason.CLUSTER_UNREACHABLE: "The cluster answers.",
    Reason.CLUSTER_UNKNOWN: "A moment: the cluster is being read.",
    Reason.ROLLING_BACK: "Every reachable cluster is back, current and ready.",
    Reason.FUSE_BLOWN: "The rejections grow older than an hour, or a person raises the limit.",
    Reason.PLATFORM_INCIDENT: "The services are healthy again, or go back to releases that are proven there.",
    Reason.FAILING_AFTER_PROOF: "A newer release, or a person acts.",
    Reason.FAILING_BEFORE: "The environment before is healthy again.",
    Reason.JOINING: "The cluster that joins runs what is proven here; nothing else waits for it.",
    Reason.SUSPENDED: "The annotation's time is over, or it is taken away.",
    Reason.PROVEN_HERE: "Nothing.",
    Reason.RENDER_CHANGED: "The environments before prove it as this daemon renders it.",
    Reason.SAME_RENDER: "Nothing.",
    Reason.MODE_OBSERVE: "`mode: enforce`, in the settings, in fleet.yaml and in service.yaml.",
    Reason.OPEN: "Nothing.",
}
"""What changes it, as a person is told; the page says the same."""
