"""Floor of first_paint: a bare PySide6 window with a toolbar and an empty table."""

import resource
import sys

from PySide6.QtCore import QEvent
from PySide6.QtWidgets import QApplication, QMainWindow, QTableView, QToolBar


class Window(QMainWindow):
    """Tells when it has been painted, and ends."""

    def event(self, event: QEvent) -> bool:
        handled = super().event(event)
        if event.type() == QEvent.Type.Paint:
            print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, flush=True)
            QApplication.exit(0)
        return handled


application = QApplication([])
window = Window()
window.resize(1440, 900)
toolbar = QToolBar()
toolbar.addAction("Refresh")
window.addToolBar(toolbar)
window.setCentralWidget(QTableView())
window.show()
sys.exit(application.exec())
