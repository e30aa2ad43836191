"""The log of a run as it grows: followed, searched, judged line by line."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Input

from simclr_tui.format import size
from simclr_tui.keys import key
from simclr_tui.run.log_tail import LogTail, found, level_of
from simclr_tui.run_tabs.listing import Listing
from simclr_tui.run_tabs.search import SearchLine
from simclr_tui.run_tabs.tab import RunLook, RunTab
from simclr_tui.theme import MUTED

_SIGNS: Mapping[str, tuple[str, str]] = {"info": ("  ", ""), "warning": ("! ", "$warning"), "error": ("✗ ", "$error")}
_EMPTY = "the log is empty so far; a trainer that was started from a terminal prints there"
_FOUND_STYLE, _FOUND_STYLE_ANSI = "on $accent 35%", "bold underline"
_HERE_STYLE = "reverse"


class LogTab(RunTab):
    """Follows the end of the file until it is scrolled away from it; `end` follows again."""

    OWN_KEYS: ClassVar[list[BindingType]] = [
        Binding("slash", "search", "search", id="log.search", tooltip="Find a text in the log"),
        Binding("n", "next(-1)", "found before", id="log.next", tooltip="The place before where the text is"),
        Binding("N", "next(1)", "after", id="log.previous", tooltip="The place after where the text is"),
        Binding("end,G", "follow", "follow", id="log.follow", tooltip="To the newest line, and stay there"),
        Binding("home,g", "first", "first", show=False, id="log.first", tooltip="To the first line that is kept"),
        Binding(
            "escape", "cancel", "forget it", show=False, id="log.cancel", tooltip="Forget the text that was searched"
        ),
    ]
    BINDINGS = OWN_KEYS

    _tail = LogTail()
    _hits: Sequence[int] = ()
    _hit: int | None = None
    """The line that was found last."""

    @property
    def keys(self) -> list[Binding]:
        """Those that lead somewhere: to what was found, or to the end that is not followed."""
        listing, words = (self.query_one(Listing), self.words) if self.is_mounted else (None, "")
        wanted = {"search"} if self._tail.lines else set()
        wanted |= {"next(-1)", "next(1)"} if self._hits else set()
        wanted |= {"cancel"} if words else set()
        wanted |= {"follow"} if listing is not None and not listing.follows else set()
        return [one for one in self.OWN_KEYS if isinstance(one, Binding) and one.action in wanted]

    def compose(self) -> ComposeResult:
        """The lines, and what is searched for."""
        yield Listing(id="log-lines")
        yield SearchLine(id="log-search", compact=True, placeholder="a text; capitals matter where you type some")

    def on_mount(self) -> None:
        """The newest lines first."""
        super().on_mount()
        self.query_one(Listing).follows = True

    def show(self, look: RunLook) -> None:
        """Draw what was read."""
        listing = self.query_one(Listing)
        if look.opened.log is None:
            listing.fill([Content.styled("reading the log", MUTED)])
            return
        before, self._tail = self._tail, look.opened.log
        if before.lines and self._hit is not None:
            self._hit = _moved(before.lines, self._tail.lines, self._hit)
        self._find()
        self._draw()

    @property
    def words(self) -> str:
        """What is searched for."""
        return self.query_one(SearchLine).value

    def _find(self) -> None:
        self._hits = found(self._tail.lines, self.words)

    def _draw(self) -> None:
        self.post_message(self.KeysChanged())
        listing = self.query_one(Listing)
        tail = self._tail
        said = f"{size(tail.size)}{', its end' if tail.skipped else ''}" if not tail.problem else ""
        state = "followed" if listing.follows else "end follows it"
        hits = ""
        if self.words:
            at = f"{self._hits.index(self._hit) + 1} of " if self._hit in self._hits else ""
            hits = f"  “{self.words}” {at}{len(self._hits)}" if self._hits else f"  “{self.words}” is not in it"
        listing.border_title = Content.assemble(("log.txt", "bold"), (f"  {said} · {state}", MUTED), (hits, "$accent"))
        if tail.problem or not tail.lines:
            listing.fill([Content.styled(tail.problem or _EMPTY, MUTED)])
            return
        note = [f"· {tail.note}"] if tail.note else []
        lines = [*note, *tail.lines]
        hits_here = {number + len(note) for number in self._hits}
        here = None if self._hit is None else self._hit + len(note)
        listing.show(len(lines), lambda number: self._line(lines[number], number in hits_here, number == here))

    def _line(self, text: str, is_found: bool, is_here: bool) -> Content:
        sign, style = _SIGNS[level_of(text)]
        time, blank, rest = text.partition(" ")
        has_time = len(time) == 8 and time[2:3] == time[5:6] == ":"
        head = [(f"{time} ", MUTED), (rest, style)] if has_time and blank else [(text, style)]
        line = Content.assemble((sign, f"bold {style}"), *head)
        if is_found:
            found_style = _FOUND_STYLE_ANSI if self.app.current_theme.ansi else _FOUND_STYLE
            line = self._lit(line, _HERE_STYLE if is_here else found_style)
        return line

    def _lit(self, line: Content, style: str) -> Content:
        """The line with the text that is searched for marked wherever it is."""
        words = self.words
        plain = line.plain if words != words.lower() else line.plain.lower()
        start = plain.find(words)
        while words and start >= 0:
            line = line.stylize(style, start, start + len(words))
            start = plain.find(words, start + len(words))
        return line

    def move(self, delta: int) -> None:
        """Scroll."""
        listing = self.query_one(Listing)
        listing.move(delta)
        self._draw()

    def action_search(self) -> None:
        """Ask for a text."""
        self.query_one(SearchLine).open()

    @on(Input.Changed, "#log-search")
    def search(self) -> None:
        """Find it while it is typed: the newest place."""
        self._hit = None
        self._find()
        self.action_next(-1) if self._hits else self._draw()

    @on(Input.Submitted, "#log-search")
    def keep(self) -> None:
        """Keep the text."""
        self.query_one(SearchLine).leave()

    def action_next(self, delta: int) -> None:
        """The place before or after; round and round."""
        if not self._hits:
            self.notify(
                f"“{self.words}” is not in the log"
                if self.words
                else f"{key('/', 'log.search')} asks for a text to find"
            )
            return
        if self._hit is None:
            self._hit = self._hits[-1]
        elif delta < 0:
            self._hit = max((one for one in self._hits if one < self._hit), default=self._hits[-1])
        else:
            self._hit = min((one for one in self._hits if one > self._hit), default=self._hits[0])
        self.query_one(Listing).reveal(self._hit + bool(self._tail.note))
        self._draw()

    def action_follow(self) -> None:
        """Stay at the end."""
        self.query_one(Listing).follows = True
        self._draw()

    def action_first(self) -> None:
        """To the first line."""
        self.move(-1_000_000)

    def action_cancel(self) -> None:
        """Forget the text, or else close the screen."""
        self.query_one(SearchLine).cancel()


def _moved(before: Sequence[str], after: Sequence[str], number: int) -> int | None:
    """Where a line stands after lines were added at the end and the first ones were dropped; None where it is gone."""
    if before[number : number + 1] == after[number : number + 1] or not after:
        return number if number < len(after) else None
    first = after[0]
    dropped = next((at for at, line in enumerate(before) if line == first and at <= number), None)
    return None if dropped is None else number - dropped
