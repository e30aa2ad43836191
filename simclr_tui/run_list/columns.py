"""What can be told of a run in one cell: the columns of the list, which it is sorted, grouped and filtered by. Pure."""

import dataclasses
import difflib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial

from simclr_tui.format import HEALTH_SIGNS, SIGNS, UNKNOWN, count, duration, moment, number, percent
from simclr_tui.model import RunRow
from trainer.benchmark_config import BenchmarkConfig
from trainer.config import PretrainConfig
from trainer.energy_use import kwh
from trainer.errors import UsageError
from trainer.evaluate_config import EvaluateConfig
from trainer.people import owner_name
from trainer.quote import quoted
from trainer.stored_settings import settings_of

Value = float | str | None
"""What is compared; None where nothing is known."""

SETTING = "setting:"
"""Before the name of a setting that is a column."""

SHORT_NAMES = {"lr": "learning_rate", "batch": "batch_size", "workers": "num_workers", "wd": "weight_decay"}
"""Further names of settings."""
_STATE_ORDER = tuple(SIGNS)
_HEALTH_ORDER = ("sick", "warning", "unsure", "good")
_LONGEST_SETTING = 14
_LONGEST_NAME = 40


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """One column."""

    id: str
    heading: str
    about: str
    """What it tells, for whoever chooses columns."""
    value: Callable[[RunRow, float], Value]
    """Of a run, at a time in UTC seconds."""
    kind: str = "number"
    """number, percent, duration or word: how a value is written by whoever filters by it."""
    text: Callable[[RunRow, float], str] | None = None
    """The cell, where the value alone does not make it."""
    width: int = 8
    unit: str = ""
    best_first: bool = False
    """Whether the highest value comes first unless it is asked for otherwise."""
    order: Sequence[str] = ()
    """Of words that have an order of their own."""

    @property
    def is_right(self) -> bool:
        """Whether cells end at the right."""
        return self.kind != "word"

    def cell(self, row: RunRow, now: float) -> str:
        """The text of a run's cell."""
        return self.text(row, now) if self.text is not None else written(self.value(row, now), self.kind)

    def key(self, value: Value) -> tuple[int, float, str]:
        """What a value is sorted by; numbers come before words."""
        if isinstance(value, str):
            place = self.order.index(value) if value in self.order else len(self.order)
            return (1, place, value.lower())
        return (0, value or 0.0, "")


def written(value: Value, kind: str = "number") -> str:
    """A value as text."""
    if value is None or value == "":
        return UNKNOWN
    if isinstance(value, str):
        return value
    if kind == "duration":
        return duration(value)
    return percent(value / 100) if kind == "percent" else number(value)


def _part(fraction: float | None) -> float | None:
    return None if fraction is None else 100 * fraction


def _seconds_left(row: RunRow) -> float | None:
    run, seconds = row.run, row.figures.epoch_seconds
    if seconds is None or run.step is None or not run.total_steps or not run.steps_per_epoch:
        return None
    return (run.total_steps - run.step) / run.steps_per_epoch * seconds if run.step < run.total_steps else None


def _epochs(row: RunRow, _: float) -> str:
    return UNKNOWN if row.run.epoch is None else f"{row.run.epoch}/{row.total_epochs or UNKNOWN}"


def _done(row: RunRow, _: float) -> str:
    return UNKNOWN if row.progress is None else f"{100 * row.progress:.0f}%"


def _exit(row: RunRow, _: float) -> str:
    return UNKNOWN if row.run.exit_code is None else str(row.run.exit_code)


def _health(row: RunRow, _: float) -> str:
    level = row.run.health_level
    return f"{HEALTH_SIGNS.get(level, '?')} {level}" if level else UNKNOWN


def _note(row: RunRow, _: float) -> str:
    return " ".join(row.labels.note.split()) or UNKNOWN  # a cell is one line, and a note may have several


_word = partial(Column, kind="word")
_share = partial(Column, kind="percent", unit="%", best_first=True)
_seconds = partial(Column, kind="duration", width=11)


def _progress() -> Iterable[Column]:
    """Who it is and how far it is."""
    yield _word(id="run", heading="run", about="name", width=16, value=lambda row, _: row.run.name)
    yield _word(id="id", heading="id", about="id", width=10, value=lambda row, _: row.run.id)
    state = partial(_word, id="state", heading="state", about="what it is at", width=11)
    yield state(order=_STATE_ORDER, value=lambda row, _: row.state)
    done = partial(_share, id="done", heading="done", about="part of its steps that is done", width=9, unit="")
    yield done(value=lambda row, _: _part(row.progress), text=_done)
    epoch = partial(Column, id="epoch", heading="epoch", about="epoch it is in, of how many", best_first=True)
    yield epoch(value=lambda row, _: row.run.epoch, text=_epochs)
    step = partial(Column, id="step", heading="step", about="steps taken", width=9, best_first=True)
    yield step(value=lambda row, _: row.run.step, text=lambda row, _: count(row.run.step))
    yield _seconds(id="left", heading="left", about="work that is left", value=lambda row, _: _seconds_left(row))
    trained = partial(_seconds, id="trained", heading="trained", about="time spent training", best_first=True)
    yield trained(value=lambda row, _: row.run.trained_seconds)
    age = partial(_seconds, id="age", heading="made", about="when it was made", width=12)
    yield age(
        value=lambda row, now: max(0.0, now - row.run.created_at), text=lambda row, now: moment(row.run.created_at, now)
    )


def _quality() -> Iterable[Column]:
    """How good it is and how fast."""
    knn = partial(_share, id="knn", heading="kNN", about="newest kNN score", width=5)
    yield knn(value=lambda row, _: _part(row.run.knn_top1))
    best = partial(_share, id="best_knn", heading="best kNN", about="best kNN score of all epochs")
    yield best(value=lambda row, _: _part(row.figures.best_knn))
    linear = partial(_share, id="linear", heading="linear", about="newest linear accuracy of h", width=6)
    yield linear(value=lambda row, _: _part(row.figures.linear))
    yield Column(id="loss", heading="loss", about="loss of its last step", value=lambda row, _: row.run.loss)
    smoothed = partial(Column, id="smoothed", heading="mean loss", about="mean loss of its last 256 steps", width=9)
    yield smoothed(value=lambda row, _: row.figures.loss)
    top1 = "training accuracy, mean of its last 256 steps"
    yield _share(id="acc_top1", heading="top-1", about=top1, width=6, value=lambda row, _: _part(row.figures.acc_top1))
    speed = partial(Column, id="images_per_second", heading="images/s", about="images a second in its newest epoch")
    yield speed(value=lambda row, _: row.figures.images_per_second, best_first=True)
    t_epoch = partial(_seconds, id="t_epoch", heading="t_epoch", about="length of an epoch, mean of its last five")
    yield t_epoch(value=lambda row, _: row.figures.epoch_seconds)
    health = partial(_word, id="health", heading="health", about="whether it learns", width=9, order=_HEALTH_ORDER)
    yield health(value=lambda row, _: row.run.health_level, text=_health)


def _origin() -> Iterable[Column]:
    """What it is, where it runs, and what people wrote on it."""
    card = partial(Column, id="card_kwh", heading="card kWh", about="energy that its card took, in kWh")
    yield card(value=lambda row, _: kwh(row.run.energy_joules))
    processors = partial(Column, id="cpu_kwh", heading="CPU kWh", about="energy that the processors took, in kWh")
    yield processors(value=lambda row, _: kwh(row.run.cpu_energy_joules))
    preset = partial(_word, id="preset", heading="preset", about="recipe it was made from", width=11)
    yield preset(value=lambda row, _: row.run.preset)
    yield _word(id="kind", heading="kind", about="kind of run", width=10, value=lambda row, _: row.run.kind)
    yield _word(id="device", heading="device", about="where it runs", width=14, value=lambda row, _: row.run.device)
    owner = partial(_word, id="owner", heading="owner", about="who made it", width=6)
    yield owner(value=lambda row, _: owner_name(row.run) or None)
    tags = partial(_word, id="tags", heading="tags", about="tags", width=14)
    yield tags(value=lambda row, _: ", ".join(row.labels.tags) or None)
    note = partial(_word, id="note", heading="note", about="note", width=20, text=_note)
    yield note(value=lambda row, _: row.labels.note or None)
    exactness = partial(_word, id="exactness", heading="exactness", about="whether its bits are promised", width=14)
    yield exactness(value=lambda row, _: row.run.exactness)
    code = partial(Column, id="exit", heading="exit", about="exit code of its last process", width=4)
    yield code(value=lambda row, _: row.run.exit_code, text=_exit)


COLUMNS: Mapping[str, Column] = {column.id: column for column in (*_progress(), *_quality(), *_origin())}
"""Every column but those of settings, by id."""

USUAL_COLUMNS = ("state", "done", "knn", "epoch", "loss")
"""Those of the list as long as nobody has chosen others."""

OTHER_NAMES = {
    "name": "run",
    "tag": "tags",
    "made": "age",
    "acc": "acc_top1",
    "best": "best_knn",
    "speed": "images_per_second",
}
"""Further names of columns."""


@cache
def setting_kinds() -> Mapping[str, type]:
    """The type of every setting that a run of any kind has, by name."""
    return {
        field.name: type(field.default)
        for cls in (BenchmarkConfig, EvaluateConfig, PretrainConfig)
        for field in dataclasses.fields(cls)
    }


def plain(name: str) -> str:
    """A name as it is stored: hyphens and underscores mean the same, and some names have a short one."""
    name = name.strip().lower().replace("-", "_")
    return SHORT_NAMES.get(name, name)


@cache
def column(name: str) -> Column:
    """A column by its id, another name of it, or the name of a setting with or without `setting:`.

    Raises:
        UsageError: there is none, with the name that comes closest.
    """
    asked = plain(name.strip().removeprefix(SETTING))
    asked = asked if name.strip().startswith(SETTING) else OTHER_NAMES.get(asked, asked)
    if asked in COLUMNS and not name.strip().startswith(SETTING):
        return COLUMNS[asked]
    if asked in setting_kinds():
        return _setting_column(asked)
    meant = closest(asked, [*COLUMNS, *OTHER_NAMES, *SHORT_NAMES, *setting_kinds()])
    raise UsageError(f"there is no column {quoted(name.strip())}{meant or '; `simclr-tui ls --help` names them'}")


def _setting_column(name: str) -> Column:
    kind = setting_kinds()[name]
    is_number = kind in (int, float)
    words = name.replace("_", "-")
    return Column(
        id=SETTING + name,
        heading=words,
        about="a setting",
        kind="number" if is_number else "word",
        width=max(6, min(_LONGEST_SETTING, len(words))),
        value=lambda row, _: setting_value(row, name),
        text=lambda row, _: setting_text(setting_value(row, name)),
    )


def setting_value(row: RunRow, name: str) -> Value:
    """A setting of a run; yes and no are words."""
    return _value(settings_of(row.run).get(name))


def _value(value: object) -> Value:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, str) else None


def setting_text(value: Value) -> str:
    """A setting as a person would write it."""
    return f"{value:g}" if isinstance(value, int | float) and abs(value) < 1e6 else written(value)


def closest(name: str, names: Iterable[str]) -> str:
    """The end of a sentence that names what was meant, if anything comes close."""
    found = difflib.get_close_matches(name[:_LONGEST_NAME], list(names), n=1, cutoff=0.5)
    return f"; did you mean {found[0].replace('_', '-')}?" if found else ""


def sorted_by(rows: Sequence[RunRow], by: Column, now: float, *, descending: bool) -> list[RunRow]:
    """Runs in the order of a column; those of which nothing is known come last either way, and equals stay in order."""
    known: list[tuple[tuple[int, float, str], RunRow]] = []
    unknown: list[tuple[tuple[int, float, str], RunRow]] = []
    for row in rows:
        value = by.value(row, now)
        is_known = value is not None and not (isinstance(value, float) and math.isnan(value))
        (known if is_known else unknown).append((by.key(value), row))
    known.sort(key=lambda pair: pair[0], reverse=descending)
    return [row for _, row in known + unknown]


def with_owner(columns: tuple[str, ...], usual: tuple[str, ...], rows: Iterable[RunRow]) -> tuple[str, ...]:
    """The columns with whose the runs are, where nobody has chosen others and the runs are several people's.

    Args:
        columns: those that are wanted.
        usual: those as long as nobody has chosen, the state among them.
        rows: every run.
    """
    if columns != usual or len({row.run.owner_uid for row in rows} - {None}) < 2:
        return columns
    behind = columns.index("state") + 1
    return (*columns[:behind], "owner", *columns[behind:])


def differing_settings(rows: Sequence[RunRow]) -> list[str]:
    """Names of the settings of which some runs have other values than others."""
    seen: dict[str, Value] = {}
    found: set[str] = set()
    kinds = setting_kinds()
    for row in {(row.run.kind, row.run.config): row for row in rows}.values():
        for name, setting in settings_of(row.run).items():
            if name in kinds and name not in found:
                value = _value(setting)
                if seen.setdefault(name, value) != value:
                    found.add(name)
    return sorted(found)
