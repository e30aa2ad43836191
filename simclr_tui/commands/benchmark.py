"""`benchmark`: make one and follow it, look at one that there is, or give a run the settings that it recommends."""

import argparse
import contextlib
import dataclasses
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from simclr_tui.commands.benchmarks import say_bench, width
from simclr_tui.commands.output import open_reader, run_json, say, say_json
from simclr_tui.format import fit
from simclr_tui.lab.applying import apply
from simclr_tui.lab.bench import Bench, check_plan
from simclr_tui.lab.document import document
from simclr_tui.lab.offer import offer
from simclr_tui.lab.reader import BenchReader, read_bench
from simclr_tui.lab.words import status_words
from trainer.benchmark_config import BenchmarkConfig, base_json
from trainer.config import PretrainConfig
from trainer.errors import ExitCode, TrainerError, UsageError
from trainer.options import given
from trainer.people import refuse_anothers
from trainer.presets import load_preset
from trainer.start import new_benchmark_run, start_run
from trainer.state import LIVE_STATES, run_state
from trainer.store.reader import StoreReader
from trainer.store.records import TRAINED_KINDS, Run
from trainer.store.runs import RunStore

_POLL_SECONDS = 0.5
_RELEASE_SECONDS = 15.0
_NOT_OVER = LIVE_STATES | {"queued"}


def benchmark(options: argparse.Namespace, runs: Path) -> int:
    """Make a benchmark, or with the name of one show it or apply what it found."""
    if options.run is None:
        if options.apply is not None:
            raise UsageError("--apply: name the benchmark too, as in `simclr-tui benchmark BENCH --apply RUN`")
        return _make(options, runs)
    if _asked(options) or given(options, PretrainConfig) or options.of or options.base_preset or options.name:
        raise UsageError(f"benchmark: {options.run} is made already; leave every setting out, or leave its name out")
    if options.apply is not None:
        return _apply(options, runs)
    with open_reader(runs) as reader:
        run = _found(reader, options.run)
        show_benchmark(reader, run, run_state(run, runs), as_json=options.json)
    return ExitCode.FINISHED


def show_benchmark(reader: StoreReader, run: Run, state: str, *, as_json: bool) -> None:
    """Print a benchmark's tables and its verdict, or one document for scripts."""
    bench = read_bench(reader, run)
    if as_json:
        say_json(run_json(run, state) | document(bench))
    else:
        say_bench(reader, bench, state)


def _found(reader: StoreReader, name: str) -> Run:
    run = reader.find(name)
    if run.kind != "benchmark":
        raise UsageError(
            f"{run.name} is of kind {run.kind}; `simclr-tui benchmark --of {run.id}` measures its settings, and "
            "`simclr-tui ls` names the benchmarks"
        )
    return run


def _make(options: argparse.Namespace, runs: Path) -> int:
    store = RunStore.open(runs)
    try:
        config = _config(store, options)
        check_plan(config)
        run_id = new_benchmark_run(store, config, name=options.name)
        child = start_run(store, run_id, in_line=options.queue)
        run = store.run(run_id)
        if options.no_wait and options.json:
            say_json({"id": run.id, "name": run.name, "pid": child.pid})
        elif options.no_wait:
            say(run.id)
            if sys.stdout.isatty():
                say(f"{run.name} is starting in the background; {_ways(run)}")
        if options.no_wait:
            return ExitCode.FINISHED
        if not options.json:
            say(f"{run.name} ({run.id}) runs in the background; {_ways(run)}")
    finally:
        store.close()
    return _follow(runs, run_id, child, as_json=options.json)


def _ways(run: Run) -> str:
    look, pause, stop = (f"`simclr-tui {verb} {run.id}`" for verb in ("benchmark", "pause", "stop"))
    return f"{look} or the dashboard shows it, {pause} pauses it, {stop} stops it"


def _config(store: RunStore, options: argparse.Namespace) -> BenchmarkConfig:
    """The settings of a new benchmark: those that all trials share, and what is varied."""
    shared = given(options, PretrainConfig)
    base, of = PretrainConfig(), ""
    if options.of and options.base_preset:
        raise UsageError("--of: the settings are that run's; leave --base out")
    if options.of:
        run = store.find(options.of)
        if run.kind not in TRAINED_KINDS:
            raise UsageError(f"--of: {run.name} is of kind {run.kind} and trains nothing; name a run that trains")
        base, of = PretrainConfig.from_json(run.config), run.id
    elif options.base_preset:
        base = load_preset(options.base_preset).config()
    values = _asked(options)
    taken = {"device", "threads"} - values.keys() if of or options.base_preset else set()
    values |= {name: getattr(base, name) for name in taken}
    return BenchmarkConfig(base=base_json(dataclasses.replace(base, **shared)), **values | {"of": of})


def _asked(options: argparse.Namespace) -> dict[str, Any]:
    """The settings of the benchmark itself that were given."""
    vary = " ".join(word for words in options.vary for word in words)
    values = {name: value for name, value in given(options, BenchmarkConfig).items() if name not in ("of", "vary")}
    return values | ({"vary": vary} if vary else {})


def _follow(runs: Path, run_id: str, child: subprocess.Popen[bytes], *, as_json: bool) -> int:
    """Say how far it is until it has ended, then what it found."""
    try:
        _watch(runs, run_id, is_quiet=as_json)
        with contextlib.suppress(subprocess.TimeoutExpired):  # one that was resumed meanwhile has another trainer
            child.wait(_RELEASE_SECONDS)
    except KeyboardInterrupt:
        with open_reader(runs) as reader:
            run = reader.run(run_id)
        print(f"\n{run.name} goes on in the background; {_ways(run)}", file=sys.stderr)  # noqa: T201
        return ExitCode.SIGINT
    with open_reader(runs) as reader:
        run = reader.run(run_id)
        state = run_state(run, runs)
        show_benchmark(reader, run, state, as_json=as_json)
        if state == "failed":
            raise TrainerError(f"{run.name} failed; {_failure(reader, run)}")
        return _code(state)


def _failure(reader: StoreReader, run: Run) -> str:
    errors = [event.message for event in reader.events(run_id=run.id) if event.level == "error"]
    return errors[-1] if errors else f"`simclr-tui show {run.id}` says why"


def _code(state: str) -> int:
    return {"paused": ExitCode.TRY_AGAIN, "failed": ExitCode.FAILED, "interrupted": ExitCode.FAILED}.get(
        state, ExitCode.FINISHED
    )


def _watch(runs: Path, run_id: str, *, is_quiet: bool) -> None:
    """One line that follows the turns; where the output is no terminal a line for each round."""
    is_live = sys.stdout.isatty() and not is_quiet
    said: int | None = None
    known, bench = BenchReader(run_id), None
    while True:
        with open_reader(runs) as reader:
            run = reader.run(run_id)
            state = run_state(run, runs)
            # Its statistics are made anew only where a row came: what follows must not disturb what is measured.
            fresh = None if is_quiet else known.read(reader, run)
        bench = fresh.bench if fresh is not None else bench
        if bench is not None and is_live:
            print(f"\r{_line(bench, state)}", end="", flush=True)  # noqa: T201
        elif bench is not None and bench.progress.round != said:
            said = bench.progress.round
            say(status_words(bench, state, time.time()))
        if state not in _NOT_OVER:
            break
        time.sleep(_POLL_SECONDS)
    if is_live:
        print()  # noqa: T201


def _line(bench: Bench, state: str) -> str:
    return fit(status_words(bench, state, time.time()), width() - 1)


def _apply(options: argparse.Namespace, runs: Path) -> int:
    store = RunStore.open(runs)
    try:
        bench = read_bench(store, _found(store, options.run))
        run = store.find(options.apply)
        found = offer(bench, run)
        refuse_anothers(run, options.owner)
        try:
            sentence, _ = apply(store, bench, run)
        except KeyboardInterrupt:
            said = f"`simclr-tui show {run.id}` says how far it got, and `simclr-tui resume {run.id}` goes on with it"
            print(f"\n{run.name} may have been asked to pause already; {said}", file=sys.stderr)  # noqa: T201
            return ExitCode.SIGINT
        if options.json:
            say_json(
                {"id": run.id, "name": run.name, "applied": dict(found.values), "fork_command": found.fork or None}
            )
            return ExitCode.FINISHED
        say(f"{sentence}; its result stays what it would have been")
        if bench.config.scale != 1:
            say(f"It was measured at scale {bench.config.scale:g}, so the gain at full size may be another.")
        if found.fork:
            say(f"{found.fork_changes} would be another experiment: {found.fork}")
        return ExitCode.FINISHED
    finally:
        store.close()
