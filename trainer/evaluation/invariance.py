"""What each layer still tells about each augmentation, and how much of its features the augmentation moves.

It answers why the loss is put on z and h is kept with the user's own run: the loss rewards g for forgetting what the
augmentations change (Chen et al. 2020, arXiv 2002.05709, section 4.2), and these figures say how much of it each
layer has forgotten. `invariance_measures` states the two figures, `invariance_draws` the views that they are taken on.
"""

import time
from collections.abc import Iterator
from typing import Any

from trainer.evaluation import invariance_report
from trainer.evaluation.invariance_draws import CATEGORIES, POINTS
from trainer.evaluation.invariance_features import Study, features_under, images_of
from trainer.evaluation.invariance_measures import tells, varies
from trainer.evaluation.names import AUGMENTATIONS, LAYERS, TELLS, VARIES
from trainer.evaluation.subject import Subject


def run(subject: Subject) -> list[dict[str, Any]]:
    """Measure every layer under every augmentation, and show it as tables, a sentence and a picture.

    Returns:
        The rows, those of an earlier part of the same job included.

    Raises:
        DataError: there are too few images.
        NonFiniteError: a feature is NaN or infinite.
        EndRequested: the job was asked to end; the figures made so far are in the store.
    """
    rows = measure(subject)
    invariance_report.show(subject, rows, images_of(subject).name)
    return rows


def measure(subject: Subject) -> list[dict[str, Any]]:
    """Measure and write after each augmentation; a resumed job leaves out those that it has done.

    Returns and Raises as in `run`.
    """
    study = Study.of(subject)
    rows = _already_made(study)
    for number, name in enumerate(AUGMENTATIONS):
        subject.progress(number, len(AUGMENTATIONS), AUGMENTATIONS[name])
        if not any(row["protocol"] == TELLS + name for row in rows):
            rows += subject.put(list(_measure_one(study, name)))
    subject.progress(len(AUGMENTATIONS), len(AUGMENTATIONS), "done")
    for layer in dict.fromkeys(row["layer"] for row in rows if row["value"] is None):
        subject.job.warn("constant-features", f"{LAYERS[layer]} is the same for all views, so it has no variance")
    return rows


def _already_made(study: Study) -> list[dict[str, Any]]:
    """This job's rows of augmentations that it has done: those with both figures of every layer."""
    subject = study.subject
    rows = [
        {"protocol": row.protocol, "layer": row.layer, "value": row.value, "images": row.images}
        for row in subject.job.store.evaluations(subject.source_id)
        if row.job_id == subject.job.run.id and row.step == subject.step
    ]
    made = {(row["protocol"], row["layer"]) for row in rows}
    done = {
        prefix + name
        for name in AUGMENTATIONS
        if all((prefix + name, layer) in made for layer in study.layers for prefix in (TELLS, VARIES))
        for prefix in (TELLS, VARIES)
    }
    return [row for row in rows if row["protocol"] in done]


def _measure_one(study: Study, name: str) -> Iterator[dict[str, Any]]:
    """The rows of one augmentation, two a layer."""
    check = study.subject.job.control.check
    features, targets_NVT = features_under(study, name)
    for layer in study.layers:
        features_NVD = features.pop(layer)
        begun = time.perf_counter()
        told = tells(
            features_NVD, targets_NVT, study.split, check, cases=CATEGORIES.get(name, 0), as_point=name in POINTS
        )
        seconds = time.perf_counter() - begun
        about = {"images": len(study.split.score), "seconds": seconds}
        yield {"protocol": TELLS + name, "layer": layer, "value": told, **about}
        varied = varies(features_NVD)
        yield {"protocol": VARIES + name, "layer": layer, "value": varied, "images": len(study.images)}
