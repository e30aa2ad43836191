"""What the first rank tells the others of the run."""

from typing import Any, NamedTuple


class Start(NamedTuple):
    """A run that begins or goes on."""

    config: str
    """The settings, as JSON."""
    data: str
    """Fingerprint of the images, which every rank loads for itself."""
    payload: dict[str, Any]
    """Of a checkpoint: what everything begins with, on the CPU."""
