"""The tenant's hue on the parts of a window."""

from PySide6.QtCore import QEvent, QObject
from PySide6.QtWidgets import QWidget


class TenantColours(QObject):
    """Gives parts of a window the stylesheet of one tenant's hue: those on the screen now, the others as they show.

    Qt takes 0.1 ms for each widget that is styled anew, and at a switch most of a window's are hidden.
    """

    def __init__(self, parent: QObject, sheet: str) -> None:
        """Begin with `sheet`, which stands in the application's stylesheet already."""
        super().__init__(parent)
        self._sheet = self._first = sheet
        self._worn: dict[QWidget, str] = {}

    def add(self, *parts: QWidget) -> None:
        """Let these widgets, with all that is in them, wear the tenant's hue from now on."""
        for part in parts:
            self._worn[part] = self._first
            part.installEventFilter(self)
            self._wear(part)

    def change(self, sheet: str) -> None:
        """Wear `sheet` instead."""
        self._sheet = sheet
        for part in self._worn:
            self._wear(part)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Dress a part before it is seen."""
        if event.type() == QEvent.Type.Show and isinstance(watched, QWidget):
            self._wear(watched, shows=True)
        return False

    def _wear(self, part: QWidget, *, shows: bool = False) -> None:
        if (shows or part.isVisible()) and self._worn[part] != self._sheet:
            self._worn[part] = self._sheet
            part.setStyleSheet(self._sheet)
