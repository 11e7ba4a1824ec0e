"""The calm band below the toolbar: what is wrong, what it means, what to do."""

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton, QToolButton, QWidget

from hitl_desktop.widgets.labels import label


class Band(QFrame):
    """Shows one sentence until it is taken away; `acted` comes when its button is pressed."""

    acted = Signal()

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName(name)
        self._text = label(wraps=True)
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._button = QPushButton()
        self._button.clicked.connect(self.acted)
        self._close = QToolButton()
        self._close.setText("✕")
        self._close.setAccessibleName("Dismiss this message")
        self._close.clicked.connect(self.hide)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(16, 6, 12, 6)
        layout.addWidget(self._text, 1)
        layout.addWidget(self._button)
        layout.addWidget(self._close)
        self.hide()

    def show_text(self, text: str, action: str = "", *, closable: bool = True) -> None:
        """Show `text`, with a button named `action` if one is given."""
        self._text.setText(text)
        self._button.setText(action)
        self._button.setVisible(bool(action))
        self._close.setVisible(closable)
        self.setAccessibleName(text)
        self.show()

    def text(self) -> str:
        """Return the sentence that is shown; empty while the band is hidden."""
        return "" if self.isHidden() else self._text.text()
