"""The queues at the left, each with its count."""

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QButtonGroup, QFrame, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from hitl_desktop.domain.projection import Queue
from hitl_desktop.widgets.labels import label, line


class QueueList(QFrame):
    """`chosen` comes with a Queue, `knowledge_wanted` when the documents are asked for.

    `stranded_wanted` comes when the decisions for tenants that are not allowed any more are asked for.
    """

    chosen = Signal(object)
    knowledge_wanted = Signal()
    stranded_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("queues")
        self.setMinimumWidth(140)
        self._buttons: dict[Queue, QueueButton] = {}
        group = QButtonGroup(self)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 12, 8, 8)
        layout.setSpacing(0)
        for queue in Queue:
            button = QueueButton(queue.value.capitalize())
            button.clicked.connect(lambda _checked=False, queue=queue: self.chosen.emit(queue))
            group.addButton(button)
            layout.addWidget(button)
            self._buttons[queue] = button
        self._buttons[Queue.PENDING].setChecked(True)
        layout.addSpacing(12)
        layout.addWidget(line())
        layout.addSpacing(12)
        knowledge = QueueButton("Knowledge")
        knowledge.setCheckable(False)
        knowledge.setToolTip("Search the tenant's documents beside the gate (F8)")
        knowledge.clicked.connect(self.knowledge_wanted)
        layout.addWidget(knowledge)
        self.stranded = QueueButton("Not allowed any more")
        self.stranded.setCheckable(False)
        self.stranded.setToolTip("Your decisions for tenants that you may no longer work for")
        self.stranded.clicked.connect(self.stranded_wanted)
        self.stranded.hide()
        layout.addWidget(self.stranded)
        layout.addStretch()

    def show_counts(self, counts: dict[Queue, int]) -> None:
        """Show how many records stand in each queue."""
        for queue, count in counts.items():
            self._buttons[queue].set_count(count)

    def show_stranded(self, count: int) -> None:
        """Show how many decisions wait for tenants that are not allowed any more; nothing for none."""
        self.stranded.set_count(count)
        self.stranded.setVisible(count > 0)

    def select(self, queue: Queue) -> None:
        """Mark `queue` as the one that is shown."""
        self._buttons[queue].setChecked(True)


class QueueButton(QPushButton):
    """One queue: its name at the left, its count at the right."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setObjectName("queue")
        self.setCheckable(True)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self._name = name
        title = label(name)
        self._count = label(tone="queueCount")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(11, 0, 11, 0)
        layout.addWidget(title)
        layout.addStretch()
        layout.addWidget(self._count)
        for child in (title, self._count):
            child.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.set_count(0)

    def set_count(self, count: int) -> None:
        """Show `count`; nothing for none."""
        self._count.setText(f"{count:,}" if count else "")
        self.setAccessibleName(f"{self._name}, {count}" if count else self._name)
