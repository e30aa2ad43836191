"""`simclr-tui`: the dashboard, or one verb without it.

A mistake is one sentence on stderr and its exit code; a traceback is only ever shown for a bug.
"""

import importlib
import sys
from collections.abc import Sequence

from trainer.entry import answer
from trainer.paths import runs_dir

_COMMANDS = {
    "ls": "listing:list_runs",
    "show": "reading:show_run",
    "compare": "comparing:compare_runs",
    "export": "exporting:export",
    "import": "importing:import_run",
    "mirror": "mirroring:mirror",
    "checkpoints": "checkpoints:list_checkpoints",
    "metrics": "metrics:show_metrics",
    "query": "querying:ask",
    "demo": "starting:demo",
    "launch": "starting:launch",
    "resume": "starting:resume",
    "fork": "forking:fork",
    "evaluate": "starting:evaluate",
    "benchmark": "benchmark:benchmark",
    "preview": "previewing:preview",
    "log": "logs:show_log",
    "system": "system:show_system",
    "pause": "ending:pause",
    "stop": "ending:stop",
    "queue": "queueing:queue",
    **{
        verb: f"labelling:{verb}"
        for verb in (
            *("tag", "note", "pin", "unpin", "archive", "unarchive"),
            *("rename", "rm", "restore", "trash"),
        )
    },
    "service": "service:service",
    "doctor": "doctoring:doctor",
    "watch": "watching:watch",
    "settings": "settings:settings",
    "notify": "notify:notify",
    "completion": "completion:completion",
    "serve": "serving:serve",
}

_WATCH = "--watch"
_RUN_NAMES = "--run-names"
"""What the scripts of `completion` ask at every tab; no option that the help names."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    return answer(lambda: _do(words))


def _only_folder(words: list[str]) -> str | None:
    """The runs folder of a command line that names nothing else ("" is the usual one), else None.

    Such a line opens the dashboard, whose first frame should not wait for the options of all verbs.
    """
    match words:
        case []:
            return ""
        case ["--runs-dir", folder] if folder and not folder.startswith("-"):
            return folder
        case _:
            return None


def _do(words: list[str]) -> int:
    if _WATCH in words:  # asked every few seconds by a status bar, so before anything is imported
        folder = _only_folder([word for word in words if word != _WATCH])
        if folder is not None:
            from simclr_tui.commands.watching import watch_line

            return watch_line(runs_dir(folder))
    if words[:1] == [_RUN_NAMES]:
        folder = _only_folder(words[1:])
        if folder is not None:
            from simclr_tui.commands.run_names import say_run_names

            return say_run_names(runs_dir(folder))
    folder = _only_folder(words)
    if folder is not None:
        from simclr_tui.commands.dashboard import dashboard

        return dashboard(runs_dir(folder))
    from simclr_tui.commands.parser import parse

    options = parse(words)
    runs = runs_dir(getattr(options, "runs_dir", None))
    if options.watch and options.verb is None:
        from simclr_tui.commands.watching import watch_line

        return watch_line(runs)
    if options.verb is None:
        from simclr_tui.commands.dashboard import dashboard

        return dashboard(runs)
    module, _, name = _COMMANDS[options.verb].partition(":")
    return int(getattr(importlib.import_module(f"simclr_tui.commands.{module}"), name)(options, runs))


if __name__ == "__main__":
    sys.exit(main())
