"""A setting that is wrong, with a way to mend it for this launch."""

from PySide6.QtWidgets import QDialog, QDialogButtonBox, QLineEdit, QVBoxLayout, QWidget

from hitl_desktop.widgets.labels import label

_WIDTH = 520


class SettingsDialog(QDialog):
    """Says what is wrong with one setting and takes another value for it."""

    def __init__(self, problem: str, name: str, value: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Settings — HITL Desktop")
        self.setMinimumWidth(_WIDTH)
        self.value = QLineEdit(value)
        self.value.setAccessibleName(name)
        self.value.setPlaceholderText("Leave empty to do without it")
        buttons = QDialogButtonBox()
        self.retry = buttons.addButton("Use this value now", QDialogButtonBox.ButtonRole.AcceptRole)
        self.give_up = buttons.addButton("Quit", QDialogButtonBox.ButtonRole.RejectRole)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(20, 20, 20, 16)
        layout.setSpacing(12)
        layout.addWidget(label("A setting keeps HITL Desktop from starting", "heading"))
        layout.addWidget(label(problem, wraps=True))
        layout.addWidget(label(f"{name}, for this launch:", "muted"))
        layout.addWidget(self.value)
        mend = "To mend it for good, change it in the environment or in the settings file. Nothing was decided or lost."
        layout.addWidget(label(mend, "muted", wraps=True))
        layout.addWidget(buttons)

    @classmethod
    def ask(cls, problem: str, name: str, value: str) -> str | None:
        """Show the dialog before any loop runs; return the value to use instead, None to quit."""
        dialog = cls(problem, name, value)
        return dialog.value.text().strip() if dialog.exec() == QDialog.DialogCode.Accepted else None
