"""A map of the representation: test images in two dimensions by h, and the train images that are nearest to each.

h is scaled to unit length first, so that the map and the neighbours both go by direction, as kNN does. Shapes:
N images of the map, M images that neighbours are taken from, D features, k neighbours.
"""

import json
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.data.aside import aside
from trainer.data.split import Split
from trainer.durable import write_durably
from trainer.errors import DataError, NonFiniteError
from trainer.evaluation import neighbour_sheet
from trainer.evaluation.names import NEIGHBOURS
from trainer.evaluation.neighbours import Neighbours, chance_of_a_match, nearest
from trainer.evaluation.projection import MIN_POINTS, PROJECTIONS, project, require
from trainer.evaluation.subject import Subject

UNLABELLED = "unlabelled"
"""The one class of a map of images without labels."""

_VERSION = 1


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Embedding:
    """What is drawn."""

    split: Split
    """The images on the map."""
    index_N: Tensor
    """int64, where they stand in the split that they are of."""
    labels_N: Tensor
    """int64, into `classes`."""
    classes: tuple[str, ...]
    points_N2: Tensor
    """float32, in the unit square."""
    bank: Split
    """Where neighbours come from."""
    neighbours: Neighbours


def run(subject: Subject) -> list[dict[str, Any]]:
    """Make the map, as JSON for the dashboard and as pictures, with the nearest neighbours of its images.

    Without labelled train and test splits it is made of the split that was pretrained on, and neighbours are other
    images of the map.

    Returns:
        The row with the share of neighbours of the same class; none without such splits.

    Raises:
        ConfigError: the projection's library is not installed.
        DataError: there are too few images.
        NonFiniteError: a feature is NaN or infinite.
        EndRequested: the job was asked to end; nothing was written.
    """
    require(subject.wish.projection)
    embedding = _embed(subject)
    rows = subject.put(_share(subject, embedding))
    _write_map(subject, embedding)
    _draw(subject, embedding)
    path = subject.folder() / "neighbours.png"
    neighbour_sheet.draw(embedding.split, embedding.bank, embedding.neighbours, subject.wish.seed, path)
    subject.announce(path, "picture")
    return rows


def _embed(subject: Subject) -> Embedding:
    wish, dataset = subject.wish, subject.dataset
    labelled = bool(dataset.train) and bool(dataset.test)
    whole = subject.test if labelled else dataset.pretrain
    index_N = choose_images(whole, wish.map_images, subject.generator("map-images"))
    if len(index_N) < MIN_POINTS:
        raise DataError(f"--dataset: {dataset.name} has {len(index_N)} images to put on a map; add some")
    split = whole.subset(index_N)
    bank = subject.train if labelled else split
    h_ND = _directions(subject, split, 0)
    bank_MD = _directions(subject, bank, 1) if labelled else h_ND
    found = nearest(bank_MD, h_ND, wish.neighbours, is_same=not labelled, check=subject.job.control.check)
    subject.progress(2, 3, PROJECTIONS[wish.projection])
    # A fit that says nothing before its end; a signal must not have to wait for it.
    points_N2 = aside(lambda: project(h_ND, wish.projection, wish.seed), subject.job.control.check)
    subject.progress(3, 3, "done")
    named = bool(split.classes) and int(split.labels.min()) >= 0
    return Embedding(
        split=split,
        index_N=index_N,
        labels_N=split.labels if named else torch.zeros_like(index_N),
        classes=split.classes if named else (UNLABELLED,),
        points_N2=points_N2,
        bank=bank,
        neighbours=found,
    )


def choose_images(split: Split, count: int, generator: torch.Generator) -> Tensor:
    """Which images of a split go on a map: as many of each class, as far as it has them, in the split's order.

    Args:
        split: where labels are -1, its images count as one class.
        count: images in all, about: each class gets an equal part of it, and at least one image.
        generator: decides which.

    Returns:
        int64 (N,), rising.
    """
    present = split.labels.unique().tolist()
    each = max(1, count // max(1, len(present)))
    chosen = []
    for label in present:
        members = (split.labels == label).nonzero().squeeze(1)
        chosen.append(members[torch.randperm(len(members), generator=generator)[:each]])
    return torch.cat(chosen).sort().values if chosen else torch.zeros(0, dtype=torch.int64)


def _directions(subject: Subject, split: Split, number: int) -> Tensor:
    """h of a split's images at unit length, float32 (N, D) on the CPU."""
    subject.progress(number, 3, f"features of {len(split):,} images of {split.name}")
    h_ND = subject.features(split)["h"]
    if not bool(torch.isfinite(h_ND).all()):
        raise NonFiniteError(f"h of {split.name} holds NaN or infinity; evaluate an earlier checkpoint with --step")
    return F.normalize(h_ND, dim=1)


def _share(subject: Subject, embedding: Embedding) -> list[dict[str, Any]]:
    """The row of the share of neighbours of the same class, which is also said; none without a labelled bank."""
    if embedding.bank is embedding.split:
        return []
    found = embedding.neighbours
    same_Nk = found.is_same_class(embedding.split, embedding.bank)
    share, chance = same_Nk.double().mean().item(), chance_of_a_match(embedding.split, embedding.bank)
    count = found.index_Nk.shape[1]
    of = f"the {count} nearest train images" if count > 1 else "the nearest train images"
    subject.job.reporter.note(
        f"{100 * share:.1f} % of {of} are of the test image's class (chance {100 * chance:.1f} %)"
    )
    return [{"protocol": NEIGHBOURS, "layer": "h", "value": share, "images": len(same_Nk)}]


def _write_map(subject: Subject, embedding: Embedding) -> None:
    """`map.json`, which the dashboard draws from."""
    about = {"version": _VERSION, "run": subject.source_id, "step": subject.step, "dataset": subject.dataset.name}
    about |= {"split": embedding.split.name, "neighbours_split": embedding.bank.name}
    about |= {"projection": subject.wish.projection, "layer": "h", "classes": list(embedding.classes)}
    path = subject.folder() / "map.json"
    text = json.dumps(about | {"points": _points(embedding)}, separators=(",", ":"), ensure_ascii=False)
    write_durably(path, text.encode())
    subject.announce(path, "map")


def _points(embedding: Embedding) -> list[dict[str, Any]]:
    """Each image with its place, its class and its neighbours; images are numbered as in their splits."""
    found, is_own = embedding.neighbours, embedding.bank is embedding.split
    named = embedding.classes == embedding.split.classes
    near_Nk = embedding.index_N[found.index_Nk] if is_own else found.index_Nk
    labels_Nk = found.labels(embedding.split, embedding.bank) if named else torch.zeros_like(near_Nk)
    columns = {
        "label": embedding.labels_N.tolist(),
        "index": embedding.index_N.tolist(),
        "neighbours": near_Nk.tolist(),
        "neighbour_labels": labels_Nk.tolist(),
        "similarity": [[round(value, 4) for value in row] for row in found.similarity_Nk.double().tolist()],
    }
    places = [{"x": round(x, 5), "y": round(y, 5)} for x, y in embedding.points_N2.double().tolist()]
    values = (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))
    return [place | rest for place, rest in zip(places, values, strict=True)]


def _draw(subject: Subject, embedding: Embedding) -> None:
    """The map as SVG and PNG."""
    from trainer.figure import scatter_map

    x_N, y_N = embedding.points_N2.numpy().T
    name = subject.job.store.run(subject.source_id).name
    kind = "synthetic images" if subject.dataset.synthetic else "images"
    title = f"{name}, step {subject.step}: h of {len(x_N):,} {kind}, {PROJECTIONS[subject.wish.projection]}"
    for suffix in (".svg", ".png"):
        path = subject.folder() / f"map{suffix}"
        scatter_map(x_N, y_N, embedding.labels_N.numpy(), embedding.classes, title=title, path=path)
        subject.announce(path, "picture")
