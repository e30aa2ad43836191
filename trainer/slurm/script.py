"""The batch script of a run: what Slurm runs on the machine that it chooses, at first and after each requeueing."""

import shlex
import sys
from pathlib import Path

from trainer.errors import UsageError
from trainer.quote import quoted
from trainer.slurm.job import SlurmJob

KILLED_BY_USR1 = 138
"""How srun ends where the signal came before the trainer could answer it: 128 and the signal's number."""

_TEXT = """\
#!/bin/bash
{directives}
# Made by `simclr-tui launch --slurm`; docs/cluster.md explains it. `sbatch` with this file goes on with the run.

python={python}
runs={runs}
run={run}

if [[ ! -d $runs/$run ]]; then
  echo "slurm: $runs/$run is not on $(hostname); name a --runs-dir that all machines see, unless the run was deleted"
  exit 2
fi

# At a preemption or `scancel` Slurm sends SIGTERM, which the trainer answers: this shell stays to see how it ends.
# A handler and not '', since a program would inherit that it is ignored.
trap : TERM
{preparation}
# Slurm's SIGUSR1 goes to what srun starts. --run, since the run is made: one that was deleted must not begin anew.
srun {srun} \\
  {program} \\
  --runs-dir "$runs" --run "$run" --requeue
code=$?

case $code in
  # 75: saved and ended, or not now. 138: the signal came before the trainer was up. 143: ended by SIGTERM.
  75 | {killed} | 143) exec "$python" -m trainer.slurm.requeue --runs-dir "$runs" --run "$run" --code "$code" ;;
esac
exit "$code"
"""

_RANKS = """\

# Each process is a rank of its own: Slurm's signal and exit codes reach it without a launcher between.
port=$((10000 + SLURM_JOB_ID % 20000))
# shellcheck disable=SC2016  # expanded in each process
rank='export RANK=$SLURM_PROCID LOCAL_RANK=$SLURM_LOCALID WORLD_SIZE=$SLURM_NTASKS LOCAL_WORLD_SIZE=$SLURM_NTASKS
export MASTER_ADDR=127.0.0.1 MASTER_PORT=$0
exec "$@"'
"""


def script(job: SlurmJob, *, name: str, folder: Path, runs: Path, run_id: str, is_supervised: bool = False) -> str:
    """The text of a run's batch script.

    Args:
        job: what it asks for.
        name: of the run.
        folder: the run's own.
        runs: the runs folder.
        run_id: the run.
        is_supervised: whether a supervisor starts its trainer again after a crash.

    Raises:
        UsageError: a path can't be written into a script, or one of several processes would be started again.
    """
    if is_supervised and job.ranks > 1:
        raise UsageError("--restart: the processes of several GPUs start again together or not at all; leave it out")
    module = "trainer.supervise" if is_supervised else "trainer.run"
    program = f'"$python" -m {module}'
    options = [f"--ntasks={job.ranks}", '--cpus-per-task="$SLURM_CPUS_PER_TASK"', "--kill-on-bad-exit=0"]
    if job.ranks > 1:
        program = f'bash -c "$rank" "$port" {program}'
        # One that is lost is noticed by the others; should one hang at its end, it does not hold the machine.
        options.append("--wait=300")
    for path in (sys.executable, str(runs), str(folder)):
        _check_path(path)
    if "\\" in str(folder):
        raise UsageError(f"{quoted(str(folder))} has a backslash, which sbatch would drop; choose another --runs-dir")
    return _TEXT.format(
        directives="\n".join(f"#SBATCH {directive(word)}" for word in job.directives(name, folder)),
        python=shlex.quote(sys.executable),
        runs=shlex.quote(str(runs)),
        run=shlex.quote(run_id),
        preparation=_RANKS if job.ranks > 1 else "",
        srun=" ".join(options),
        program=program,
        killed=KILLED_BY_USR1,
    )


def directive(word: str) -> str:
    """A word as sbatch reads it from a line of the script.

    In double quotes, since only within them a blank and `#` are a part of the word; a backslash escapes the next
    character (`_get_argument` in Slurm's src/sbatch/opt.c).
    """
    if word and all(letter.isalnum() or letter in "-_./=:,@+" for letter in word):
        return word
    escaped = word.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _check_path(path: str) -> None:
    if not path.isprintable():  # a line break, or bytes that are no UTF-8
        raise UsageError(f"{quoted(path)} can't be written into a batch script; choose a path of printable characters")
