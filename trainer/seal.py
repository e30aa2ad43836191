"""A digest that a manifest carries over its own content, so that a change in it is noticed like one in the weights.

The digest is one against accidents and careless edits. Who can write the folder can also make a new one; nothing that
a manifest says is trusted with more than finding a file beside it.
"""

import hashlib
import json
from typing import Any

SEAL = "check"

_UNSEALED = frozenset(
    {"run_id", "name", "preset", "created_at", "step", "epoch", "reason", "knn_top1", "config"}
    | {"format", "file", "bytes", "sha256"}
)
"""What manifests held before they had a seal. One that has more and no seal has lost it."""


def sealed(manifest: dict[str, Any]) -> dict[str, Any]:
    """The manifest with the SHA-256, in hexadecimal, of everything else in it."""
    return manifest | {SEAL: _digest(manifest)}


def is_intact(manifest: dict[str, Any]) -> bool:
    """Whether a manifest is as it was written. One from before there were seals is taken at its word."""
    if SEAL not in manifest:
        return manifest.keys() <= _UNSEALED
    return bool(manifest[SEAL] == _digest(manifest))


def _digest(manifest: dict[str, Any]) -> str:
    content = {name: value for name, value in manifest.items() if name != SEAL}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
