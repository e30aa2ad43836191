"""What the machine does for a run: its device over the last minutes, every GPU and who is on it, memory, disk, load."""

import textwrap
import time
from collections.abc import Sequence

from textual.app import ComposeResult
from textual.content import Content

from simclr_tui.energy_words import energy_lines
from simclr_tui.format import fit, moment
from simclr_tui.run.ranks import HEADING, RIGHT, RanksLook, look_at_ranks, rank_rows, straggler_words
from simclr_tui.run.system import SystemLook
from simclr_tui.run.system_words import (
    PROCESS_HEADING,
    PROCESS_RIGHT,
    gpu_words,
    held_back,
    host_lines,
    process_rows,
    trends,
    workers_words,
)
from simclr_tui.run_tabs.listing import Listing
from simclr_tui.run_tabs.tab import RunLook, RunTab
from simclr_tui.theme import MUTED
from simclr_tui.words import Part

_NAME, _VALUE = 18, 22
_NARROW = 100
_LEFT_OUT_WHERE_NARROW = ("threads", "device")
_STALE_SECONDS = 10.0


class SystemTab(RunTab):
    """Looks only: no process can be ended from here."""

    def compose(self) -> ComposeResult:
        """One text, which scrolls."""
        yield Listing(id="system-lines")

    def show(self, look: RunLook) -> None:
        """Draw what was read."""
        listing = self.query_one(Listing)
        listing.border_title = Content.styled("system", "bold")
        width = max(1, listing.content_size.width)
        lines = self._device(look, width) + _ranks(look_at_ranks(look.curves.ranks), width)
        lines += self._energy(look, width)
        if look.opened.system is None:
            lines.append(Content.styled("asking the machine", MUTED))
        else:
            lines += _machine(look.opened.system, width)
        listing.fill(lines)

    def _device(self, look: RunLook, width: int) -> list[Content]:
        samples = look.curves.device
        name = look.row.run.device or "no device yet"
        if not samples:
            return [
                _heading(name),
                Content.styled("  no sample of it; one comes every second while a run is live", MUTED),
            ]
        last = samples[-1]["at"]
        age = "" if time.time() - last < _STALE_SECONDS else f", last sampled {moment(last, time.time())}"
        minutes = max(1, round((last - samples[0]["at"]) / 60))
        lines = [_heading(name, f"the last {minutes} min{age}")]
        cells = max(8, width - _NAME - _VALUE - 4)
        for words, drawn, value in trends(samples, cells):
            lines.append(
                Content.assemble(f"  {words:<{_NAME}}", (f"{value:>{_VALUE - 2}}  ", "bold"), (drawn, "$primary"))
            )
        reasons = held_back(samples)
        if reasons:
            lines.append(Content.styled(f"  ▲ clocks held back: {reasons} of the samples", "$warning"))
        return lines

    def _energy(self, look: RunLook, width: int) -> list[Content]:
        lines = []
        for name, words in energy_lines(look.row.run, look.curves.epochs, self.dashboard.settings.price):
            first, *others = textwrap.wrap(words, max(_NAME, width - _NAME - 2)) or [""]
            lines += [Content(f"  {name:<{_NAME}}{first}"), *(Content(" " * (_NAME + 2) + one) for one in others)]
        return lines

    def move(self, delta: int) -> None:
        """Scroll."""
        self.query_one(Listing).move(delta)


def _heading(text: str, more: str = "") -> Content:
    return Content.assemble((text, "bold $primary"), (f"  {more}" if more else "", MUTED))


def _ranks(look: RanksLook, width: int) -> list[Content]:
    """A line for each rank, the slow one with a sign; nothing where one process trains the run."""
    if not look.ranks:
        return []
    lines = [Content(), _heading("ranks", f"{len(look.ranks)}, by what each told in the last two minutes")]
    words = straggler_words(look)
    lines += [Content.styled(f"  {words}", "$warning")] if words else []
    rows = rank_rows(look)
    kept = [number for number, name in enumerate(HEADING) if width >= _NARROW or name not in _LEFT_OUT_WHERE_NARROW]
    cells = _cells([HEADING, *rows], kept, RIGHT)
    for row, text in zip(("", *(row[0] for row in rows)), cells, strict=True):
        style = "$warning" if row else "" if text is not cells[0] else MUTED
        lines.append(Content.styled(fit(text, width).rstrip(), style))
    return lines


def _machine(look: SystemLook, width: int) -> list[Content]:
    lines = [Content(), _heading("machine")]
    lines += [Content.assemble(f"  {name:<{_NAME}}", words) for name, words in host_lines(look.host)]
    for gpu in look.gpus:
        lines.append(Content.assemble(f"  {f'GPU #{gpu.index}':<{_NAME}}", gpu_words(gpu), (f" · {gpu.name}", MUTED)))
    if not look.gpus:
        lines.append(Content.assemble(f"  {'GPU':<{_NAME}}", ("none that NVML can be asked about", MUTED)))
    lines += [Content(), _heading("processes", workers_words(look))]
    rows = process_rows(look)
    return lines if not rows else lines + _table(rows, width, has_gpu=bool(look.gpus))


def _table(rows: Sequence[Sequence[str]], width: int, *, has_gpu: bool) -> list[Content]:
    """The processes, without the columns that say nothing here or that there is no room for."""
    kept = [
        number
        for number, name in enumerate(PROCESS_HEADING)
        if (has_gpu or not name.startswith("GPU")) and (width >= _NARROW or name not in _LEFT_OUT_WHERE_NARROW)
    ]
    lines = []
    for number, text in enumerate(_cells([PROCESS_HEADING, *rows], kept, PROCESS_RIGHT)):
        style: Part = (fit(text, width).rstrip(), MUTED if number == 0 or rows[number - 1][0] == "other" else "")
        lines.append(Content.assemble(style))
    return lines


def _cells(every: Sequence[Sequence[str]], kept: Sequence[int], right: Sequence[int]) -> list[str]:
    """Rows as lines, with the columns that are kept as wide as they need to be, those in `right` to the right."""
    widths = [max(len(row[column]) for row in every) for column in kept]
    lines = []
    for row in every:
        cells = [
            f"{row[column]:>{size}}" if column in right else f"{row[column]:<{size}}"
            for column, size in zip(kept, widths, strict=True)
        ]
        lines.append("  " + "  ".join(cells).rstrip())
    return lines
