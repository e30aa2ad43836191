"""How series are called in event files: as the UvA tutorial 17 and Lightning call them, else as in the store."""

from collections.abc import Mapping
from typing import Any

STEP_TAGS = {
    "loss": "train_loss",
    "acc_top1": "train_acc_top1",
    "acc_top5": "train_acc_top5",
    "acc_mean_pos": "train_acc_mean_pos",
    "lr": "lr",
    "grad_norm": "grad_norm",
    "t_data": "t_data",
    "t_batch": "t_batch",
    "epoch": "epoch",
}
"""Tags of the columns of `steps`."""

EPOCH_TAGS = {
    **{name: f"train_{name}_epoch" for name in ("loss", "acc_top1", "acc_top5", "acc_mean_pos")},
    **{name: name for name in ("val_loss", "val_acc_top1", "val_acc_top5", "val_acc_mean_pos", "val_batch_size")},
    **{name: f"{name}_epoch" for name in ("t_data", "t_batch", "gpu_util")},
    **{name: name for name in ("t_train", "t_epoch", "t_idle", "images_per_second", "knn_top1", "knn_top5")},
}
"""Tags of the columns of `epochs`; each value lies at its epoch's last step."""

DEVICE_PREFIX = "device/"
"""Before the columns of `device_samples`, whose values lie at the step that had been taken last."""

RANK_PREFIX = "rank/"
"""Before the number of a rank and the columns of `rank_samples`."""


def evaluation_tag(row: Mapping[str, Any], figure: str) -> str:
    """The tag of a figure of an evaluation: data set, protocol, layer, labels and seed, where they say something."""
    parts = [
        "evaluation",
        row.get("dataset"),
        row["protocol"],
        row["layer"],
        f"{row['labels_per_class']}-per-class" if row["labels_per_class"] else "",
        f"seed-{row['seed']}" if row["seed"] else "",
        figure,
    ]
    return "/".join(str(part) for part in parts if part)
