"""Reading what evaluations found out about a run's representation, each poll only what is new."""

from collections.abc import Sequence
from pathlib import Path

from simclr_tui.embedding import EmbeddingMap, MapError, parse_map
from simclr_tui.findings import Findings
from simclr_tui.keys import key
from simclr_tui.model import Baseline, Learning
from trainer.evaluation.names import SAME_DATA
from trainer.store.reader import StoreReader
from trainer.store.records import Artifact, Evaluation, Run
from trainer.stored_settings import settings_of


class LearningReader:
    """What is known of one run as far as it was read."""

    def __init__(self, run_id: str) -> None:
        """Args: the run; nothing is read yet."""
        self.run_id = run_id
        self._evaluations: list[Evaluation] = []
        self._findings = Findings()
        self._artifacts: list[Artifact] = []
        self._map_row: Artifact | None = None
        self._embedding: EmbeddingMap | None = None
        self._problem = ""
        self._last: Learning | None = None

    def read(self, reader: StoreReader, run: Run, runs: Sequence[Run]) -> Learning | None:
        """What is known of the run if any of it is new. Reads only.

        Args:
            reader: the store.
            run: the run itself.
            runs: all runs, among which are the supervised ones that it is compared with.
        """
        evaluations = reader.evaluations(self.run_id)
        if evaluations != self._evaluations:
            self._evaluations, self._findings = evaluations, Findings.of(evaluations)
            for study in self._findings.studies:
                if study.way in ("labels", "finetune"):
                    _ = study.curves  # here, since its intervals import SciPy, which the screen should not wait for
        self._artifacts = reader.artifacts(self.run_id)
        self._read_map(reader.runs_path)
        learning = Learning(
            run_id=self.run_id,
            findings=self._findings,
            artifacts=tuple(self._artifacts),
            embedding=self._embedding,
            problem=self._problem,
            baselines=tuple(baselines(reader, run, runs)),
        )
        if self._last is not None and learning == self._last:
            return None
        self._last = learning
        return learning

    def _read_map(self, runs: Path) -> None:
        """Parse the newest map, but only when its row has changed."""
        row = next((one for one in self._artifacts if one.kind == "map"), None)
        if row == self._map_row:
            return
        self._map_row, self._embedding, self._problem = row, None, ""
        if row is None:
            return
        try:
            self._embedding = parse_map((runs / row.path).read_bytes())
        except OSError as error:
            self._problem = (
                f"{row.path} can't be read ({error.strerror}); {key('e', 'learning.evaluate')} makes the map again"
            )
        except MapError as error:
            self._problem = (
                f"{row.path} can't be shown, since {error}; {key('e', 'learning.evaluate')} makes the map again"
            )


def baselines(reader: StoreReader, run: Run, runs: Sequence[Run]) -> list[Baseline]:
    """The supervised runs on the same images, with the accuracy of their own classifier at their last scored step."""
    settings = settings_of(run)
    found = []
    for other in runs:
        if other.kind != "supervised" or other.id == run.id:
            continue
        config = settings_of(other)
        if any(config.get(name) != settings.get(name) for name in SAME_DATA):
            continue
        scored = [row for row in reader.evaluations(other.id) if row.protocol == "classifier" and not row.dataset]
        if scored:
            last = max(scored, key=lambda row: row.step)
            found += [Baseline(other.name, last.top1)] if last.top1 is not None else []
    return found
