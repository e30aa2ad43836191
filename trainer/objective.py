"""What a method minimises: from the network's output to a loss and the figures beside it."""

from torch import Tensor

from trainer.config import PretrainConfig
from trainer.loss import ContrastiveMetrics, classification_loss_and_metrics, loss_and_metrics


def objective(z: Tensor, config: PretrainConfig, labels: Tensor | None) -> tuple[Tensor, ContrastiveMetrics]:
    """The loss that the method minimises and the three figures beside it.

    Args:
        z: (V·N, P), or logits (V·N, K).
        config: its method, temperature, views and negatives.
        labels: (N,), where the method is supervised.
    """
    if config.is_supervised:
        assert labels is not None
        labels = labels.to(z.device, non_blocking=True)
    if config.method == "cross-entropy":
        assert labels is not None
        return classification_loss_and_metrics(z, labels.repeat(config.views))
    chosen = labels if config.method == "supcon" else None
    return loss_and_metrics(z, config.temperature, config.views, chosen, negatives=config.negatives)
