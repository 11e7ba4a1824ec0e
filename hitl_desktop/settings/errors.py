"""What is wrong with a setting."""


class SettingsError(ValueError):
    """A setting is wrong; the message names the key, the value (never a secret one) and what is allowed."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name} {problem}")
        self.name = name
