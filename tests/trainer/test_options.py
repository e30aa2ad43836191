"""Options made from a config's fields: what is taken, what comes back, and the sentence for a mistake."""

import argparse

import pytest

from trainer.config import PretrainConfig
from trainer.evaluate_config import EvaluateConfig
from trainer.options import OptionParser, add_settings, describe, given, show
from trainer.settings import fields_of, parse


@pytest.fixture
def parser() -> OptionParser:
    parser = OptionParser(prog="program")
    add_settings(parser, PretrainConfig)
    return parser


def refusal(parser: OptionParser, words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The sentence with which a command line is refused; there must be one line of it and exit code 2."""
    with pytest.raises(SystemExit) as caught:
        parser.parse_args(words)
    assert caught.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    return err.strip()


def test_only_what_was_written_is_given(parser: OptionParser) -> None:
    assert given(parser.parse_args([]), PretrainConfig) == {}
    namespace = parser.parse_args(["--epochs", "3", "--learning-rate=1e-3", "--no-drop-last", "--backbone", "resnet50"])
    assert given(namespace, PretrainConfig) == {
        "epochs": 3,
        "learning_rate": 1e-3,
        "drop_last": False,
        "backbone": "resnet50",
    }


def test_every_setting_of_every_config_is_an_option() -> None:
    for cls in (PretrainConfig, EvaluateConfig):
        parser = OptionParser(prog="program")
        add_settings(parser, cls)
        help_text = parser.format_help()
        for field in fields_of(cls):
            assert field.option in help_text
            assert f"\n{field.setting.group}:" in help_text


def test_help_names_bounds_unit_and_default() -> None:
    texts = {field.name: describe(field) for field in fields_of(PretrainConfig)}
    assert texts["epochs"] == "Passes over the split. [1 to 100000 epochs; default 500]"
    assert texts["limit_images"].endswith("[at least 0 images; default 0]")
    assert texts["pin_memory"].endswith("[default yes]")


def test_what_is_shown_can_be_typed() -> None:
    for field in fields_of(PretrainConfig):
        typed = parse(field, show(field.default))
        assert typed == (pytest.approx(field.default, rel=1e-5) if field.kind is float else field.default)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--epoch", "3"], "simclr-tui: there is no option --epoch; did you mean --epochs?"),
        (["--zebra"], "simclr-tui: there is no option --zebra; `--help` lists them all"),
        (["--epochs", "0"], "simclr-tui: --epochs: 0 is out of bounds; give 1 to 100000 epochs"),
        (["--epochs", "-3"], "simclr-tui: --epochs: -3 is out of bounds; give 1 to 100000 epochs"),
        (["--epochs", "many"], "simclr-tui: --epochs: 'many' is not a whole number; give 1 to 100000 epochs"),
        (["--epochs"], "simclr-tui: --epochs: expected one argument"),
        (["stl10"], "simclr-tui: 'stl10' is one argument too many; `--help` shows what is taken"),
    ],
)
def test_a_mistake_is_one_sentence(
    parser: OptionParser, words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refusal(parser, words, capsys) == sentence


def test_a_word_that_is_not_a_choice_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    parser = OptionParser(prog="program")
    verbs = parser.add_subparsers()
    verbs.add_parser("launch")
    verbs.add_parser("pause")
    assert refusal(parser, ["lunch"], capsys) == "simclr-tui: 'lunch' is not known; did you mean launch?"
    assert refusal(parser, ["zzz"], capsys) == "simclr-tui: 'zzz' is not known; choose launch, pause"


def test_an_option_of_a_verb_is_found_when_misspelt(capsys: pytest.CaptureFixture[str]) -> None:
    parser = OptionParser(prog="program")
    launch = parser.add_subparsers().add_parser("launch")
    add_settings(launch, PretrainConfig)
    assert isinstance(launch, argparse.ArgumentParser)
    sentence = refusal(parser, ["launch", "--bachsize", "3"], capsys)
    assert sentence == "simclr-tui: there is no option --bachsize; did you mean --batch-size?"
