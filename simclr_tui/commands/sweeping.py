"""`launch --sweep` and `launch --dry-run`: several runs at once, and what would be made before anything is."""

import argparse
import itertools
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from simclr_tui.comfort.user_settings import read_price
from simclr_tui.commands.output import say, say_json
from simclr_tui.commands.slurm_options import asked_job
from simclr_tui.launch.estimate import Estimate, Known, estimate_words, sweep_words
from simclr_tui.launch.estimate_reader import read_known
from simclr_tui.launch.sweep import Planned, parse_sweep, plan, tag_of, untaken
from simclr_tui.launch.sweeping import make_runs, queue_runs, taken_names
from trainer.config import PretrainConfig
from trainer.errors import ExitCode, UsageError
from trainer.mirror.names import chosen
from trainer.mirror.wanted import want
from trainer.options import given
from trainer.paths import check_runs_dir, store_file
from trainer.presets import chosen_config, load_preset
from trainer.start import checked_name
from trainer.store.reader import StoreReader
from trainer.store.runs import RunStore

_MEASURES = "`simclr-tui benchmark` measures"


def launch_several(options: argparse.Namespace, runs: Path) -> int:
    """Put a sweep in line, or say what a launch would make."""
    words = list(itertools.chain.from_iterable(options.sweep))
    job = asked_job(options)
    if words and not (options.queue or options.dry_run or job is not None):
        raise UsageError(
            "--sweep: its runs go one after the other; add --queue, or --slurm, or --dry-run to look at them first"
        )
    loggers = chosen(options)
    check_runs_dir(runs)
    planned, tag = _planned(options, runs, words)
    if options.dry_run:
        return _tell(options, runs, planned, tag if words else "")
    if job is not None:
        from simclr_tui.commands.submitting import submit_sweep

        return submit_sweep(options, runs, job, planned, tag)
    with closing(RunStore.open(runs)) as store:
        ids = make_runs(store, options.preset, planned, tag)
        for run_id in ids:
            want(store, store.run(run_id), loggers or ())
        pids = [child.pid for child in queue_runs(store, ids, restarts=options.restart)]
    if options.json:
        made = [{"id": id, "name": one.name, "pid": pid} for id, one, pid in zip(ids, planned, pids, strict=True)]
        say_json({"tag": tag, "runs": made})
    else:
        for run_id in ids:
            say(run_id)
        if sys.stdout.isatty():
            say(f"{len(ids)} runs wait in line, with the tag {tag}; `simclr-tui queue` shows them")
    return ExitCode.FINISHED


def _planned(options: argparse.Namespace, runs: Path, words: Sequence[str]) -> tuple[list[Planned], str]:
    """The runs that would be made, under names that none has, and the tag of a sweep."""
    lists = parse_sweep(words)
    settings = given(options, PretrainConfig)
    for one in lists:
        if one.field.name in settings:
            raise UsageError(f"--sweep: {one.field.name} is given by {one.field.option} too; leave one of them out")
    plain = checked_name(options.name) or options.preset or "sweep"

    def planned(base: str) -> list[Planned]:
        return plan(base, settings, lists, lambda values: chosen_config(options.preset, values))

    if not lists:
        return [Planned(checked_name(options.name), settings)], ""
    taken = taken_names(runs) if _has_store(runs) else set()
    base = untaken(plain, lambda base: (tag_of(base), *(one.name for one in planned(base))), taken)
    return planned(base), tag_of(base)


def _has_store(runs: Path) -> bool:
    if not store_file(runs).exists():
        return False
    with closing(StoreReader.open(runs)) as reader:
        return reader.schema_version() > 0


def _known(runs: Path) -> Known:
    if not _has_store(runs):
        return read_known(None)
    with closing(StoreReader.open(runs)) as reader:
        return read_known(reader)


def _tell(options: argparse.Namespace, runs: Path, planned: Sequence[Planned], tag: str) -> int:
    """Print what would be made and what it would take."""
    known = _known(runs)
    configs = [chosen_config(options.preset, one.values) for one in planned]
    found = [known.estimate(config) for config in configs]
    if options.json:
        pairs = zip(planned, configs, found, strict=True)
        made = [_run_json(options.preset, one, config, estimate) for one, config, estimate in pairs]
        say_json({"tag": tag or None, "runs": made})
        return ExitCode.FINISHED
    now, price = time.time(), read_price()
    for number, (one, config) in enumerate(zip(planned, configs, strict=True), start=1):
        name = one.name or f"a run named after {options.preset or config.dataset}"
        say(f"{number:>2}  {name}" if tag else name)
    if tag:
        say(f"tag {tag}; {sweep_words(found, now, key=_MEASURES, price=price)}")
    else:
        title = load_preset(options.preset).title if options.preset else "the defaults"
        say(f"{title}; {len(planned[0].values) or 'no'} settings given")
        say(estimate_words(found[0], now, key=_MEASURES, in_line=options.queue, price=price))
    say("nothing was made; leave --dry-run out to do it")
    return ExitCode.FINISHED


def _run_json(preset: str | None, one: Planned, config: PretrainConfig, found: Estimate | None) -> dict[str, Any]:
    return {
        "name": one.name or None,
        "preset": preset,
        "settings": one.values,
        "epochs": config.epochs,
        "estimate": found.to_json() if found else None,
    }
