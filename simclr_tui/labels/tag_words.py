"""Tags as they are typed: `+a -b c` adds a and c, and takes b away. Pure."""

from collections.abc import Sequence

from trainer.errors import UsageError
from trainer.store.labels import checked_tag


def parse_tags(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The tags to add and those to take away.

    Raises:
        UsageError: a word is no tag, or is to be added and taken away.
    """
    add: list[str] = []
    remove: list[str] = []
    for word in words:
        (remove if word.startswith("-") else add).append(checked_tag(word[1:] if word[:1] in ("+", "-") else word))
    both = sorted({*add} & {*remove})
    if both:
        raise UsageError(f"{both[0]} can't be added and taken away at once; write it once")
    return list(dict.fromkeys(add)), list(dict.fromkeys(remove))
