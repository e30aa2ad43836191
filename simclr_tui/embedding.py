"""The map of a representation: reading its file's text, laying it over cells, moving from point to point. Pure."""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

VERSION = 1
_SPARE_SIGNS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
MANY = "•"
"""The sign of classes beyond those that have a letter or a digit of their own."""

Cell = tuple[int, int]
"""Row and column, from the top left."""


class MapError(ValueError):
    """The text is no map; the message says in a few words why."""


class MapPoint(NamedTuple):
    """One image: where it lies, from 0 to 1, and the images that are nearest to it by their features."""

    x: float
    y: float
    label: int
    image: int
    """Its number in its split."""
    neighbours: tuple[int, ...]
    similarity: tuple[float, ...]
    neighbour_labels: tuple[int, ...]
    """Empty where the file does not tell the neighbours' classes."""


@dataclass(frozen=True, slots=True)
class EmbeddingMap:
    """What `map.json` says."""

    step: int
    dataset: str
    split: str
    neighbours_split: str
    projection: str
    layer: str
    classes: tuple[str, ...]
    points: tuple[MapPoint, ...]

    def class_name(self, label: int) -> str:
        """A class by its label."""
        return self.classes[label] if 0 <= label < len(self.classes) else "another class"


def parse_map(text: str | bytes) -> EmbeddingMap:
    """The map in a file's text.

    Raises:
        MapError: it is none.
    """
    try:
        document = json.loads(text)
        _check_version(document["version"])
        classes = tuple(str(name) for name in document["classes"])
        points = tuple(_point(values, len(classes)) for values in document["points"])
        return EmbeddingMap(
            step=int(document["step"]),
            dataset=str(document["dataset"]),
            split=str(document.get("split", "")),
            neighbours_split=str(document.get("neighbours_split", "")),
            projection=str(document["projection"]),
            layer=str(document["layer"]),
            classes=classes,
            points=points,
        )
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MapError("it is no whole JSON document") from error
    except KeyError as error:
        raise MapError(f"{error.args[0]!r} is missing in it") from error
    except MapError:
        raise
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        raise MapError("it has another form than a map") from error


def _check_version(version: Any) -> None:
    if version != VERSION:
        raise MapError(f"it is of version {version}, and this program reads {VERSION}")


def _point(values: Mapping[str, Any], classes: int) -> MapPoint:
    point = MapPoint(
        x=float(values["x"]),
        y=float(values["y"]),
        label=int(values["label"]),
        image=int(values["index"]),
        neighbours=tuple(int(index) for index in values["neighbours"]),
        similarity=tuple(float(value) for value in values["similarity"]),
        neighbour_labels=tuple(int(label) for label in values.get("neighbour_labels", ())),
    )
    if not (math.isfinite(point.x) and math.isfinite(point.y)):
        raise MapError("a point of it lies nowhere")
    if not 0 <= point.label < classes:
        raise MapError(f"a point of it has the label {point.label}, and there are {classes} classes")
    return point


def class_signs(classes: Sequence[str]) -> list[str]:
    """A letter or digit for each class, all different and if possible one of its own name."""
    signs: list[str] = []
    for name in classes:
        wanted = [letter for letter in name.lower() if letter in _SPARE_SIGNS]
        signs.append(next((sign for sign in (*wanted, *_SPARE_SIGNS) if sign not in signs), MANY))
    return signs


def lay_out(points: Sequence[MapPoint], columns: int, rows: int) -> dict[Cell, list[int]]:
    """The points of each cell that has any; y = 1 is at the top."""
    cells: dict[Cell, list[int]] = {}
    for number, point in enumerate(points):
        cells.setdefault(cell_of(point, columns, rows), []).append(number)
    return cells


def cell_of(point: MapPoint, columns: int, rows: int) -> Cell:
    """Where a point falls."""
    column = min(columns - 1, max(0, int(point.x * columns)))
    return min(rows - 1, max(0, int((1 - point.y) * rows))), column


def majority(points: Sequence[MapPoint], numbers: Sequence[int]) -> tuple[int, bool]:
    """The most frequent label of some points, and whether it is more than half of them; a tie goes to the lower."""
    counts = Counter(points[number].label for number in numbers)
    label = min(counts, key=lambda one: (-counts[one], one))
    return label, 2 * counts[label] > len(numbers)


def step_from(cell: Cell, cells: Mapping[Cell, object], down: int, right: int) -> Cell:
    """The nearest cell with a point in one direction; what lies off the straight line counts three times."""

    def cost(other: Cell) -> tuple[int, Cell]:
        along = (other[0] - cell[0]) * down + (other[1] - cell[1]) * right
        aside = abs((other[0] - cell[0]) * right) + abs((other[1] - cell[1]) * down)
        return along + 3 * aside, other

    ahead = [other for other in cells if (other[0] - cell[0]) * down + (other[1] - cell[1]) * right > 0]
    return min(ahead, key=cost, default=cell)


def nearest_cell(cell: Cell, cells: Mapping[Cell, object]) -> Cell:
    """The cell with a point that is nearest to any cell; a cell is twice as high as wide."""
    return min(cells, key=lambda other: (4 * (other[0] - cell[0]) ** 2 + (other[1] - cell[1]) ** 2, other))
