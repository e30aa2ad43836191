"""What a program says and ends with."""

import pytest

from trainer.entry import answer
from trainer.errors import ConfigError, ExitCode


def test_a_persons_mistake_is_one_sentence_and_its_code(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> int:
        raise ConfigError("epochs", "is 0; give 1 or more")

    assert answer(work) == ExitCode.USAGE
    assert capsys.readouterr().err == "simclr-tui: --epochs: is 0; give 1 or more\n"


def test_what_went_well_keeps_its_code_and_ctrl_c_has_its_own() -> None:
    def interrupted() -> int:
        raise KeyboardInterrupt

    assert answer(lambda: ExitCode.TRY_AGAIN) == ExitCode.TRY_AGAIN
    assert answer(interrupted) == ExitCode.SIGINT


def test_a_bug_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        answer(lambda: 1 // 0)
