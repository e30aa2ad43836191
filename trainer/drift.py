"""Other settings for a run that exists: free ones at once, others only where a person names them.

A change that was accepted is written into the manifests of the run's checkpoints first, with the settings that they
were made with kept beside it (`was`), and then into the store: whatever ends the process in between, the checkpoints
fit the settings that the store has.
"""

import dataclasses
import difflib
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from trainer.changes import Way, as_options, changed_results, changed_values, described, rate_change, rule_of, shown
from trainer.config import PretrainConfig
from trainer.durable import write_durably
from trainer.errors import ConfigError, StoreError, UsageError
from trainer.exactness import Exactness
from trainer.manifest import manifest_paths
from trainer.paths import run_dir
from trainer.quote import quoted
from trainer.seal import is_intact, sealed
from trainer.settings import fields_of
from trainer.store.labels import refuse_trashed
from trainer.store.records import TRAINED_KINDS, Run
from trainer.store.runs import RunStore

ACCEPTED = "settings-accepted"
"""Kind of the event of a change that can change the result; it has the step after which it holds."""


def change_settings(store: RunStore, run: Run, changes: Mapping[str, Any], accept: Collection[str] = ()) -> Run:
    """Give a run that is not alive other settings. Commits.

    Args:
        store: the store.
        run: the run; it is read again by the caller's trainer.
        changes: settings by name; one that has its value already is no change.
        accept: the names of those that may change the result.

    Returns:
        The run as it is now.

    Raises:
        ConfigError: a setting could change the result and was not accepted, or its value is wrong.
        UsageError: the run is a job that has no such settings, or is in the trash.
        StoreError: a checkpoint's manifest can't be written.
    """
    refuse_trashed(store, run)
    if run.kind not in TRAINED_KINDS:
        if changes or accept:
            raise UsageError(f"{run.name} is of kind {run.kind} and takes no settings; leave them out")
        return run
    accepted = _accepted(changes, accept)
    before = PretrainConfig.from_json(run.config)
    changed = changed_values(before, changes)
    if not changed:
        return run
    after = dataclasses.replace(before, **changed)
    results = [field.name for field in changed_results(before, after)]
    at_step = newest_step(store, run)
    if results and run.lifecycle == "finished":
        fork = f"`simclr-tui fork {run.id} {as_options(after, changed_results(before, after))}`"
        raise ConfigError(results[0], f"{run.name} is finished and stays what it is; {fork} makes a child run of it")
    for name in results:
        if name not in accepted or rule_of(name, before).way is not Way.ACCEPT:
            raise _refusal(run, before, after, name, at_step)
    free = [name for name in changed if name not in results]
    messages = [f"settings changed: {described(before, after, free)}"] if free else []
    if not results:
        store.update_and_tell(run.id, "settings", messages[0], config=after.to_json())
        return store.run(run.id)
    _refuse_nothing_left(store, run, after)
    _refuse_steps_of_their_own(store, run, results[0], at_step)
    _rewrite_manifests(store.runs_path, run, after)
    words = described(before, after, results)
    rate = rate_change(before, after, step=at_step, steps_per_epoch=run.steps_per_epoch)
    told = f"settings changed after step {at_step:,}: {words}" + (f" ({rate})" if rate else "")
    columns = {"config": after.to_json(), **_exactness(run, words, at_step)}
    store.update_and_tell(run.id, ACCEPTED, "; ".join([told, *messages]), level="warning", step=at_step, **columns)
    return store.run(run.id)


def newest_step(store: RunStore, run: Run) -> int:
    """The step of the newest checkpoint that was announced, or 0."""
    return max((row.step for row in store.checkpoints(run.id)), default=0)


def _accepted(changes: Mapping[str, Any], accept: Collection[str]) -> set[str]:
    """The names that were accepted, as settings are spelt.

    Raises:
        ConfigError: one is no setting, or its new value is missing.
    """
    known = {field.name: field for field in fields_of(PretrainConfig)}
    found = set()
    for word in accept:
        name = word.strip().removeprefix("--").replace("-", "_")
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            raise ConfigError(
                "accept", f"{quoted(word)} is no setting; {f'did you mean {close[0]}?' if close else 'see --help'}"
            )
        if name not in changes:
            raise ConfigError("accept", f"the new value of {name} is missing; give {known[name].option} too")
        found.add(name)
    return found


def _refusal(run: Run, before: PretrainConfig, after: PretrainConfig, name: str, at_step: int) -> ConfigError:
    """Why a setting is not changed just like that, and every way that there is."""
    rule = rule_of(name, before)
    fields = changed_results(before, after)
    field = next(field for field in fields if field.name == name)
    reason = f"{run.name} was made with {shown(getattr(before, name))}, and another value would change its result"
    if rule.way is Way.NEVER:
        return ConfigError(name, f"{reason}, since {rule.why}; leave it out, or launch a new run")
    if rule.way is not Way.ACCEPT:
        fresh = " --fresh-optimizer" if rule.way is Way.OPTIMIZER else ""
        fork = f"`simclr-tui fork {run.id} {as_options(after, fields)}{fresh}`"
        return ConfigError(name, f"{reason}, since {rule.why}; leave it out, or make a child run with {fork}")
    alone = dataclasses.replace(before, **{name: getattr(after, name)}) if len(fields) == 1 else after
    rate = rate_change(before, alone, step=at_step, steps_per_epoch=run.steps_per_epoch)
    options = as_options(after, fields)
    accept = " ".join(f"--accept {one.name}" for one in fields)
    ways = (
        f"leave it out, make a child run with `simclr-tui fork {run.id} {options}`, or change this run from here on "
        f"with `simclr-tui resume {run.id} {accept} {options}`"
    )
    return ConfigError(field.name, f"{reason}{f' ({rate})' if rate else ''}; {ways}")


def _refuse_nothing_left(store: RunStore, run: Run, after: PretrainConfig) -> None:
    """See that the run does not end before the place that it has reached.

    Raises:
        ConfigError: its newest checkpoint is in a later epoch.
    """
    reached = max((row.epoch for row in store.checkpoints(run.id)), default=0)
    if after.epochs < reached:
        raise ConfigError(
            "epochs",
            f"{run.name} is in epoch {reached:,} already, so that {after.epochs:,} leave nothing to train; give "
            f"{reached:,} or more, or fork it from one of those that `simclr-tui checkpoints {run.id}` lists",
        )


def _refuse_steps_of_their_own(store: RunStore, run: Run, name: str, at_step: int) -> None:
    """See that no step was logged after the newest checkpoint: it would be taken again, and be another one.

    Raises:
        ConfigError: some were.
    """
    last = store.last_step(run.id)
    if last > at_step:
        raise ConfigError(
            name,
            f"steps {at_step + 1:,} to {last:,} of {run.name} were logged with the old settings after its newest "
            f"checkpoint, and nothing that was logged is replaced; make a child run with `simclr-tui fork {run.id}`, "
            "or resume it as it is and pause it first",
        )


def _rewrite_manifests(runs: Path, run: Run, after: PretrainConfig) -> None:
    """Make the checkpoints those of the new settings, and keep in them what they were made with.

    All of them, since the newest may turn out to be damaged. One that is not as it was written stays as it is.
    """
    text = after.to_json()
    try:
        paths = manifest_paths(run_dir(runs, run.id))
        for path in paths:
            manifest = _intact(path)
            if manifest is None or manifest.get("config") == text:
                continue
            was = [one for one in manifest.get("was", []) if one != text]
            manifest = sealed(manifest | {"config": text, "was": [*was, manifest.get("config")]})
            write_durably(path, json.dumps(manifest, indent=1, sort_keys=True).encode())
    except OSError as error:
        raise StoreError(
            f"{error.filename or run_dir(runs, run.id)} can't be written ({error.strerror}), so {run.name} keeps its "
            "settings; free some space and try again"
        ) from error


def _intact(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and is_intact(found) else None


def _exactness(run: Run, words: str, at_step: int) -> dict[str, Any]:
    """The columns that say what is promised of a run whose settings were changed: no bit of what it would have been.

    What is run again after a later crash is promised as before, since both times have the new settings.
    """
    if run.fingerprint is None:
        return {}
    before = Exactness.from_json(run.fingerprint)
    after = before.changed(before.facts, [words], after=at_step, stored_to=at_step)
    return {"fingerprint": after.to_json(), "exactness": after.verdict()}
