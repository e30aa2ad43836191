"""What a person needs to look at a step whose loss or gradient was not finite: its images, in a file."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

from trainer.durable import write_durably
from trainer.loader import ViewLoader
from trainer.paths import run_dir
from trainer.store.records import StepRow


@dataclass(frozen=True, slots=True)
class BadStep:
    """Writes `nonfinite-step-N.json` into a run's folder, and the sentence that names it."""

    runs: Path
    run_id: str
    loader: ViewLoader
    split: str
    """Name of the split that is trained on, whose images the indices count."""

    def explain(self, row: StepRow, figures: dict[str, float]) -> str:
        """What is told of a step; a file that can't be written is left out of it.

        Args:
            row: the step.
            figures: its metrics as they were computed, NaN and infinity among them.
        """
        per_epoch = self.loader.steps_per_epoch()
        batch = row.step - (row.epoch - 1) * per_epoch
        images = self.loader.indices(row.epoch, batch - 1).tolist()
        where = f"epoch {row.epoch}, batch {batch} of {per_epoch}, learning rate {row.lr:.3g}"
        what = f"loss {figures['loss']:.3g} with gradient norm {figures['grad_norm']:.3g} at step {row.step} ({where})"
        path = run_dir(self.runs, self.run_id) / f"nonfinite-step-{row.step}.json"
        document = {
            "run_id": self.run_id,
            "step": row.step,
            "epoch": row.epoch,
            "batch": batch,
            "learning_rate": row.lr,
            # JSON has no NaN and no infinity.
            "figures": {name: value if math.isfinite(value) else str(value) for name, value in figures.items()},
            "split": self.split,
            "images": images,
        }
        try:
            write_durably(path, json.dumps(document, indent=1).encode())
            listed = f"its {len(images)} images are listed in {path}"
        except OSError as error:
            listed = f"its {len(images)} images could not be listed in {path} ({error.strerror})"
        return (
            f"{what}, which changed no weight; {listed}, and `simclr-tui show {self.run_id} --replay {row.step}` runs "
            "it again; lower --learning-rate or raise --temperature, then launch a new run"
        )
