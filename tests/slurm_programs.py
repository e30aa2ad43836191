"""Stand-ins for Slurm's programs: small real ones on the PATH, which record what they are given.

They do what the originals do, as far as it is used here; docs/cluster.md says what was seen of those.
"""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

_COMMON = """\
#!/bin/bash
cd {folder} || exit 9
printf '%s\\0' "$@" >>"calls.${{0##*/}}"; printf '\\n' >>"calls.${{0##*/}}"
if [[ -e refuse.${{0##*/}} ]]; then cat "refuse.${{0##*/}}" >&2; exit 1; fi
"""

_SBATCH = """\
number=$(($(cat number) + 1)); echo $number >number
echo PENDING >"job.$number"
cp "${@: -1}" "script.$number"
env -0 >"environment.$number"
if [[ " $* " == *" --parsable "* ]]; then echo $number; else echo "Submitted batch job $number"; fi
"""

_SQUEUE = """\
for word; do [[ $word == --jobs=* ]] && number=${word#--jobs=}; done
if [[ $* == *--Format=PreemptTime* && -e job.$number ]]; then
  echo "$(cat "preempted.$number" 2>/dev/null || echo N/A) $(cat "job.$number")"
  exit
fi
cat "job.$number" 2>/dev/null || { echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1; }
"""

_SCANCEL = 'rm "job.${@: -1}"\n'

_SCONTROL = 'echo PENDING >"job.$2"\n'

# As srun: each task has its place, and the highest code of the tasks is the step's.
_SRUN = """\
tasks=1
while [[ $1 == --* ]]; do [[ $1 == --ntasks=* ]] && tasks=${1#*=}; shift; done
cd "$OLDPWD" || exit 9
for ((place = 0; place < tasks; place++)); do
  SLURM_PROCID=$place SLURM_LOCALID=$place SLURM_NTASKS=$tasks "$@" &
  pids+=($!)
done
echo "${pids[@]}" >FOLDER/tasks.new && mv FOLDER/tasks.new FOLDER/tasks
for pid in "${pids[@]}"; do wait "$pid"; code=$?; ((code > worst)) && worst=$code; done
exit $((worst))
"""

_PROGRAMS = {"sbatch": _SBATCH, "squeue": _SQUEUE, "scancel": _SCANCEL, "scontrol": _SCONTROL, "srun": _SRUN}


class Slurm:
    """The stand-ins, and what they were given."""

    def __init__(self, folder: Path) -> None:
        """Make the programs."""
        self.folder = folder
        self.bin = folder / "bin"
        self.bin.mkdir(parents=True)
        (folder / "number").write_text("1233")
        for name, text in _PROGRAMS.items():
            program = self.bin / name
            program.write_text(_COMMON.format(folder=folder) + text.replace("FOLDER", str(folder)))
            program.chmod(0o755)

    def calls(self, program: str) -> list[list[str]]:
        """The arguments of each call of a program."""
        file = self.folder / f"calls.{program}"
        lines = file.read_text().split("\0\n")[:-1] if file.exists() else []
        return [line.split("\0") for line in lines]

    def refuse(self, program: str, words: str) -> None:
        """Let a program end with 1 and these words from here on; none lets it do its work again."""
        file = self.folder / f"refuse.{program}"
        file.write_text(words) if words else file.unlink()

    def state(self, job: str) -> str:
        """Slurm's word for a job, "" for one that is not in the queue."""
        file = self.folder / f"job.{job}"
        return file.read_text().strip() if file.exists() else ""

    def set_state(self, job: str, state: str) -> None:
        """Let a job be in another state."""
        (self.folder / f"job.{job}").write_text(f"{state}\n")

    def preempt(self, job: str) -> None:
        """Take a job's machine for another one, and leave it the time that its partition grants."""
        (self.folder / f"preempted.{job}").write_text("2026-11-28T01:59:43\n")

    def script(self, job: str) -> Path:
        """What was submitted, as Slurm has it."""
        return self.folder / f"script.{job}"

    def begin(self, script: Path, job: str = "1234") -> subprocess.Popen[bytes]:
        """Start a job as Slurm does: the script's own options, its environment, in a session of its own."""
        (self.folder / "tasks").unlink(missing_ok=True)
        asked = dict(word.removeprefix("--").partition("=")[::2] for word in words_of(script.read_text()))
        folder = Path(asked["chdir"])
        environment = os.environ | {"SLURM_JOB_ID": job, "SLURM_CPUS_PER_TASK": asked["cpus-per-task"]}
        with filled_in(asked["output"], job).open("ab" if asked["open-mode"] == "append" else "wb") as log:
            return subprocess.Popen(
                ["bash", str(script)],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def signal_tasks(self, number: signal.Signals) -> None:
        """Send a signal to what srun has started, and to nothing else, as Slurm does for `--signal=USR1@300`."""
        for pid in (self.folder / "tasks").read_text().split():
            os.kill(int(pid), number)

    def wait_for_tasks(self, seconds: float = 30.0) -> None:
        """Until srun has started something."""
        deadline = time.monotonic() + seconds
        while not (self.folder / "tasks").exists():
            assert time.monotonic() < deadline, "srun was not called"
            time.sleep(0.02)


def filled_in(pattern: str, job: str) -> Path:
    """The path of a log as Slurm makes it: `%%` is a percent sign, `%j` the job, and a backslash is dropped."""
    found = re.sub("%(.)", lambda match: {"%": "%", "j": job}.get(match[1], ""), pattern.replace("\\", ""))
    return Path(found)


def words_of(script: str) -> list[str]:
    """The options in a script, by the rules of Slurm's `_get_argument` (src/sbatch/opt.c), letter by letter."""
    found: list[str] = []
    for line in script.splitlines():
        if line.strip() and not line.startswith("#"):
            break
        if line.startswith("#SBATCH"):
            found += _arguments(line.removeprefix("#SBATCH"))
    return found


def _arguments(text: str) -> list[str]:
    found: list[str] = []
    word, quote, is_escaped = "", "", False
    for letter in text + " ":
        if not quote and letter.isspace():  # also one that is escaped
            found += [word] if word else []
            word, is_escaped = "", False
        elif is_escaped:
            word, is_escaped = word + letter, False
        elif letter == "\\":
            is_escaped = True
        elif quote:
            quote, word = ("", word) if letter == quote else (quote, word + letter)
        elif letter in "\"'":
            quote = letter
        elif letter == "#":
            return found + ([word] if word else [])
        else:
            word += letter
    assert not quote, f"unmatched {quote} in {text}"
    return found


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Slurm:
    """A cluster that does nothing but remember."""
    made = Slurm(tmp_path / "slurm")
    monkeypatch.setenv("PATH", f"{made.bin}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    return made
