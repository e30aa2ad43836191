"""Every series of a run by its id, for `metrics`: how many values it has, between what, and the values over x."""

from collections.abc import Sequence
from dataclasses import dataclass

from simclr_tui.charts.device import SHAPES as DEVICE_SHAPES
from simclr_tui.charts.device import device_samples
from simclr_tui.charts.drawn import Drawn, View
from simclr_tui.charts.epochs import SHAPES as EPOCH_SHAPES
from simclr_tui.charts.epochs import epoch_values
from simclr_tui.charts.ids import DEVICE, EPOCHS, METRICS, STEPS
from simclr_tui.plot.series import Sample
from trainer.errors import UsageError
from trainer.store.history import DEVICE_SERIES
from trainer.store.reader import StoreReader
from trainer.store.records import Run
from trainer.store.series import STEP_SERIES

_OF = {STEPS: "steps", METRICS: "metrics", EPOCHS: "epochs", DEVICE: "device"}


@dataclass(frozen=True, slots=True)
class SeriesFacts:
    """A series in figures, as they are stored."""

    name: str
    """The id of its chart."""
    of: str
    """What its values are measured of: steps, epochs, …"""
    count: int
    last: float | None
    low: float | None
    high: float | None


def facts_of(reader: StoreReader, run: Run) -> list[SeriesFacts]:
    """Every series of a run that has a value. Reads only."""
    found = [*_columns(reader, run, STEPS, "steps", STEP_SERIES, "step"), *_metrics(reader, run)]
    found += _columns(reader, run, EPOCHS, "epochs", tuple(EPOCH_SHAPES), "epoch")
    return found + _columns(reader, run, DEVICE, "device_samples", DEVICE_SERIES, "id")


def _columns(
    reader: StoreReader, run: Run, kind: str, table: str, names: Sequence[str], order: str
) -> list[SeriesFacts]:
    known = {str(row["name"]) for row in reader._figures(f"SELECT name FROM pragma_table_info('{table}')")}
    names = [name for name in names if name in known]  # an older schema lacks some
    asked = ", ".join(
        f"count({name}) AS count_{name}, min({name}) AS low_{name}, max({name}) AS high_{name},"
        f" (SELECT {name} FROM {table} WHERE run_id = :run AND {name} IS NOT NULL ORDER BY {order} DESC LIMIT 1)"
        f" AS last_{name}"
        for name in names
    )
    row = reader._figures(f"SELECT {asked} FROM {table} WHERE run_id = :run", {"run": run.id})[0]  # type: ignore[arg-type]  # names instead of places
    return [
        SeriesFacts(kind + name, _OF[kind], *(row[f"{word}_{name}"] for word in ("count", "last", "low", "high")))
        for name in names
        if row[f"count_{name}"]
    ]


def _metrics(reader: StoreReader, run: Run) -> list[SeriesFacts]:
    query = (
        "SELECT name, count(value) AS count, min(value) AS low, max(value) AS high,"
        " (SELECT value FROM metrics m WHERE m.run_id = metrics.run_id AND m.name = metrics.name"
        " AND value IS NOT NULL ORDER BY step DESC LIMIT 1) AS last"
        " FROM metrics WHERE run_id = ? GROUP BY name HAVING count(value) ORDER BY name"
    )
    return [
        SeriesFacts(METRICS + row["name"], _OF[METRICS], row["count"], row["last"], row["low"], row["high"])
        for row in reader._figures(query, (run.id,))
    ]


def resolve(name: str, facts: Sequence[SeriesFacts], run_name: str) -> str:
    """The id of a series that is named by it, or by its last part: of steps, else of metrics, epochs, the device.

    Raises:
        UsageError: there is none.
    """
    ids = [one.name for one in facts]
    if name in ids:
        return name
    short = [one for one in ids if one.partition(".")[2] == name]
    if short:
        return short[0]
    raise UsageError(f"{run_name} has no series {name!r}; `simclr-tui metrics {run_name}` lists those that it has")


def all_values(drawn: Drawn, name: str, view: View) -> Sequence[Sample]:
    """The values of a series over x, in the units that they are stored in."""
    kind, _, series = name.partition(".")
    if kind + "." == EPOCHS:
        return drawn.points(f"{name}, values", view, 1.0, lambda one: epoch_values(one, series))
    if kind + "." == DEVICE and series in DEVICE_SHAPES:
        return device_samples(drawn, series, 1.0, view)
    return drawn.samples(name if kind + "." == METRICS else series, view)
