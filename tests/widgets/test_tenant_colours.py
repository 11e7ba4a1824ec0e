"""A tenant's hue on the parts of a window: as one stylesheet for all of it would be, and there when they show."""

from typing import TypeVar

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QImage
from PySide6.QtWidgets import (
    QAbstractButton,
    QCheckBox,
    QComboBox,
    QFrame,
    QLineEdit,
    QListWidget,
    QPlainTextEdit,
    QProgressBar,
    QPushButton,
    QRadioButton,
    QTabBar,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from pytestqt.qtbot import QtBot

from hitl_desktop.widgets.tenant_colours import TenantColours
from hitl_desktop.widgets.theme import Theme

HUE = 4
Widget = TypeVar("Widget", bound=QWidget)


def named(widget: Widget, name: str) -> Widget:
    widget.setObjectName(name)
    return widget


def checked(button: QAbstractButton) -> QAbstractButton:
    button.setCheckable(True)
    button.setChecked(True)
    return button


def gallery() -> tuple[QWidget, QWidget, list[QWidget]]:
    """Return a window, the part of it that a hue is given to, and one of each kind of control in that."""
    window, part = QWidget(), named(QFrame(), "decision")
    controls: list[QWidget] = [
        QPushButton("Plain"),
        named(QPushButton("Approve"), "approve"),
        named(QPushButton("Reject"), "reject"),
        checked(named(QPushButton("Queue"), "queue")),
        checked(QToolButton()),
        QLineEdit("Line"),
        QComboBox(),
        named(QComboBox(), "flat"),
        QPlainTextEdit("Plain text"),
        checked(QCheckBox("Check")),
        checked(QRadioButton("Radio")),
        QListWidget(),
        QTabBar(),
        QProgressBar(value=50),
        named(QFrame(), "edge"),
    ]
    controls[-1].setMinimumHeight(3)
    layout = QVBoxLayout(part)
    for control in controls:
        if isinstance(control, (QComboBox, QListWidget)):
            control.addItems(["First", "Second"])
        if isinstance(control, QTabBar):
            control.addTab("First")
            control.addTab("Second")
        if isinstance(control, (QLineEdit, QPlainTextEdit)):
            control.selectAll()
        control.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        layout.addWidget(control)
    QVBoxLayout(window).addWidget(part)
    return window, part, controls


def looks(window: QWidget, controls: list[QWidget], qtbot: QtBot) -> list[QImage]:
    """Return the window's picture with each control in focus in turn."""
    window.show()
    window.activateWindow()
    found = []
    for control in controls:
        control.setFocus()
        qtbot.waitUntil(control.hasFocus)
        if isinstance(control, (QLineEdit, QPlainTextEdit)):
            control.selectAll()
        found.append(window.grab().toImage())
    return found


@pytest.mark.parametrize("chosen", [Theme.light(), Theme.dark()], ids=["light", "dark"])
def test_the_hue_alone_over_another_s_stylesheet_is_the_whole_one(chosen: Theme, qtbot: QtBot) -> None:
    whole, _, whole_controls = gallery()
    parted, part, controls = gallery()
    for window in (whole, parted):
        qtbot.addWidget(window)
    whole.setStyleSheet(chosen.stylesheet(chosen.accent(HUE)))
    parted.setStyleSheet(chosen.stylesheet())
    part.setStyleSheet(chosen.for_hue(HUE).hue_stylesheet())
    assert looks(parted, controls, qtbot) == looks(whole, whole_controls, qtbot)
    part.setStyleSheet("")
    assert looks(parted, controls, qtbot) != looks(whole, whole_controls, qtbot)


def test_parts_that_are_hidden_are_dressed_as_they_show(qtbot: QtBot) -> None:
    window = QWidget()
    qtbot.addWidget(window)
    seen, hidden = QFrame(window), QFrame(window)
    hidden.hide()
    colours = TenantColours(window, "QFrame { background: #abcdef; }")
    colours.add(seen, hidden)
    window.show()
    assert seen.styleSheet() == "", "it stands in the application's"
    window.hide()
    colours.change("QFrame { background: #123456; }")
    assert (seen.styleSheet(), hidden.styleSheet()) == ("", "")
    window.show()
    assert "#123456" in seen.styleSheet()
    assert hidden.styleSheet() == ""
    colours.change("QFrame { background: #654321; }")
    assert "#654321" in seen.styleSheet()
    hidden.show()
    assert "#654321" in hidden.styleSheet()
    assert hidden.grab().toImage().pixelColor(3, 3).name() == "#654321"
