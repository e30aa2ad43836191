"""`fork`: a child run that goes on from a checkpoint of a run with other settings."""

import argparse
import sys
from pathlib import Path

from simclr_tui.commands.output import say, say_json
from trainer.config import PretrainConfig
from trainer.errors import ConfigError, ExitCode, UsageError
from trainer.fork import new_fork_run
from trainer.mirror.names import chosen
from trainer.mirror.wanted import want
from trainer.options import given
from trainer.start import start_run
from trainer.store.runs import RunStore


def fork(options: argparse.Namespace, runs: Path) -> int:
    """Make a child run and start it in the background; the parent may go on meanwhile."""
    if options.step < 0:
        raise ConfigError("step", f"{options.step} is below 0; give the step of a checkpoint, or 0 for the newest")
    if options.no_start and (options.queue or options.restart is not None):
        raise UsageError("--no-start: nothing is started, so nothing waits or starts again; leave one of them out")
    loggers = chosen(options)
    store = RunStore.open(runs)
    try:
        parent = store.find(options.run)
        child_id = new_fork_run(
            store,
            parent,
            given(options, PretrainConfig),
            step=options.step,
            name=options.name,
            fresh_optimizer=options.fresh_optimizer,
        )
        want(store, store.run(child_id), loggers or ())
        pid = None
        if not options.no_start:
            pid = start_run(store, child_id, in_line=options.queue, restarts=options.restart).pid
        child = store.run(child_id)
        if options.json:
            lineage = {"parent_run_id": child.parent_run_id, "parent_step": child.parent_step}
            say_json({"id": child.id, "name": child.name, "pid": pid, **lineage})
        else:
            say(child.id)
            if sys.stdout.isatty():
                next_words = f"`simclr-tui resume {child.id}` starts it" if pid is None else "it is starting"
                say(f"{store.events(run_id=child.id)[0].message}; {next_words}")
        return ExitCode.FINISHED
    finally:
        store.close()
