"""What is typed into the window of labels, and tags as words."""

import pytest

from simclr_tui.labels.form import LabelForm
from simclr_tui.labels.tag_words import parse_tags
from simclr_tui.model import RunRow
from trainer.errors import UsageError
from trainer.store.labels import LONGEST_NOTE, LONGEST_TAG, checked_note, checked_tag
from trainer.store.records import Labels, Run


def form(run: Run, **labels: object) -> LabelForm:
    """The window of a run with these labels."""
    return LabelForm(RunRow(run, "paused", 0, labels=Labels(**labels)))  # type: ignore[arg-type]


def test_it_begins_with_what_there_is_and_unchanged_it_changes_nothing(run: Run) -> None:
    one = form(run, tags=("a", "b"), note="n")
    assert (one.name, one.tags, one.note) == ("resting", "a b", "n")
    assert (one.errors, one.changes) == ({}, None)


def test_only_what_was_changed_is_asked_for(run: Run) -> None:
    one = form(run, tags=("a", "b"), note="n")
    one.tags = " b  +c "
    assert one.changes == {"name": None, "add": ["c"], "remove": ["a"], "note": None}
    one.tags, one.note, one.name = "a b", "", " new "
    assert one.changes == {"name": "new", "add": [], "remove": [], "note": ""}


@pytest.mark.parametrize(
    ("field", "text", "words"),
    [
        ("name", "  ", "it is empty"),
        ("name", "x" * 61, "does not fit a line"),
        ("tags", "a -b", "-b begins with a sign"),
        ("tags", "x" * (LONGEST_TAG + 1), "is no tag"),
        ("note", "x" * (LONGEST_NOTE + 1), "at most 2,000 characters, and this one 2,001"),
        ("note", "bell \a", "can't be shown"),
    ],
)
def test_what_is_wrong_is_said_for_the_field_that_it_is_in(run: Run, field: str, text: str, words: str) -> None:
    one = form(run)
    setattr(one, field, text)
    assert list(one.errors) == [field]
    assert words in one.errors[field]


def test_the_length_of_a_note_is_told_once_it_matters(run: Run) -> None:
    one = form(run)
    one.note = "x" * 100
    assert one.room == ""
    one.note = "x" * 1900
    assert one.room == "1,900 of 2,000 characters"


def test_tags_in_words() -> None:
    assert parse_tags(["+a", "-b", "c", "c"]) == (["a", "c"], ["b"])
    for words, why in ((["+a", "-a"], "a can't be added and taken away at once"), (["+"], "'' is no tag")):
        with pytest.raises(UsageError, match=why):
            parse_tags(words)


@pytest.mark.parametrize("text", ["baseline", "lr=1e-4", "Größe", "x" * LONGEST_TAG, "a,b", "実験"])
def test_a_tag_is_kept_as_it_was_typed(text: str) -> None:
    assert checked_tag(text) == text


@pytest.mark.parametrize(
    "text", ["", "two words", "tab\tbed", "-a", "++a", "x" * (LONGEST_TAG + 1), "a\u202eb", "a\x00"]
)
def test_what_is_no_word_is_no_tag(text: str) -> None:
    with pytest.raises(UsageError, match="is no tag"):
        checked_tag(text)


def test_a_note_keeps_its_lines_and_loses_the_blanks_around_it() -> None:
    assert checked_note("  a \r\n\tb\n\n") == "a\n b"
