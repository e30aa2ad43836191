"""The list of verbs in the help, by what a person is about to do."""

import argparse

from trainer.options import HelpFormatter

GROUPS = {
    "Train": ("demo", "launch", "resume", "fork", "pause", "stop", "queue"),
    "Look": ("ls", "show", "log", "metrics", "system", "checkpoints", "compare", "query", "preview", "watch", "serve"),
    "Find out": ("evaluate", "benchmark"),
    "Keep order": (
        *("tag", "note", "rename", "pin", "unpin", "archive", "unarchive"),
        *("rm", "restore", "trash"),
    ),
    "Take elsewhere": ("export", "mirror", "import"),
    "Set up and look after": ("settings", "notify", "doctor", "service", "completion"),
}
"""Verbs by heading; one that is named nowhere comes last, under the last heading."""


class VerbFormatter(HelpFormatter):
    """Help with a heading above each group of verbs."""

    def _format_action(self, action: argparse.Action) -> str:
        if not isinstance(action, argparse._SubParsersAction):
            return super()._format_action(action)
        verbs = {verb.dest: verb for verb in action._choices_actions}
        last = next(reversed(GROUPS))
        grouped = {name for names in GROUPS.values() for name in names}
        parts = []
        for title, names in GROUPS.items():
            rest = [name for name in verbs if name not in grouped] if title == last else []
            self._indent()
            listed = [self._format_action(verbs[name]) for name in (*names, *rest) if name in verbs]
            self._dedent()
            parts += [f"{'':{self._current_indent}}{title}\n", *listed] if listed else []
        return "".join(parts)
