"""Frozen settings, read once from a TOML file and the environment."""

from hitl_desktop.settings.errors import SettingsError
from hitl_desktop.settings.file import FILE_VARIABLE, NAMES, settings_file
from hitl_desktop.settings.values import (
    ANY_TENANT,
    KeyLayout,
    Settings,
    Tenancy,
    ThemeChoice,
    read_naming,
    read_settings,
    read_tenancy,
)

__all__ = [
    "ANY_TENANT",
    "FILE_VARIABLE",
    "NAMES",
    "KeyLayout",
    "Settings",
    "SettingsError",
    "Tenancy",
    "ThemeChoice",
    "read_naming",
    "read_settings",
    "read_tenancy",
    "settings_file",
]
