"""The comparison of some runs, put together. Pure."""

from collections import Counter
from collections.abc import Sequence

from simclr_tui.compare.costs import cost, speed
from simclr_tui.compare.evaluations import evaluation_groups
from simclr_tui.compare.measures import common_epoch, results
from simclr_tui.compare.settings import settings_groups
from simclr_tui.compare.side import Side
from simclr_tui.compare.table import Comparison, Heading
from simclr_tui.price import Price


def compare(sides: Sequence[Side], reference: str | None = None, *, price: Price | None = None) -> Comparison:
    """The comparison of runs, of which the reference (the first, if none is named) stands first.

    Args:
        sides: the runs.
        reference: a run's id.
        price: of a kilowatt-hour, if the person has told it.
    """
    sides = sorted(sides, key=lambda side: side.run.id != reference)
    different, equal = settings_groups(sides)
    common = common_epoch(sides)
    groups = [different, results(sides), *([common] if common else []), speed(sides), cost(sides, price)]
    return Comparison(headings=_headings(sides), groups=[*groups, *evaluation_groups(sides)], equal=equal)


def _headings(sides: Sequence[Side]) -> list[Heading]:
    names = Counter(side.run.name for side in sides)
    return [
        Heading(
            run_id=side.run.id,
            name=side.run.name if names[side.run.name] == 1 else f"{side.run.name} {side.run.id}",
            sign=side.drawn.sign,
            ink=side.drawn.ink,
            state=side.row.state,
        )
        for side in sides
    ]
