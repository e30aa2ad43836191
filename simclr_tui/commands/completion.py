"""`completion`: the script that completes this program's words in a shell, made by shtab from the parsers."""

import argparse
from pathlib import Path
from typing import Any

import shtab

from simclr_tui.commands.output import say
from simclr_tui.commands.parser import command_parser
from simclr_tui.commands.verb_options import verbs_of
from trainer.benchmark_config import BenchmarkConfig
from trainer.config import PretrainConfig
from trainer.errors import ExitCode
from trainer.evaluate_config import EvaluateConfig
from trainer.preview_options import preview_parser
from trainer.settings import fields_of

_BASH = """
_simclr_tui_runs() {
  local folder=() i name
  for ((i = 1; i + 1 < COMP_CWORD; i++)); do
    [[ ${COMP_WORDS[i]} == --runs-dir ]] && folder=(--runs-dir "${COMP_WORDS[i + 1]}")
  done
  while IFS= read -r name; do
    [[ $name == "$1"* ]] && printf '%s\\n' "$name"
  done < <(simclr-tui --run-names "${folder[@]}" 2> /dev/null)
}
"""

_ZSH = """
_simclr_tui_runs() {
  local -a folder names
  local -i at=${words[(I)--runs-dir]}
  (( at > 0 && at + 1 < CURRENT )) && folder=(--runs-dir "${(Q)words[at+1]}")
  names=(${(f)"$(simclr-tui --run-names "${folder[@]}" 2> /dev/null)"})
  compadd -a names
}
"""

_FISH = """
function _simclr_tui_runs
  set -l typed (commandline -opc)
  set -l folder
  if set -l at (contains -i -- --runs-dir $typed); and test (count $typed) -gt $at
    set folder --runs-dir $typed[(math $at + 1)]
  end
  simclr-tui --run-names $folder 2> /dev/null
end
"""

RUNS: dict[str, Any] = {
    "bash": "_simclr_tui_runs",
    "zsh": "_simclr_tui_runs",
    "fish": "(_simclr_tui_runs)",
    "tcsh": "`simclr-tui --run-names`",
    "preamble": {"bash": _BASH, "zsh": _ZSH, "fish": _FISH},
}
"""How each shell finds the names of the runs of the folder that the line names."""

_CONFIGS = (PretrainConfig, EvaluateConfig, BenchmarkConfig)


def completion(options: argparse.Namespace, _runs: Path) -> int:
    """Print the script of a shell."""
    say(script(options.shell))
    return ExitCode.FINISHED


def script(shell: str) -> str:
    """The script that a shell reads to complete the words of `simclr-tui`."""
    parser = command_parser()
    for verb, verb_parser in verbs_of(parser).choices.items():
        if verb == "preview":  # another program parses its words
            for action in preview_parser()._actions:
                if not isinstance(action, argparse._HelpAction):
                    verb_parser._add_action(action)
        _describe(verb_parser)
    _describe(parser)
    text: str = shtab.complete(parser, shell=shell)
    return text


def _describe(parser: argparse.ArgumentParser) -> None:
    """Tell shtab what a parser's values are: runs, folders, files, or the words that a setting may have."""
    choices = {field.option: field.choices for config in _CONFIGS for field in fields_of(config) if field.choices}
    for action in parser._actions:
        option = action.option_strings[0] if action.option_strings else ""
        if action.metavar in ("RUN", "BENCH"):
            action.complete = RUNS  # type: ignore[attr-defined]  # shtab's own attribute
        elif option in ("--runs-dir", "--data-dir"):
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
        elif option == "--out" or action.metavar == "PATH":
            action.complete = shtab.FILE  # type: ignore[attr-defined]
        elif action.choices is None and action.nargs is None and option in choices:
            action.choices = [word for word in choices[option] if word]
