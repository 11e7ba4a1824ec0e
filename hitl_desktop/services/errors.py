"""Service errors, by cause. Each message is one sentence: what happened, what it means for decisions, what to do.

ServiceError
├── Unavailable   the server cannot be reached or did not answer in time: try again later
│   └── Interrupted   the connection was lost after sending: what was sent may have been done
├── Refused       the server answered and says no: no permission
│   ├── LoginRefused    it does not take the user name or password: it was asked nothing else
│   │   └── LoginUnknown    whom to log in as cannot be found out now: nothing was sent
│   └── TakesNoWrites   it takes no writes at present: out of memory or disk, read-only, busy
│       └── FunctionsMissing   its administrator has not loaded this version's functions
├── Malformed     a record cannot be read
├── NotFound      there is no such record
└── Conflict      the gate cannot be decided this way any more
    ├── AlreadyDecided   someone decided it first
    ├── Overdue          its time has run out
    └── EvidenceChanged  its evidence is not what the reviewer saw
"""

from hitl_desktop.domain.decision import Decided


class ServiceError(Exception):
    """Something a remote side did; the message is fit for the screen."""


class Unavailable(ServiceError):  # noqa: N818 - named by cause, as a reviewer would say it
    """The server cannot be reached or did not answer in time."""


class Interrupted(Unavailable):
    """The connection was lost after sending: what was sent may have been done, and only its id can tell."""


class Refused(ServiceError):  # noqa: N818 - as above
    """The server answered and says no."""


class LoginRefused(Refused):
    """The server does not take the user name or password, so it has said nothing about anything else."""


class LoginUnknown(LoginRefused):
    """What keeps the logins cannot be asked now, so nobody logged in: another than the tenant's own never does."""


class TakesNoWrites(Refused):
    """The server takes no writes at present: its memory or disk is full, or it is a read-only replica."""


class FunctionsMissing(TakesNoWrites):
    """This user may run nothing but functions, and the server lacks those of this version."""

    def __init__(self, address: str) -> None:
        load = "`hitl-desktop tenants acl --functions | redis-cli -x FUNCTION LOAD REPLACE`"
        super().__init__(
            f"The server at {address} lacks this version's functions, so nothing was read or written: "
            f"its administrator loads them with {load}."
        )


class Malformed(ServiceError):  # noqa: N818 - as above
    """A record cannot be read."""


class NotFound(ServiceError):  # noqa: N818 - as above
    """There is no such record."""


class Conflict(ServiceError):  # noqa: N818 - as above
    """The gate cannot be decided this way any more; nothing was written."""


class AlreadyDecided(Conflict):
    """Someone decided it first: `decided` says who, what and when."""

    def __init__(self, decided: Decided) -> None:
        super().__init__(f"This gate was already {decided}; your decision was not written.")
        self.decided = decided


class Overdue(Conflict):
    """The gate's time has run out."""

    def __init__(self) -> None:
        super().__init__("This gate has expired, so it can no longer be decided; the agent must ask again.")


class EvidenceChanged(Conflict):
    """The gate's evidence, or its deadline, is not what the reviewer saw."""

    def __init__(self) -> None:
        super().__init__("The evidence has changed since you read it, so nothing was decided; read it again.")
