"""A store that can't be read for a while: said once when it lasts, and once when it is over. Pure."""

from simclr_tui.format import duration

_WORTH_SAYING_SECONDS = 2.0
"""A lock of a moment is nobody's concern; the clock shows it."""


class Outage:
    """Since when the store can't be read, and what was said of it."""

    def __init__(self) -> None:
        """The store is read."""
        self._since: float | None = None
        self._said = ""

    def failed(self, reason: str, now: float) -> str | None:
        """What to say of a poll that failed, if anything."""
        if self._since is None:
            self._since = now
        if now - self._since < _WORTH_SAYING_SECONDS or reason == self._said:
            return None
        self._said = reason
        shown = "What is shown is as it was, and it is looked for again twice a second"
        return f"the store can't be read: {reason}. {shown}; `simclr-tui doctor` says what to do if that lasts"

    def over(self, now: float) -> str | None:
        """What to say of a poll that found the store again, if anything."""
        since, said, self._since, self._said = self._since, self._said, None, ""
        return f"the store is read again, after {duration(now - since)}" if said and since is not None else None
