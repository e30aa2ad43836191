"""When the bits of a run are promised, and in words why they are not.

A run is a function of its settings and images, and its bits depend on a few things more: the libraries, the device, the
instruction set, the number of threads, whether kernels are deterministic. These facts are its fingerprint. As long as a
run is resumed under the facts that it has had so far, its steps are promised bit for bit; PyTorch promises nothing
across releases or devices (docs.pytorch.org, notes/randomness). A run that is resumed under others goes on all the
same, and what changed is recorded with the step from which on it holds.
"""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

_CHANGES = "changes"
_SHOWN = 4

_LABELS = {
    "simclr_tui": "simclr-tui",
    "cuda": "CUDA",
    "cudnn": "cuDNN",
    "cpu": "CPU",
    "cpu_capability": "instruction set of torch",
    "cpu_extensions": "instruction set of the CPU",
    "channels_last": "channels last",
    "deterministic": "deterministic kernels",
}


@dataclass(frozen=True, slots=True)
class Change:
    """A resume under other facts than before."""

    after_step: int
    """The step that it went on after."""
    stored_to: int
    """The last step whose row had been stored before it; the rows stay as they are."""
    words: tuple[str, ...]
    """What changed, from → to."""


@dataclass(frozen=True, slots=True)
class Exactness:
    """What the bits of a run rest on now, and each change of it since the run was made."""

    facts: dict[str, Any]
    changes: tuple[Change, ...] = ()

    @classmethod
    def from_json(cls, text: str) -> Self:
        """What `runs.fingerprint` holds."""
        facts = json.loads(text)
        changes = [Change(c["after_step"], c["stored_to"], tuple(c["words"])) for c in facts.pop(_CHANGES, [])]
        return cls(facts, tuple(changes))

    def to_json(self) -> str:
        """What `runs.fingerprint` holds."""
        return json.dumps(self.facts | {_CHANGES: [dataclasses.asdict(change) for change in self.changes]})

    def resumed(self, facts: dict[str, Any], *, after: int, stored_to: int) -> "Exactness":
        """The exactness of a run that is resumed.

        A checkpoint from before the last change is a change too: what is run again from it was run under the older
        facts once, so that nothing that came later can be expected again.

        Args:
            facts: the fingerprint of now.
            after: the step of the checkpoint that it goes on from, 0 where there is none.
            stored_to: the last step whose row is stored.
        """
        words = differences(self.facts, facts)
        if not words and any(after < change.after_step for change in self.changes):
            words = ["a checkpoint from before the last change was used"]
        return self.changed(facts, words, after=after, stored_to=stored_to)

    def changed(self, facts: dict[str, Any], words: Sequence[str], *, after: int, stored_to: int) -> "Exactness":
        """The same with other facts and, where there are words for it, one more change."""
        change = [Change(after, stored_to, tuple(words))] if words else []
        return Exactness(facts, (*self.changes, *change))

    def verdict(self) -> str:
        """What `runs.exactness` holds: "promised", or "not promised: " and the reasons in words."""
        reasons = [] if self.facts.get("deterministic", True) else ["--deterministic no"]
        said = [f"from step {change.after_step + 1:,} on {', '.join(change.words)}" for change in self.changes]
        if len(said) > _SHOWN:  # a run that wanders between two kinds of machine has one for each resume
            said[1:-1] = [f"{len(said) - 2} more changes"]
        reasons += said
        return f"not promised: {'; '.join(reasons)}" if reasons else "promised"

    def doubt(self, step: int, *, resumed_after: int) -> str:
        """Why the stored row of a step need not come out the same when it is run again; empty where it must.

        Args:
            step: whose row was stored before this resume.
            resumed_after: the step of the checkpoint that the run went on from.
        """
        reasons = [] if self.facts.get("deterministic", True) else ["--deterministic no"]
        for change in self.changes:
            if step <= change.stored_to or resumed_after < change.after_step:
                reasons += change.words
        return ", ".join(dict.fromkeys(reasons))


def differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What changed between two fingerprints, in words. A fact that one of them does not have says nothing."""
    names = [name for name in before if name in now and before[name] != now[name]]
    return [
        _difference(_LABELS.get(name, name if name.isupper() else name.replace("_", " ")), before[name], now[name])
        for name in sorted(names)
    ]


def _difference(label: str, before: Any, now: Any) -> str:
    if isinstance(before, list) and isinstance(now, list):
        gone = [f"without {name}" for name in before if name not in now]
        return f"{label} {', '.join(gone + [f'with {name}' for name in now if name not in before])}"
    return f"{label} {_shown(before)} → {_shown(now)}"


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)
