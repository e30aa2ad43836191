"""Text from outside in a sentence: in quotes, on one line, and not longer than a person reads."""

LONGEST_QUOTE = 60


def quoted(value: object) -> str:
    """What somebody gave, as Python writes it (control, bidi and undecodable characters escaped), shortened.

    Only as much of a text is looked at as is shown, so that a sentence on a gigabyte costs no more than another.
    """
    if isinstance(value, str) and len(value) > LONGEST_QUOTE:
        return f"{value[: LONGEST_QUOTE - 20]!r}… ({len(value):,} characters)"
    text = repr(value)
    return text if len(text) <= 2 * LONGEST_QUOTE else f"{text[:LONGEST_QUOTE]}…"


def printable(text: str) -> str:
    """Text that can be stored and shown: what is not printable is escaped, such as bytes of a name that is no UTF-8."""
    return text if text.isprintable() else text.encode("unicode_escape", "backslashreplace").decode("ascii")
