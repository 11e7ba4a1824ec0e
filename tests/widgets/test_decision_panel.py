from PySide6.QtWidgets import QApplication, QToolButton

from hitl_desktop.widgets.decision_panel import DecisionPanel
from hitl_desktop.widgets.theme import Theme


def test_the_button_that_clears_a_condition_lies_in_its_field(qapp: QApplication) -> None:
    panel = DecisionPanel()
    panel.setStyleSheet(Theme.light().stylesheet())
    panel.resize(800, 300)
    panel.show()
    panel._add_condition("Tests for the timeout")
    qapp.processEvents()
    (line,) = panel._conditions
    clear = line.findChild(QToolButton)
    assert isinstance(clear, QToolButton)
    assert line.rect().contains(clear.geometry())
