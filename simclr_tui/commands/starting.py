"""`demo`, `launch`, `resume` and `evaluate`: the verbs that start a trainer."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from simclr_tui.commands.becoming import become
from simclr_tui.commands.output import say, say_json
from simclr_tui.commands.slurm_options import asked_job
from simclr_tui.verbs import refusal
from trainer.addresses import UNTOLD, trouble
from trainer.config import PretrainConfig
from trainer.drift import change_settings
from trainer.errors import ExitCode, UsageError
from trainer.evaluate_config import EvaluateConfig
from trainer.mirror.names import chosen
from trainer.mirror.wanted import want
from trainer.options import given
from trainer.options import show as show_value
from trainer.people import refuse_anothers
from trainer.presets import chosen_config, load_preset
from trainer.settings import fields_of
from trainer.start import new_evaluate_run, new_pretrain_run, start_run
from trainer.state import run_state
from trainer.store.runs import RunStore


def demo(options: argparse.Namespace, runs: Path) -> int:
    """Run the demo: in the dashboard where there is a terminal, else with its progress on stdout."""
    loggers = chosen(options) or ()
    settings = given(options, PretrainConfig)
    config = load_preset("demo").config(**settings)
    if sys.stdin.isatty() and sys.stdout.isatty():
        from simclr_tui.commands.dashboard import dashboard

        store = RunStore.open(runs)
        try:
            run_id = new_pretrain_run(store, config, preset="demo", name=options.name)
            want(store, store.run(run_id), loggers)
            child = start_run(store, run_id)
        finally:
            store.close()
        code = dashboard(runs, select=run_id)
        child.poll()
        return code
    words = demo_command(runs, options.name, config, list(settings))
    words += ["--mirror", ",".join(loggers)] if loggers else []
    return become(words)


def demo_command(runs: Path, name: str, config: PretrainConfig, settings: Sequence[str]) -> list[str]:
    """The command line of a trainer that runs the demo with its progress on stdout."""
    words = [sys.executable, "-m", "trainer.run", "--headless", "--preset", "demo", "--runs-dir", str(runs)]
    if name:
        words.append(f"--name={name}")
    for field in fields_of(PretrainConfig):
        if field.name not in settings:
            continue
        value = getattr(config, field.name)
        if field.kind is bool:
            words.append(field.option if value else f"--no-{field.option[2:]}")
        else:
            words.append(f"{field.option}={value if field.kind is float else show_value(value)}")
    return words


def launch(options: argparse.Namespace, runs: Path) -> int:
    """Make a pretraining run and start it in the background, or submit it; several, or none, where asked for."""
    job = asked_job(options)
    if job is not None and not options.sweep:
        from simclr_tui.commands.submitting import submit_new

        return submit_new(options, runs, job)
    if options.sweep or options.dry_run:
        from simclr_tui.commands.sweeping import launch_several

        return launch_several(options, runs)
    loggers = chosen(options)
    config = chosen_config(options.preset, given(options, PretrainConfig))
    store = RunStore.open(runs)
    try:
        run_id = new_pretrain_run(store, config, preset=options.preset, name=options.name)
        want(store, store.run(run_id), loggers or ())
        return _started(store, run_id, options)
    finally:
        store.close()


def resume(options: argparse.Namespace, runs: Path) -> int:
    """Start the trainer of a run again, with other settings where they can't change its result; or of all."""
    if options.all:
        return _resume_all(options, runs)
    if options.run is None:
        raise UsageError("resume: name a run, or give --all for every run that was interrupted")
    loggers = chosen(options)
    if asked_job(options) is not None:
        from simclr_tui.commands.submitting import submit_again

        return submit_again(options, runs)
    store = RunStore.open(runs)
    try:
        run = store.find(options.run)
        sentence = refusal("resume", run.name, run_state(run, runs), kind=run.kind)
        if sentence is not None:
            raise UsageError(sentence)
        refuse_anothers(run, options.owner)
        change_settings(store, run, given(options, PretrainConfig), options.accept)
        if loggers is not None:
            want(store, run, loggers)
        return _started(store, run.id, options)
    finally:
        store.close()


def _resume_all(options: argparse.Namespace, runs: Path) -> int:
    from simclr_tui.commands.resuming import resume_all

    changes = given(options, PretrainConfig) or options.accept or options.restart is not None or asked_job(options)
    if options.run is not None or changes or options.queue or chosen(options) is not None:
        raise UsageError("resume --all: each run goes on as it was; leave the run and every setting out")
    return resume_all(runs, as_json=options.json)


def evaluate(options: argparse.Namespace, runs: Path) -> int:
    """Score a checkpoint of a run in a job of its own."""
    store = RunStore.open(runs)
    try:
        source = store.find(options.source)
        config = EvaluateConfig(run=source.id, **given(options, EvaluateConfig))
        return _started(store, new_evaluate_run(store, source, config), options)
    finally:
        store.close()


def _started(store: RunStore, run_id: str, options: argparse.Namespace) -> int:
    """Start a run that is there and print its id."""
    in_line, restarts = getattr(options, "queue", False), getattr(options, "restart", None)
    child = start_run(store, run_id, in_line=in_line, restarts=restarts)
    run = store.run(run_id)
    wrong = trouble()
    if wrong:
        print(f"simclr-tui: {UNTOLD}: {wrong}", file=sys.stderr)  # noqa: T201
    if options.json:
        say_json({"id": run.id, "name": run.name, "pid": child.pid})
    else:
        say(run.id)
        if sys.stdout.isatty():
            what = "waits for its device" if in_line else "is starting in the background"
            say(f"{run.name} {what}; `simclr-tui` shows it, `simclr-tui pause` pauses it")
    return ExitCode.FINISHED
