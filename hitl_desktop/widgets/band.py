"""The calm band below the toolbar: what is wrong, what it means, what to do; and one that floats, for a while."""

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton, QToolButton, QWidget

from hitl_desktop.widgets.labels import label

_TOAST_WIDTH = 536
_TOAST_MARGIN = 12


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


class Toast(Band):
    """A band over the lower left of another widget, so that nothing moves when it comes and goes."""

    def __init__(self) -> None:
        super().__init__("toast")

    def float_in(self, widget: QWidget) -> None:
        """Stand in `widget` from now on."""
        self.setParent(widget)
        widget.installEventFilter(self)
        self.hide()

    def show_text(self, text: str, action: str = "", *, closable: bool = True) -> None:
        """Show `text` over everything else there."""
        super().show_text(text, action, closable=closable)
        self._place()
        self.raise_()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Follow the size of what it stands in."""
        if event.type() == QEvent.Type.Resize and not self.isHidden():
            self._place()
        return super().eventFilter(watched, event)

    def _place(self) -> None:
        below = self.parentWidget()
        if below is None:
            return
        width = min(_TOAST_WIDTH, below.width() - 2 * _TOAST_MARGIN)
        height = max(self.minimumSizeHint().height(), self.heightForWidth(width))
        self.setGeometry(_TOAST_MARGIN, below.height() - height - _TOAST_MARGIN, width, height)
