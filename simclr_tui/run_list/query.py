"""The little language in which runs are picked out of a list: `state:running lr>1e-4 tag:baseline words`. Pure.

docs/list.md tells every term. Terms are joined by and, `or` or `|` separates alternatives, `not` or `-` turns the term
behind it round. A term is a word, or a name, a sign and a value; quotes keep blanks together.
"""

import re
from dataclasses import dataclass

from simclr_tui.model import RunRow
from simclr_tui.run_list.terms import Asked, FilterError, Test, compared, negated, word

__all__ = ["Asked", "Filter", "FilterError", "parse"]

_TERM = re.compile(r"([A-Za-z_][\w/-]*)(!=|<=|>=|:|=|<|>)(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter that was understood."""

    text: str
    test: Test
    asks_for: frozenset[str]
    """Those of `archived`, `trashed` and `all` that it names; such runs are left out of lists else."""

    def matches(self, row: RunRow, asked: Asked) -> bool:
        """Whether the terms hold for a run."""
        return self.test(row, asked)

    def shows(self, row: RunRow, asked: Asked) -> bool:
        """Whether a list with this filter has the run."""
        return self._has_place_for(row) and self.test(row, asked)

    def _has_place_for(self, row: RunRow) -> bool:
        if not row.labels.is_hidden or "all" in self.asks_for:
            return True
        return ("trashed" if row.labels.trashed_at is not None else "archived") in self.asks_for


def parse(text: str) -> Filter:
    """The filter that a text means; an empty one has every run that is not archived or trashed.

    Raises:
        FilterError: it means nothing.
    """
    alternatives: list[list[Test]] = [[]]
    asks_for: set[str] = set()
    is_negated = False
    for token in _tokens(text):
        bare = token.bare.lower()
        if bare in ("or", "|"):
            alternatives.append([])
        elif bare in ("not", "-"):
            is_negated = not is_negated
        elif bare not in ("and", "&"):
            turned = is_negated != token.is_negated
            alternatives[-1].append(negated(_term(token)) if turned else _term(token))
            if not turned:
                asks_for |= _asked_for(token)
            is_negated = False
    groups = [tuple(tests) for tests in alternatives if tests]

    def test(row: RunRow, asked: Asked) -> bool:
        return not groups or any(all(one(row, asked) for one in tests) for tests in groups)

    return Filter(text, test, frozenset(asks_for))


@dataclass(frozen=True, slots=True)
class _Token:
    head: str
    """What stands before the first quote, without the sign that turns it round."""
    rest: str
    """Everything behind that."""
    is_quoted: bool
    is_negated: bool

    @property
    def bare(self) -> str:
        """The text where nothing of it is quoted."""
        return "" if self.is_quoted else self.head

    @property
    def text(self) -> str:
        return self.head + self.rest


def _tokens(text: str) -> list[_Token]:
    """Words and terms; a bar stands alone wherever it is not quoted."""
    found: list[_Token] = []
    head, rest, is_open, is_quoted = "", "", False, False

    def end() -> None:
        nonlocal head, rest, is_quoted
        if head or is_quoted:
            is_negated = head.startswith("-") and (len(head) > 1 or is_quoted)
            found.append(_Token(head[1:] if is_negated else head, rest, is_quoted, is_negated))
        head, rest, is_quoted = "", "", False

    for character in text:
        if character == '"':
            is_open, is_quoted = not is_open, True
        elif is_open or not (character.isspace() or character == "|"):
            head, rest = (head, rest + character) if is_quoted else (head + character, rest)
        else:
            end()
            if character == "|":
                found.append(_Token("|", "", is_quoted=False, is_negated=False))
    if is_open:
        raise FilterError('a quotation mark " is missing')
    end()
    return found


def _term(token: _Token) -> Test:
    """What one term asks of a run."""
    found = _TERM.fullmatch(token.head)
    if found is None:
        return word(token.text)
    return compared(found[1], found[2], found[3] + token.rest, is_whole=token.is_quoted)


def _asked_for(token: _Token) -> set[str]:
    found = _TERM.fullmatch(token.head)
    words = (found[3] + token.rest).lower().split(",") if found and found[1].lower() == "is" else []
    return {word for word in words if word in ("all", "archived", "trashed")}
