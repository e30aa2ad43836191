"""Options stand wherever a person writes them, also between the names of a list."""

import pytest

from simclr_tui.commands.parser import parse


@pytest.mark.parametrize(
    ("words", "listed"),
    [
        (["compare", "A", "--out", "f.md", "B"], {"runs": ["A", "B"], "out": "f.md"}),
        (["compare", "--json", "A", "B"], {"runs": ["A", "B"], "json": True}),
        (["pin", "A", "--runs-dir", "there", "B", "C"], {"runs": ["A", "B", "C"], "runs_dir": "there"}),
        (
            ["metrics", "A", "loss", "--points", "5", "knn_top1"],
            {"run": "A", "names": ["loss", "knn_top1"], "points": 5},
        ),
        (["metrics", "A", "--csv"], {"run": "A", "names": [], "csv": True}),
    ],
)
def test_options_may_stand_between_the_names_of_a_list(words: list[str], listed: dict[str, object]) -> None:
    found = vars(parse(words))
    assert {name: found[name] for name in listed} == listed


@pytest.mark.parametrize(
    ("words", "reason"),
    [(["compare", "A", "--out"], "expected one argument"), (["compare", "--json"], "required: RUN")],
)
def test_what_is_wrong_is_still_one_sentence(words: list[str], reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(words)
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert reason in said
    assert said.count("\n") == 1
