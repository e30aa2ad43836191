"""Reading step series of a run: as a whole, and finer where a chart is zoomed into; each poll only what is new."""

import math
from collections.abc import Collection, Sequence

from trainer.store.history import step_stretches
from trainer.store.reader import StoreReader
from trainer.store.series import BUCKET_SIZES, Point

_STRETCHES = {size * many: (size, many) for size in (1, *BUCKET_SIZES) for many in (1, 2, 4, 8)}
"""Steps of a point: buckets grow sixteenfold, so that several of them make one."""


class StepReader:
    """The step series of one run as far as they were read."""

    def __init__(self, run_id: str) -> None:
        """Args: the run; nothing is read yet."""
        self._run_id = run_id
        self.whole: dict[str, Sequence[Point]] = {}
        self.detail: dict[str, Sequence[Point]] = {}
        """The same between two steps, where that is finer."""
        self._stretch = (1, 0, 1)
        self._asked: tuple[object, ...] = ()
        self._last = 0
        self._size = 1

    def read(
        self, reader: StoreReader, columns: int, names: Collection[str], window: tuple[int, int] | None = None
    ) -> bool:
        """Bring some series up to date, of others nothing is kept; whether anything is new. Reads only.

        Args:
            reader: the store.
            columns: a series has so many points at least, if it has the steps, and up to twice as many.
            names: of STEP_SERIES.
            window: steps between which it has so many too.
        """
        last = reader.last_step(self._run_id)
        asked = (last, columns, frozenset(names), window)
        if asked == self._asked:
            return False
        size = _size(last, columns)
        goes_on = size == self._size and last >= self._last
        self.whole = {
            name: self._extended(reader, name, self.whole.get(name, ()) if goes_on else (), (1, last, size))
            for name in names
        }
        if last < self._last:  # rows were cut off, and others may take their place
            self.detail = {}
        self._read_detail(reader, columns, window, last, size)
        self._asked, self._last, self._size = asked, last, size
        return True

    def _read_detail(
        self, reader: StoreReader, columns: int, window: tuple[int, int] | None, last: int, whole_size: int
    ) -> None:
        """What is finer in a window, and once more as much on either side of it, so that one can look around."""
        if window is None or not last:
            self.detail = {}
            return
        begin, end = max(1, window[0]), min(last, window[1])
        size = _size(end - begin + 1, columns)
        if end < begin or size >= whole_size:
            self.detail = {}
            return
        first, until, known_size = self._stretch
        covered = known_size == size and first <= begin and end <= until and whole_size == self._size
        if not covered or not self.detail:
            span = end - begin + 1
            first = max(0, begin - 1 - span) // whole_size * whole_size + 1
            until = math.ceil((end + span) / whole_size) * whole_size
            self.detail = {}
        self._stretch = (first, until, size)
        self.detail = {
            name: self._extended(reader, name, self.detail.get(name, ()), (first, min(until, last), size))
            for name in self.whole
        }

    def _extended(
        self, reader: StoreReader, name: str, known: Sequence[Point], stretch: tuple[int, int, int]
    ) -> Sequence[Point]:
        """A series between two steps in points of a length, of which the beginning may be known."""
        first, last, length = stretch
        if last < first:
            return ()
        if known:
            first = (known[-1].first - 1) // length * length + 1  # a stretch that was not full is another one now
            known = known[: next((n for n in range(len(known), 0, -1) if known[n - 1].last_step < first), 0)]
        size, many = _STRETCHES[length]
        return (
            *known,
            *step_stretches(reader, self._run_id, name, first=first, last=last, size=size, many=many),
        )


def _size(steps: int, columns: int) -> int:
    """The longest points that still leave one for each column, of which there are less than two then."""
    return max((length for length in _STRETCHES if steps >= columns * length), default=1)
