"""What TenantRedis refuses, by cause.

TenancyError
└── TenantRedisError
    ├── CommandRefusedError   the command or call could not be kept within the tenant: nothing was sent
    │   └── NotHandedOutError   the attribute would give away what is not bound to the tenant
    └── ForeignNameError   the server answered with a name that is not the tenant's: the answer is withheld
"""

from hitl_desktop.tenancy import TenancyError


class TenantRedisError(TenancyError):
    """TenantRedis keeps within its tenant by refusing."""


class CommandRefusedError(TenantRedisError):
    """The command or call could not be kept within the tenant; nothing was sent."""


class NotHandedOutError(CommandRefusedError, AttributeError):
    """The attribute would give away what is not bound to the tenant, such as a raw connection.

    Also an AttributeError, so that `hasattr` says False, as it does of a cluster's client.
    """


class ForeignNameError(TenantRedisError):
    """The server answered with a name that is not the tenant's; the answer is withheld."""
