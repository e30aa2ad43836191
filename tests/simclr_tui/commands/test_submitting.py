"""`launch --slurm`, `resume --slurm` and what pausing and stopping do to a run in Slurm's queue."""

import json
from pathlib import Path

import pytest

from simclr_tui.actions import Actions
from simclr_tui.messages import ActionDone, ActionFailed
from tests.simclr_tui.commands.test_commands import call, sentence
from tests.simclr_tui.support import add_run
from tests.slurm_programs import Slurm, words_of
from trainer.config import PretrainConfig
from trainer.slurm.kept import kept_of, script_file
from trainer.state import run_state
from trainer.store import RunStore

DEMO = ("--preset", "demo")


def launch(runs: Path, *words: str) -> dict[str, str]:
    """A run in Slurm's queue, as `--json` says it."""
    done = call(runs, "launch", "--slurm", *DEMO, *words, "--json")
    assert done.returncode == 0, done
    found: dict[str, str] = json.loads(done.stdout)
    return found


def test_a_run_is_submitted_with_the_settings_of_its_machine(runs: Path, store: RunStore, slurm: Slurm) -> None:
    made = launch(
        runs, "--name", "first run", "--num-workers", "5", "--slurm-time", "8:00:00", "--slurm-option", "hold"
    )
    run = store.run(made["id"])
    assert made == {
        "id": run.id,
        "name": "first run",
        "job": "1234",
        "cluster": None,
        "script": str(script_file(runs, run.id)),
    }
    config = PretrainConfig.from_json(run.config)
    assert (config.threads, config.device) == (6, "cuda")
    asked = words_of(slurm.script("1234").read_text())
    assert {"--job-name=first run", "--cpus-per-task=6", "--gres=gpu:1", "--time=8:00:00", "--hold"} <= set(asked)
    assert run_state(run, runs) == "queued"
    assert "scancel 1234" in call(runs, "show", "first run").stdout
    assert f"Slurm's own queue, which `squeue --me` shows\n  {run.id}  first run" in call(runs, "queue").stdout


def test_what_it_would_submit_is_printed_and_nothing_is_made(
    runs: Path, slurm: Slurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = call(runs, "launch", "--slurm", *DEMO, "--slurm-partition", "gpu", "--dry-run")
    assert done.returncode == 0
    assert "--partition=gpu" in words_of(done.stdout)
    assert done.stdout.endswith("stands for the run's id. Leave --dry-run out to submit it.\n")
    assert not runs.exists()
    assert slurm.calls("sbatch") == []
    monkeypatch.setenv("PATH", "/nowhere")  # also where there is no cluster
    shown = json.loads(call(runs, "launch", "--slurm", *DEMO, "--dry-run", "--json").stdout)
    assert shown["sbatch"] == words_of(shown["script"])


def test_what_is_printed_is_called_as_the_run_will_be(runs: Path, slurm: Slurm) -> None:
    words = ("launch", "--slurm", "--dataset", "shapes", "--json")
    shown, made = (json.loads(call(runs, *words, *more).stdout) for more in (["--dry-run"], []))
    assert shown["name"] == made["name"] == "shapes-resnet18"
    assert "--job-name=shapes-resnet18" in words_of(shown["script"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--slurm-time", "8:00:00"], "--slurm-time: it says how a job of Slurm is made; add --slurm"),
        (["--slurm-option", "hold"], "--slurm-option: it says how a job of Slurm is made; add --slurm"),
        (["--slurm", "--queue"], "--queue: Slurm has a queue of its own"),
        (["--slurm", "--slurm-cpus", "0"], "--slurm-cpus: 0 is out of bounds; give 1 to 1024 cores"),
        (["--slurm", "--slurm-gpus", "3", "--batch-size", "64"], "--batch-size: 64 is no multiple of the 3 ranks"),
        (["--slurm", "--slurm-gpus", "2", "--restart", "1"], "--restart: the processes of several GPUs start"),
        (["--slurm", "--slurm-gpus", "1", "--device", "cpu"], "--slurm-gpus: --device cpu uses none; give 0"),
        (["--slurm", "--slurm-option", "wrap=x"], "--slurm-option 'wrap=x': the run's log and its going on"),
    ],
)
def test_what_can_not_be_asked_for_makes_no_run(
    runs: Path, store: RunStore, slurm: Slurm, words: list[str], said: str
) -> None:
    done = call(runs, "launch", *DEMO, *words)
    assert done.returncode == 2
    assert said in done.stderr
    assert (store.runs(), slurm.calls("sbatch")) == ([], [])


def test_without_sbatch_no_run_is_made(runs: Path, store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    done = call(runs, "launch", "--slurm", *DEMO)
    assert sentence(done, 2).startswith("--slurm: sbatch is not on the PATH; go to a machine of the cluster")
    assert store.runs() == []


def test_a_refused_run_is_submitted_again_by_resume_with_what_was_wrong_changed(
    runs: Path, store: RunStore, slurm: Slurm
) -> None:
    slurm.refuse("sbatch", "sbatch: error: invalid partition specified: gpu")
    done = call(runs, "launch", "--slurm", *DEMO, "--name", "first", "--slurm-partition", "gpu", "--slurm-qos", "long")
    assert done.returncode == 1
    assert "sbatch did not take first: invalid partition specified: gpu; `simclr-tui resume" in done.stderr
    slurm.refuse("sbatch", "")
    again = call(runs, "resume", "first", "--slurm", "--slurm-partition", "a100", "--num-workers", "1", "--json")
    assert again.returncode == 0, again
    assert {"--partition=a100", "--qos=long"} <= set(words_of(slurm.script("1234").read_text()))


def test_resume_asks_for_what_was_asked_before_but_for_what_is_given(runs: Path, store: RunStore, slurm: Slurm) -> None:
    made = launch(runs, "--name", "first", "--slurm-gpus", "a100:2", "--slurm-qos", "long", "--slurm-option", "hold")
    assert call(runs, "stop", "first").stdout == "first is stopped\n"
    assert call(runs, "resume", "first", "--slurm", "--slurm-time", "2-0", "--json").returncode == 0
    kept = kept_of(runs, made["id"])
    assert kept is not None
    asked = kept.asked
    assert (kept.job, asked.gpus, asked.qos, asked.time, asked.options) == ("1235", "a100:2", "long", "2-0", ("hold",))


def test_a_run_that_was_made_for_this_machine_is_submitted_with_its_settings(
    runs: Path, store: RunStore, slurm: Slurm
) -> None:
    run_id = add_run(store, "first", device="cpu", threads=3)
    done = call(runs, "resume", "first", "--slurm", "--slurm-gpus", "2")
    assert done.returncode == 2
    assert "--slurm-gpus: --device cpu uses none; give 0" in done.stderr
    assert call(runs, "resume", "first", "--slurm", "--json").returncode == 0
    assert not any("gres" in word for word in words_of(slurm.script("1234").read_text()))
    assert PretrainConfig.from_json(store.run(run_id).config).threads == 3


def test_a_waiting_run_is_paused_and_stopped_by_taking_it_out(runs: Path, store: RunStore, slurm: Slurm) -> None:
    launch(runs, "--name", "first")
    done = call(runs, "resume", "first")
    assert done.returncode == 2
    assert "first waits in Slurm's queue as job 1234, and `scancel 1234` takes it out" in done.stderr
    assert call(runs, "pause", "first").stdout == "first is paused\n"
    assert slurm.calls("scancel") == [["1234"]]
    done = call(runs, "resume", "first")
    assert done.returncode == 2
    assert "first trains under Slurm; `simclr-tui resume" in done.stderr


def test_a_waiting_run_is_neither_put_away_nor_packed(runs: Path, store: RunStore, slurm: Slurm) -> None:
    launch(runs, "--name", "first")
    assert "take it out of the line with pause or stop first" in sentence(call(runs, "rm", "first"), 2)
    assert "first is queued" in sentence(call(runs, "export", "first", "--to", "archive"), 2)


def test_the_dashboard_takes_waiting_runs_out_and_submits_them_again(runs: Path, store: RunStore, slurm: Slurm) -> None:
    ids = [launch(runs, "--name", name)["id"] for name in ("first", "second", "third")]
    posted: list[object] = []
    actions = Actions(runs, posted.append)
    actions.stop(ids[0])
    actions.group("pause", ids[1:])
    assert [run_state(store.run(run_id), runs) for run_id in ids] == ["stopped", "paused", "paused"]
    assert slurm.calls("scancel") == [["1234"], ["1235"], ["1236"]]
    actions.resume(ids[1])
    actions.resume(ids[1])
    actions.group("resume", [ids[0], ids[2]])
    assert [run_state(store.run(run_id), runs) for run_id in ids] == ["queued"] * 3
    assert len(slurm.calls("sbatch")) == 6
    assert [type(one) for one in posted] == [ActionDone, ActionDone, ActionDone, ActionFailed, ActionDone]
    sentences = [one.sentence for one in posted if isinstance(one, ActionDone | ActionFailed)]
    assert sentences[0] == "first is out of Slurm's queue, where it was job 1234"
    assert sentences[2] == "second waits in Slurm's queue as job 1237"
    assert sentences[3] == "second waits in Slurm's queue as job 1237, and `scancel 1237` takes it out"


def test_a_sweep_is_a_job_each_and_what_is_submitted_is_said_when_one_is_refused(
    runs: Path, store: RunStore, slurm: Slurm
) -> None:
    done = call(runs, "launch", "--slurm", *DEMO, "--sweep", "seed=1..3", "--slurm-cpus", "2", "--json")
    assert done.returncode == 0, done
    made = json.loads(done.stdout)
    assert [one["job"] for one in made["runs"]] == ["1234", "1235", "1236"]
    assert {PretrainConfig.from_json(run.config).threads for run in store.runs()} == {2}
    slurm.refuse("sbatch", "sbatch: error: QOSMaxSubmitJobPerUserLimit")
    done = call(runs, "launch", "--slurm", *DEMO, "--sweep", "seed=1..3")
    assert done.returncode == 1
    assert "0 of 3 runs are submitted; sbatch did not take" in done.stderr
    assert "QOSMaxSubmitJobPerUserLimit" in done.stderr
