"""Events of which the times of a run's steps are made; apart from the clock, which few screens need."""

BEGUN = ("started", "resumed")
READY = ("resumed-from", "forked-from")
ENDED = ("paused", "stopped", "finished", "failed", "interrupted", "hung")
MILESTONES = (*BEGUN, *READY, *ENDED, "replay")
"""All of them."""
