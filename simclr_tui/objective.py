"""What a run learns by, and what its figures are worth when it knows nothing. Pure."""

from trainer.chance import ChanceLevels, contrastive_chance
from trainer.store.records import TRAINED_KINDS, Run
from trainer.stored_settings import settings_of


def method_of(run: Run) -> str:
    """simclr, supcon or cross-entropy; empty for a job that trains nothing."""
    return str(settings_of(run).get("method", "simclr")) if run.kind in TRAINED_KINDS else ""


def loss_chance(run: Run) -> float | None:
    """The loss of features that know nothing; None where it is no plain function of the batch size.

    That of cross-entropy depends on the number of classes, and without negatives there is nothing to lose against.
    """
    levels = _levels(run)
    return levels.loss if levels is not None else None


def accuracy_chance(run: Run) -> ChanceLevels | None:
    """The contrastive accuracies of features that know nothing; None where labels decide what is a hit."""
    return _levels(run) if method_of(run) == "simclr" else None


def _levels(run: Run) -> ChanceLevels | None:
    if not run.batch_size:
        return None
    config = settings_of(run)
    negatives, views = config.get("negatives", True), config.get("views", 2)
    if run.batch_size < 1 or views < 2:  # edited by hand
        return None
    return contrastive_chance(method_of(run), run.batch_size, views, negatives=negatives)
