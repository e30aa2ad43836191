"""The filter of the list: every term, mistakes, and what must hold whatever is typed."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simclr_tui.model import RunRow
from simclr_tui.run_list.columns import COLUMNS
from simclr_tui.run_list.query import Asked, FilterError, parse
from tests.simclr_tui.row_support import NOW, row_of

ROWS = [
    row_of("baseline", state="running", tags=("baseline", "wide"), knn_top1=0.789, loss=0.61, learning_rate=5e-4),
    row_of("fork of it", state="paused", parent_run_id="parent", note="warmer, later", loss=0.4, learning_rate=1e-4),
    row_of("sick-one", state="failed", health_level="sick", step=1000, batch_size=512, augment="fused"),
    row_of("old", state="finished", created_at=NOW - 3 * 86_400, trained_seconds=7200.0, is_archived=True),
    row_of("gone", state="stopped", trashed_at=NOW, is_archived=True),
    row_of("bench", state="queued", kind="benchmark", config="{}", preset=None, is_pinned=True),
]


def found(text: str, marked: frozenset[str] = frozenset()) -> list[str]:
    one = parse(text)
    return [row.run.name for row in ROWS if one.shows(row, Asked(NOW, marked))]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", ["baseline", "fork of it", "sick-one", "bench"]),
        ("state:running", ["baseline"]),
        ("state:run,pau", ["baseline", "fork of it"]),
        ("state!=running,paused", ["sick-one", "bench"]),
        ("tag:base", ["baseline"]),
        ("tag=base", []),
        ("tag=baseline", ["baseline"]),
        ("is:pinned", ["bench"]),
        ("is:live", ["baseline"]),
        ("is:fork", ["fork of it"]),
        ("is:sick", ["sick-one"]),
        ("is:archived", ["old"]),
        ("is:trashed", ["gone"]),
        ("is:all", ["baseline", "fork of it", "sick-one", "old", "gone", "bench"]),
        ("-is:archived", ["baseline", "fork of it", "sick-one", "bench"]),
        ("preset:stl", ["baseline", "fork of it", "sick-one"]),
        ("kind:benchmark", ["bench"]),
        ("name:one", ["sick-one"]),
        ('name:"fork of"', ["fork of it"]),
        ("id:bench", ["bench"]),
        ("lr>1e-4", ["baseline", "sick-one"]),
        ("learning-rate<=1e-4", ["fork of it"]),
        ("learning_rate=5e-4", ["baseline", "sick-one"]),
        ("learning_rate=0.0", []),
        ("batch_size:256,128", ["baseline", "fork of it"]),
        ("batch-size!=256", ["sick-one", "bench"]),
        ("augment:fus", ["sick-one"]),
        ("augment=fus", []),
        ("drop_last:yes", ["baseline", "fork of it", "sick-one"]),
        ("drop-last:off", []),
        ("loss<0.6", ["fork of it"]),
        ("loss=0.6", ["baseline"]),
        ("knn>75", ["baseline"]),
        ("knn>=78.9%", ["baseline"]),
        ("step>=1,000", ["sick-one"]),
        ("age<2d", ["baseline", "fork of it", "sick-one", "bench"]),
        ("is:all age>1d12h", ["old"]),
        ("is:all trained>1h", ["old"]),
        ("is:all trained>2h", []),
        ("warmer", ["fork of it"]),
        ('"warmer, later"', ["fork of it"]),
        ("WIDE stl10", ["baseline"]),
        ("-fork not sick", ["baseline", "bench"]),
        ("not -is:fork", ["fork of it"]),
        ("state:running or is:pinned", ["baseline", "bench"]),
        ("state:running|is:pinned", ["baseline", "bench"]),
        ("state:running kNN>80 or is:pinned", ["bench"]),
        ("is:marked", ["sick-one"]),
        ('"not"', []),
        ("not", ["baseline", "fork of it", "sick-one", "bench"]),
    ],
)
def test_a_filter_finds_what_its_terms_ask_for(text: str, names: list[str]) -> None:
    assert found(text, frozenset({"sick-one"})) == names


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("stat:running", "nothing is called 'stat'; did you mean state? In quotes it is a word"),
        ("lerning_rate>1", "did you mean learning-rate?"),
        ("state:runing", "no state is called 'runing'; did you mean running?"),
        ("is:pined", "did you mean pinned?"),
        ("is:", "is: knows all, archived, fork"),
        ("lr>", "lr> needs a number behind it"),
        ("lr>fast", "lr is compared with a number, and 'fast' is none"),
        ("lr>nan", "lr is compared with a number"),
        ("knn:good", "a percentage"),
        ("age<2q", "a time such as 2d or 1h30m"),
        ("augment>2", "augment is a word, so > says nothing of it"),
        ("drop_last:perhaps", "drop_last is yes or no"),
        ("note:", "note: needs a word behind it"),
        ('name:"half', "a quotation mark"),
    ],
)
def test_a_mistake_is_a_sentence_that_says_what_would_be_right(text: str, words: str) -> None:
    with pytest.raises(FilterError, match=words.replace("?", r"\?")):
        parse(text)


PIECES = st.sampled_from(
    [
        *(
            f"{name}{sign}"
            for name in (*list(COLUMNS), "is", "lr", "drop_last", "augment")
            for sign in (":", ">", "!=")
        ),
        *(
            "running",
            "1",
            "2d",
            "50%",
            "yes",
            "archived",
            "or",
            "|",
            "not ",
            "-",
            " ",
            '"',
            ",",
            "é",
            "\x00",
            "9" * 400,
        ),
    ]
)
TEXTS = st.lists(PIECES, max_size=7).map("".join) | st.text(max_size=40)


@given(text=TEXTS)
def test_whatever_is_typed_it_is_understood_or_answered_by_a_sentence(text: str) -> None:
    try:
        one = parse(text)
    except FilterError:
        return
    assert all(one.matches(row, Asked(NOW)) in (True, False) for row in ROWS)


TERMS = st.sampled_from(
    [
        "state:running",
        "tag:wide",
        "is:fork",
        "lr>1e-4",
        "loss<0.6",
        "knn>75",
        "age<2d",
        "sick",
        "note=x",
        "lr!=1",
        "exit=1",
    ]
)


@given(term=TERMS)
def test_a_term_and_its_opposite_share_the_runs_between_them(term: str) -> None:
    for turned in (f"-{term}", f"not {term}"):
        for row in ROWS:
            assert parse(term).matches(row, Asked(NOW)) != parse(turned).matches(row, Asked(NOW))


@given(terms=st.lists(TERMS, min_size=1, max_size=4), word=st.sampled_from([" ", " and ", " or ", "|"]))
def test_terms_that_are_joined_are_as_their_parts(terms: list[str], word: str) -> None:
    whole, join = parse(word.join(terms)), all if word in (" ", " and ") else any
    for row in ROWS:
        assert whole.matches(row, Asked(NOW)) == join(parse(term).matches(row, Asked(NOW)) for term in terms)


def test_a_figure_that_is_not_known_holds_for_no_comparison() -> None:
    unknown: RunRow = replace(ROWS[2], run=replace(ROWS[2].run, loss=None))
    for text in ("loss<1", "loss>=0", "loss=0"):
        assert not parse(text).matches(unknown, Asked(NOW))
    assert parse("loss!=0").matches(unknown, Asked(NOW))


def test_every_term_is_told_in_the_page_about_the_list() -> None:
    page = (Path(__file__).parents[3] / "docs" / "list.md").read_text(encoding="utf-8")
    for name in (
        *COLUMNS,
        "is:pinned",
        "is:archived",
        "is:trashed",
        "is:marked",
        "is:live",
        "is:fork",
        "is:sick",
        "is:all",
    ):
        assert f"`{name}" in page, name
