"""Benchmarks with rows made by hand, whose figures are known."""

import json
from collections.abc import Collection

from trainer.benchmark_config import BenchmarkConfig
from trainer.lab.trials import plan
from trainer.store.runs import RunStore

FAILED = "--num-workers: 12 workers need 900 MiB of /dev/shm, where 64 MiB are free; take fewer workers"
SPEEDS = (400.0, 404.0, 800.0, 200.0)
"""Images per second of the trials, in turn: the second as good as the first, the third twice as fast."""
_BEGUN = 1_700_000_000.0


def add_benchmark(
    store: RunStore,
    name: str,
    config: BenchmarkConfig,
    *,
    rounds: int,
    failed: Collection[int] = (),
    lifecycle: str | None = "finished",
) -> str:
    """A benchmark on a CPU with so many rounds; its id."""
    run_id = store.create_run(kind="benchmark", name=name, config=config.to_json())
    trials = plan(config, on_cuda=False)
    at = _BEGUN
    for number in range(rounds + 1):
        for trial in trials:
            at += 2
            row = {"run_id": run_id, "trial": trial.number, "round": number, "name": trial.name, "at": at}
            row |= {"settings": json.dumps(trial.settings), "steps": 20}
            if trial.number in failed:
                if number == 0:
                    store.put_trial(row | {"error": FAILED})
                continue
            store.put_trial(row | ({"warmup_seconds": 2.5} if number == 0 else _figures(trial.number, number)))
    turns = rounds * (len(trials) - len(failed))
    store.update_run(run_id, device="CPU (x86_64)", step=turns, total_steps=turns)
    store.event(run_id, "benchmark-machine", "CPU (x86_64); 2 cores")
    if lifecycle:
        store.lifecycle(run_id, lifecycle, f"{lifecycle} by a test")
    return run_id


def _figures(trial: int, number: int) -> dict[str, float]:
    """Of a round; the wobble is the same for trials of one speed, and its sign changes from round to round."""
    speed = SPEEDS[(trial - 1) % len(SPEEDS)] * (1 + 0.02 * (-1) ** (number + trial) * (number % 3))
    return {
        "t_batch": 256 / speed,
        "t_batch_next": 250 / speed,
        "t_data": 0.003,
        "t_data_next": 0.002,
        "t_epoch": 5500 / speed,
        "t_epoch_next": 5000 / speed,
        "images_per_second": speed,
        "gpu_util": 93.0,
        "idle": 0.02,
        "host_memory_bytes": 1 << 30,
    }
