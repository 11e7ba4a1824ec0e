"""Environments of the application: a reviewer, a server with tenants, and a key for what is kept."""

import os
from collections.abc import Mapping
from pathlib import Path


def key_file(folder: Path, name: str = "key") -> Path:
    """Return the key file in `folder`, made as a person would where it is not there yet."""
    path = folder / name
    if not path.exists():
        path.write_bytes(os.urandom(32))
        path.chmod(0o600)
    return path


def configured(environment: Mapping[str, str], url: str) -> dict[str, str]:
    """Return `environment` with the server at `url`, which has two tenants."""
    return {
        **environment,
        "HITL_REDIS_URL": url,
        "MULTI_TENANCY_ENABLED": "true",
        "ALLOWED_TENANTS": "acme-corp,widgets-inc",
        "DEFAULT_TENANT_ID": "acme-corp",
    }


def keeping(folder: Path, url: str, **more: str) -> dict[str, str]:
    """Return the environment of a reviewer of two tenants on the server at `url`, who keeps them in `folder`."""
    reviewer = {
        "HITL_REVIEWER": "rev@example.org",
        "HITL_STATE_DIR": str(folder / "state"),
        "HITL_KEY_FILE": str(key_file(folder)),
    }
    return configured(reviewer, url) | more
