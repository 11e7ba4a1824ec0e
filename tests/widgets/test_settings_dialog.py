import pytest
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication, QLabel

from hitl_desktop.settings import SettingsError, read_settings
from hitl_desktop.widgets.settings_dialog import SettingsDialog


def answer(text: str | None) -> list[str]:
    """Answer the dialog that opens next, and return what it says."""
    said: list[str] = []

    def act() -> None:
        dialog = QApplication.activeModalWidget()
        assert isinstance(dialog, SettingsDialog)
        said.extend(label.text() for label in dialog.findChildren(QLabel))
        if text is None:
            dialog.give_up.click()
        else:
            dialog.value.setText(text)
            dialog.retry.click()

    QTimer.singleShot(0, act)
    return said


def test_a_bad_setting_can_be_mended_for_this_launch(qapp: QApplication) -> None:
    environment = {"REDIS_HOST": "db", "REDIS_PORT": "many"}
    with pytest.raises(SettingsError) as told:
        read_settings(environment)
    name, problem = told.value.name, str(told.value)
    said = answer(" 6380 ")
    environment[name] = SettingsDialog.ask(problem, name, environment[name]) or ""
    assert problem in said
    assert read_settings(environment).redis_url == "redis://db:6380/0"


def test_the_reviewer_may_give_up(qapp: QApplication) -> None:
    answer(None)
    assert SettingsDialog.ask("REDIS_PORT is 'many'; allowed are numbers.", "REDIS_PORT", "many") is None
