"""The toolbar: tenant, refresh, search, and how the connection is."""

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QLineEdit, QSizePolicy, QToolBar, QToolButton, QWidget

from hitl_desktop.widgets.connection_label import ConnectionLabel
from hitl_desktop.widgets.icons import icon
from hitl_desktop.widgets.tenant_selector import TenantSelector
from hitl_desktop.widgets.theme import Theme

_SEARCH_WIDTH = 560
_REFRESH_WIDTH = 34


class Toolbar(QToolBar):
    """`refreshed` comes when the server is to be looked at now, `searched` with the text of the search field.

    `outbox_wanted` comes when the decisions on their way are asked for, `offline_switched` with whether to leave the
    network alone.
    """

    refreshed = Signal()
    searched = Signal(str)
    outbox_wanted = Signal()
    offline_switched = Signal(bool)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__("Toolbar", parent)
        self.setMovable(False)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.PreventContextMenu)
        self.setIconSize(QSize(18, 18))
        self.setFixedHeight(theme.metrics.toolbar)
        self.tenant = TenantSelector(theme)
        self._tenant_action = self.addWidget(self.tenant)
        self._theme = theme
        self._refresh = refresh = QToolButton()
        refresh.setToolTip("Look at the server now (F5)")
        refresh.setAccessibleName("Refresh")
        refresh.clicked.connect(self.refreshed)
        refresh.setFixedWidth(_REFRESH_WIDTH)
        self.addWidget(refresh)
        self.search = QLineEdit(placeholderText="Search gates, tasks, agents …   /", clearButtonEnabled=True)
        self.search.setAccessibleName("Search gates")
        self.search.setMaximumWidth(_SEARCH_WIDTH)
        self.search.textChanged.connect(self.searched)
        self.addWidget(self.search)
        space = QWidget()
        space.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.addWidget(space)
        self.outbox = QToolButton()
        self.outbox.setToolTip("Decisions that are on their way, or wait for your answer")
        self.outbox.clicked.connect(self.outbox_wanted)
        self._outbox_action = self.addWidget(self.outbox)
        self.show_outbox(0, 0)
        self.offline = QToolButton()
        self.offline.setText("Work offline")
        self.offline.setCheckable(True)
        self.offline.setToolTip("Leave the network alone; decisions wait in the outbox")
        self.offline.clicked.connect(self.offline_switched)
        self.addWidget(self.offline)
        self.connection = ConnectionLabel(theme)
        self.addWidget(self.connection)

    def show_outbox(self, on_their_way: int, unanswered: int) -> None:
        """Show how many decisions are on their way, and how many wait for an answer; nothing for none."""
        parts = ([f"Outbox {on_their_way}"] if on_their_way else []) + (
            [f"Conflicts ⇄ {unanswered}"] if unanswered else []
        )
        self.outbox.setText("   ".join(parts))
        self.outbox.setAccessibleName(f"Outbox: {on_their_way} on their way, {unanswered} wait for your answer")
        self._outbox_action.setVisible(bool(parts))

    def show_offline(self, *, offline: bool) -> None:
        """Show whether the reviewer works offline."""
        self.offline.setChecked(offline)

    def draw_icons(self) -> None:
        """Draw the icons; loading what draws them takes longer than the toolbar itself, so it comes after."""
        self._refresh.setIcon(icon("refresh", self._theme.tokens.muted))

    def show_selector(self, *, visible: bool) -> None:
        """Show the tenant selector, or hide it where multi-tenancy is off."""
        self._tenant_action.setVisible(visible)
