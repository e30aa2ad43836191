"""MLflow, by its own client: a run with parameters, metrics with steps and times, tags and a status.

The tracking server is that of MLFLOW_TRACKING_URI, else a database of MLflow's own in the runs folder, since the folder
in which a background trainer happens to have been started is no place to look for it.
"""

import os
from collections.abc import Sequence
from typing import Any

from trainer.mirror.mark import Mark, Reached
from trainer.mirror.points import SAMPLED, Point
from trainer.mirror.sink import PROJECT, About, Sink

RUN_TAG = "simclr_tui.run_id"
LOCAL_STORE = "mlflow.db"

_STATUS = {"finished": "FINISHED", "failed": "FAILED", "paused": "SCHEDULED", "queued": "SCHEDULED"}
"""By the run's state; what is not named here was ended before its time, which MLflow calls KILLED."""

_MOST_METRICS, _MOST_PARAMS, _LONGEST_PARAM = 1000, 100, 6000
"""What MLflow takes at once (mlflow.utils.validation)."""

_TIMED = (*SAMPLED, "epochs", "evaluations")
"""Tables whose rows carry their own time, by which one is known again."""


class MlflowSink(Sink):
    """A run of MLflow."""

    def __init__(self) -> None:
        """Nothing is open yet."""
        self._client: Any = None
        self._run_id = ""
        self._held: dict[str, set[tuple[int | None, int | None]]] = {}
        """Steps and milliseconds of the values that are there, by metric: both, and either alone."""

    def open(self, about: About, mark: Mark) -> Reached:
        """Find the run by its tag, or make it.

        Raises:
            MlflowException: the server can't be reached, or refuses.
        """
        from mlflow.entities import Param
        from mlflow.tracking import MlflowClient

        uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{about.runs / LOCAL_STORE}"
        self._client = MlflowClient(tracking_uri=uri)
        experiment_id = _experiment(self._client, about)
        found = self._client.search_runs([experiment_id], f"tags.`{RUN_TAG}` = '{about.id}'", max_results=1)
        if found:
            self._run_id = found[0].info.run_id
            self._client.update_run(self._run_id, status="RUNNING")
        else:
            begun = int(1000 * about.created_at)
            made = self._client.create_run(
                experiment_id, start_time=begun, tags={RUN_TAG: about.id}, run_name=about.name
            )
            self._run_id = made.info.run_id
            params = [Param(name, str(value)[:_LONGEST_PARAM]) for name, value in about.settings.items()]
            for start in range(0, len(params), _MOST_PARAMS):
                self._client.log_batch(self._run_id, params=params[start : start + _MOST_PARAMS])
        self._label(about)
        self.where = f"run {self._run_id} of {uri}"
        return mark.reached if found and mark.own.get("run_id") == self._run_id else {}

    def _label(self, about: About) -> None:
        for tag in about.tags:
            self._client.set_tag(self._run_id, f"tag.{_plain(tag)}", "true")
        if about.note:
            self._client.set_tag(self._run_id, "mlflow.note.content", about.note)

    def has(self, point: Point) -> bool:
        """Whether the first value of the point is in MLflow; the values of a point are sent together."""
        first = next(iter(point.values), None)
        if first is None:
            return True
        if first not in self._held:
            found = [(one.step, one.timestamp) for one in self._client.get_metric_history(self._run_id, _plain(first))]
            self._held[first] = {key for step, at in found for key in ((step, at), (step, None), (None, at))}
        step = None if point.table in SAMPLED else point.step
        return (step, _milliseconds(point) if point.table in _TIMED else None) in self._held[first]

    def write(self, points: Sequence[Point]) -> None:
        """Batches as large as MLflow takes them; no point is in two of them."""
        from mlflow.entities import Metric

        batch: list[Any] = []
        for point in points:
            at = _milliseconds(point)
            metrics = [Metric(_plain(tag), value, at, point.step) for tag, value in point.values.items()]
            if len(batch) + len(metrics) > _MOST_METRICS:
                self._client.log_batch(self._run_id, metrics=batch)
                batch = []
            batch += metrics
        if batch:
            self._client.log_batch(self._run_id, metrics=batch)

    def sync(self, mark: Mark) -> None:
        """Note which run of MLflow the mark is of."""
        mark.own = {"run_id": self._run_id}

    def close(self, state: str) -> None:
        """Tell how the run ended."""
        self._client.set_tag(self._run_id, "simclr_tui.state", state)
        self._client.set_terminated(self._run_id, status=_STATUS.get(state, "KILLED"))


def _experiment(client: Any, about: About) -> str:
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or PROJECT
    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    if "MLFLOW_TRACKING_URI" in os.environ:
        return str(client.create_experiment(name))
    place = (about.runs / "mlflow-artifacts").as_uri()  # nothing is put there, and nothing is made elsewhere
    return str(client.create_experiment(name, artifact_location=place))


def _milliseconds(point: Point) -> int:
    return int(1000 * point.seconds)


def _plain(tag: str) -> str:
    """A tag in the letters that MLflow's names may have."""
    return "".join(letter if letter.isalnum() or letter in "_-./ :" else "_" for letter in tag)
