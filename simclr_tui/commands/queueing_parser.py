"""The verbs of the line and of the service that puts interrupted runs back into it."""

from typing import Any

from simclr_tui.commands.queueing import ACTIONS
from simclr_tui.commands.verb_options import add_verb, owner_option, run_argument

_ACTION_HELP = (
    "up, down and first move the run; hold lets others pass until release; leave takes it out of the line and pauses "
    "it; to lets it wait for another device"
)


def add_queueing_verbs(verbs: Any) -> None:
    """Add them to the parsers of all verbs."""
    queue = add_verb(
        verbs,
        "queue",
        "show which runs wait for which device, or change their order",
        usage=f"simclr-tui queue [{{{','.join(ACTIONS[:-1])}}} RUN | to RUN DEVICE] [--owner USER] [--json]",
    )
    owner_option(queue)
    queue.add_argument("action", nargs="?", choices=ACTIONS, metavar="ACTION", help=_ACTION_HELP)
    run_argument(queue, nargs="?")
    queue.add_argument("device", nargs="?", metavar="DEVICE", help="for to: next, cpu, cuda, cuda:N or auto")
    service = add_verb(
        verbs,
        "service",
        "print a systemd user unit that resumes interrupted runs after a reboot",
        usage="simclr-tui service [--install]",
        json=False,
    )
    service.add_argument("--install", action="store_true", help="write it where systemd looks for it")
