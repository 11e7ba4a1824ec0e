"""How parsed markdown looks, and what is taken out of it: pictures, and characters that cannot be seen."""

from collections.abc import Iterator

from PySide6.QtGui import (
    QFont,
    QTextBlock,
    QTextBlockFormat,
    QTextCharFormat,
    QTextCursor,
    QTextDocument,
    QTextFormat,
    QTextFragment,
    QTextFrameFormat,
    QTextLength,
    QTextTable,
    QTextTableCell,
)

from hitl_desktop.widgets.theme import Theme
from hitl_desktop.widgets.visible import without_unseen

_BLOCKS = 10_000
_BLOCK_LENGTH = 20_000
_FRAGMENTS_OF_BLOCK = 1_000
_FRAGMENTS = 20_000
_COLUMNS = 32
_CELLS = 2_000
_LINE_HEIGHT = 140.0
_HEADINGS = {1: 18, 2: 16, 3: 14}
_PROPORTIONAL = QTextBlockFormat.LineHeightTypes.ProportionalHeight.value
_LINE_SEPARATOR = "\u2028"
_OBJECT = "\ufffc"


def is_bearable(document: QTextDocument) -> bool:
    """Return whether `document` is laid out within moments: deep formatting and wide tables take minutes."""
    if document.blockCount() > _BLOCKS:
        return False
    cells = total = 0
    for frame in document.rootFrame().childFrames():
        if isinstance(frame, QTextTable):
            cells += frame.rows() * frame.columns()
            if frame.columns() > _COLUMNS or cells > _CELLS:
                return False
    for block in _blocks(document):
        if block.length() > _BLOCK_LENGTH:
            return False
        fragments = sum(1 for _ in _fragments(block))
        total += fragments
        if fragments > _FRAGMENTS_OF_BLOCK or total > _FRAGMENTS:
            return False
    return True


def dress(document: QTextDocument, theme: Theme) -> None:
    """Give `document` the theme's look; put words in the place of pictures and of unseen characters."""
    cursor = QTextCursor(document)
    cursor.beginEditBlock()
    for block in _blocks(document):
        _dress_block(cursor, block, theme)
    # From the end, so that replacements move nothing that is still to be dressed.
    pieces = [
        (piece.position(), piece.length(), piece.text(), piece.charFormat())
        for block in _blocks(document)
        for piece in _fragments(block)
    ]
    for position, length, text, form in reversed(pieces):
        cursor.setPosition(position)
        cursor.setPosition(position + length, QTextCursor.MoveMode.KeepAnchor)
        _dress_fragment(cursor, text, form, theme)
    for frame in document.rootFrame().childFrames():
        if isinstance(frame, QTextTable):
            _dress_table(frame, theme)
    cursor.endEditBlock()


def _blocks(document: QTextDocument) -> Iterator[QTextBlock]:
    block = document.begin()
    while block.isValid():
        yield block
        block = block.next()


def _fragments(block: QTextBlock) -> Iterator[QTextFragment]:
    pieces = block.begin()
    while not pieces.atEnd():
        if pieces.fragment().isValid():
            yield pieces.fragment()
        pieces += 1


def _is_code(block: QTextBlock) -> bool:
    form = block.blockFormat()
    return block.isValid() and (
        form.hasProperty(QTextFormat.Property.BlockCodeFence)
        or form.hasProperty(QTextFormat.Property.BlockCodeLanguage)
    )


def _is_item(block: QTextBlock) -> bool:
    return block.isValid() and block.textList() is not None


def _dress_block(cursor: QTextCursor, block: QTextBlock, theme: Theme) -> None:
    form, level = QTextBlockFormat(), block.blockFormat().headingLevel()
    cursor.setPosition(block.position())
    cursor.setPosition(block.position() + block.length() - 1, QTextCursor.MoveMode.KeepAnchor)
    if _is_code(block):
        form.setBackground(theme.tokens.field)
        form.setNonBreakableLines(False)
        form.setTextIndent(theme.pixels(8))
        form.setTopMargin(0 if _is_code(block.previous()) else theme.pixels(8))
        form.setBottomMargin(0 if _is_code(block.next()) else theme.pixels(12))
        _merge_font(cursor, theme.monospace())
        cursor.mergeBlockFormat(form)
        return
    form.setLineHeight(_LINE_HEIGHT, _PROPORTIONAL)
    form.setTopMargin(0)
    form.setBottomMargin(theme.pixels(2 if _is_item(block) and _is_item(block.next()) else 8))
    if level:
        form.setTopMargin(theme.pixels(16 if block.position() else 0))
        form.setBottomMargin(theme.pixels(6))
        _merge_heading(cursor, level, theme)
    elif block.blockFormat().hasProperty(QTextFormat.Property.BlockQuoteLevel):
        form.setLeftMargin(theme.pixels(24) * block.blockFormat().intProperty(QTextFormat.Property.BlockQuoteLevel))
        muted = QTextCharFormat()
        muted.setForeground(theme.tokens.muted)
        cursor.mergeCharFormat(muted)
    cursor.mergeBlockFormat(form)


def _merge_font(cursor: QTextCursor, font: QFont) -> None:
    form = QTextCharFormat()
    form.setFont(font)
    cursor.mergeCharFormat(form)


def _merge_heading(cursor: QTextCursor, level: int, theme: Theme) -> None:
    font = theme.font()
    font.setPixelSize(theme.pixels(_HEADINGS.get(level, 13)))
    font.setWeight(QFont.Weight.DemiBold)
    _merge_font(cursor, font)


def _dress_fragment(cursor: QTextCursor, text: str, form: QTextCharFormat, theme: Theme) -> None:
    """Dress the selected fragment."""
    if form.isImageFormat():
        alternative = str(form.property(QTextFormat.Property.ImageAltText) or "")
        words = f"[picture: {without_unseen(alternative)}]" if alternative else "[picture]"
        cursor.insertText(words * len(text), _ink(theme))
        return
    # The importer enlarges headings; that would come on top of the size that is set.
    form.clearProperty(QTextFormat.Property.FontSizeAdjustment)
    shown = without_unseen(text, keep=f"\t{_LINE_SEPARATOR}").replace(_OBJECT, "<U+FFFC>")
    if form.isAnchor() or form.anchorHref():
        form.setForeground(theme.accent(theme.hue))
        form.setFontUnderline(True)
    if form.fontFixedPitch():
        form.setFont(theme.monospace())
        if not _is_code(cursor.block()):
            form.setBackground(theme.tokens.field)
    if shown != text:
        cursor.insertText(shown, form)
    else:
        cursor.setCharFormat(form)


def _ink(theme: Theme) -> QTextCharFormat:
    form = QTextCharFormat()
    form.setForeground(theme.tokens.muted)
    return form


def _dress_table(table: QTextTable, theme: Theme) -> None:
    form = table.format()
    form.setBorder(1)
    form.setBorderBrush(theme.tokens.edge)
    form.setBorderStyle(QTextFrameFormat.BorderStyle.BorderStyle_Solid)
    form.setBorderCollapse(True)
    form.setCellPadding(theme.pixels(5))
    form.setCellSpacing(0)
    form.setMargin(theme.pixels(6))
    form.setLeftMargin(0)
    form.setWidth(QTextLength())
    table.setFormat(form)
    for row in range(table.rows()):
        for column in range(table.columns()):
            _dress_cell(table.cellAt(row, column), is_head=row == 0)


def _dress_cell(cell: QTextTableCell, *, is_head: bool) -> None:
    """Take away the margins that the importer gives some cells and the first one's empty line; make the head bold."""
    start = cell.firstCursorPosition()
    if not start.block().text() and start.block() != cell.lastCursorPosition().block():
        start.deleteChar()
    cursor, block, form = cell.firstCursorPosition(), QTextBlockFormat(), QTextCharFormat()
    cursor.setPosition(cell.lastCursorPosition().position(), QTextCursor.MoveMode.KeepAnchor)
    block.setTopMargin(0)
    block.setBottomMargin(0)
    form.setFontWeight(QFont.Weight.DemiBold)
    cursor.mergeBlockFormat(block)
    if is_head:
        cursor.mergeCharFormat(form)
