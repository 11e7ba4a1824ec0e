"""Folding parts of the window away, by the reviewer's wish or because another part needs the room."""

from collections.abc import Callable

from PySide6.QtWidgets import QSplitter, QWidget


class Folding:
    """Folds what stands left of the review, in a `splitter` within a `window`, the leftmost first.

    `folded` is called whenever something was folded or brought back, since Qt hands the focus on to anything then.
    """

    def __init__(
        self, window: QWidget, splitter: QSplitter, left: tuple[QWidget, ...], folded: Callable[[], None]
    ) -> None:
        self._window = window
        self._splitter = splitter
        self._left = left
        self._folded = folded
        self._gave_way: list[QWidget] = []

    def fold(self, part: QWidget) -> None:
        """Fold a part away, or bring it back."""
        part.setVisible(part.isHidden())
        self._folded()

    def review_alone(self) -> None:
        """Let the review fill the window, or bring everything back."""
        shown = any(not part.isHidden() for part in self._left)
        for part in self._left:
            part.setVisible(not shown)
        self._folded()

    def beside(self, part: QWidget) -> None:
        """Show `part` beside the review, or put it away; where the window is too narrow, others give way to it."""
        if not part.isHidden():
            part.hide()
            for folded in self._gave_way:
                folded.show()
            self._gave_way = []
            self._folded()
            return
        for other in self._left:
            needed = self._splitter.minimumSizeHint().width() + part.minimumWidth()
            if needed > self._window.width() and not other.isHidden():
                other.hide()
                self._gave_way.append(other)
        part.show()
