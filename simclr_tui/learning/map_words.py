"""The map in words: what it is of, its legend, and the image under the crosshair. Pure."""

from collections import Counter

from textual.content import Content

from simclr_tui.embedding import EmbeddingMap, MapPoint, class_signs
from simclr_tui.format import count, fit, percent
from simclr_tui.keys import key
from simclr_tui.learning.look import Look
from simclr_tui.theme import MUTED, RUN_COLOURS
from simclr_tui.words import Part

TITLE = "map"

_PROJECTIONS = {"tsne": "t-SNE", "umap": "UMAP", "pca": "principal components"}
_NEIGHBOURS_SHOWN = 10


def digest(look: Look) -> Content:
    """What it is of, and how many of the nearest images are of the same class."""
    drawn = look.embedding
    if look.learning.problem:
        return Content.styled("▲ can't be shown", "$warning")
    if drawn is None:
        return look.status("map", "not made yet")
    return Content(
        f"{count(len(drawn.points))} images, {_PROJECTIONS.get(drawn.projection, drawn.projection)}{_same(look)}"
    )


def _same(look: Look) -> str:
    study = look.study("map")
    share = study.rows[-1].value if study is not None else None
    return f"; {percent(share, 0)} % of neighbours alike" if share is not None else ""


def title(look: Look) -> Content:
    """What the map is of."""
    drawn = look.embedding
    if drawn is None:
        return Content.assemble((TITLE, "bold"))
    how = _PROJECTIONS.get(drawn.projection, drawn.projection)
    about = f" · {drawn.dataset}, step {count(drawn.step)} · {how}"
    return Content.assemble((f"map of {drawn.layer}", "bold"), (about, MUTED))


def empty(look: Look) -> Content:
    """Why there is no map."""
    if look.learning.problem:
        return Content.assemble(("▲ ", "$warning"), look.learning.problem, "\n", (look.command("map"), "bold"))
    return Content.assemble(*look.missing("map", "map of the representation"))


def class_ink(label: int) -> str:
    """The colour of a class; its sign tells apart those that share one."""
    return f"run-{label % RUN_COLOURS}"


def legend(drawn: EmbeddingMap, width: int, height: int) -> Content:
    """The sign, the name and the number of images of each class, as many as there are lines (0: not known yet)."""
    numbers = Counter(point.label for point in drawn.points)
    parts: list[Part] = []
    for label, (name, sign) in enumerate(zip(drawn.classes, class_signs(drawn.classes), strict=True)):
        if 0 < height < len(drawn.classes) and label == height - 1:
            parts.append((f"and {len(drawn.classes) - label} more", MUTED))
            break
        parts += [(f"{sign} ", f"bold ${class_ink(label)}"), f"{fit(name, width - 8)}{numbers[label]:>6}\n"]
    return Content.assemble(*parts)


def about(drawn: EmbeddingMap, point: MapPoint, place: int, there: int) -> Content:
    """The image under the crosshair and the images that are nearest to it.

    Args:
        drawn: the map.
        point: the image.
        place: which of those in its cell it is, from 1.
        there: how many there are.
    """
    sign = class_signs(drawn.classes)[point.label]
    split = f" of {drawn.split}" if drawn.split else ""
    more = f", {key('space', 'learning.here')} shows the next" if there > 1 else ""
    parts: list[Part] = [
        (f"{sign} {drawn.class_name(point.label)}", f"bold ${class_ink(point.label)}"),
        f" · image {count(point.image)}{split}",
        (f" · {place} of {there} here{more}", MUTED),
        "\n",
    ]
    if not point.neighbours:
        return Content.assemble(*parts)
    where = f" in {drawn.neighbours_split}" if drawn.neighbours_split else ""
    parts.append((f"nearest{where}: ", MUTED))
    labels = point.neighbour_labels
    near = list(zip(point.neighbours, point.similarity, strict=False))[:_NEIGHBOURS_SHOWN]
    known = len(labels) >= len(near) and len(drawn.classes) > 1
    names = [drawn.class_name(labels[n]) if known else f"image {count(index)}" for n, (index, _) in enumerate(near)]
    parts.append(", ".join(f"{name} {similarity:.2f}" for name, (_, similarity) in zip(names, near, strict=True)))
    if known:
        alike = sum(label == point.label for label in labels)
        parts.append((f"\n{alike} of {len(labels)} are of its class", MUTED))
    return Content.assemble(*parts)
