"""What a run learns by, and what its figures are worth when it knows nothing. Pure."""

import json

from trainer.chance import ChanceLevels, chance_levels
from trainer.store.records import TRAINED_KINDS, Run


def method_of(run: Run) -> str:
    """simclr, supcon or cross-entropy; empty for a job that trains nothing."""
    return str(json.loads(run.config).get("method", "simclr")) if run.kind in TRAINED_KINDS else ""


def loss_chance(run: Run) -> float | None:
    """The loss of features that know nothing; None where it is no plain function of the batch size.

    SupCon has it in common with SimCLR: with all similarities equal each positive costs ln(VN − 1). That of
    cross-entropy depends on the number of classes, and without negatives there is nothing to lose against.
    """
    levels = _levels(run)
    return levels.loss if levels is not None else None


def accuracy_chance(run: Run) -> ChanceLevels | None:
    """The contrastive accuracies of features that know nothing; None where labels decide what is a hit."""
    return _levels(run) if method_of(run) == "simclr" else None


def _levels(run: Run) -> ChanceLevels | None:
    config = json.loads(run.config)
    is_contrastive = method_of(run) in ("simclr", "supcon") and config.get("negatives", True)
    if not is_contrastive or not run.batch_size:
        return None
    return chance_levels(run.batch_size, config.get("views", 2))
