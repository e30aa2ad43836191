"""What is said in the place of a curve."""

from simclr_tui.charts.drawn import Drawn
from simclr_tui.charts.reasons import no_knn, no_steps
from simclr_tui.learning.verdict import learning_line
from simclr_tui.model import Curves, RunRow
from tests.simclr_tui.compare_runs import make_run
from trainer.store.series import Point


def test_steps_without_a_figure_are_not_said_to_be_none() -> None:
    row = RunRow(make_run("exploded", lifecycle="failed"), "failed", 0)
    assert no_steps([Drawn(row, Curves(run_id=row.run.id))]) == "no step was taken"
    stepped = Curves(run_id=row.run.id, steps={"t_batch": (Point(1, 20, 0.1, 0.1, 0.1, 0.1),)})
    assert no_steps([Drawn(row, stepped)]) == "no step has such a figure"


def test_of_a_run_that_is_not_read_yet_nothing_is_said_to_be_missing() -> None:
    row = RunRow(make_run("far"), "stopped", 0)
    unread = Curves(run_id=row.run.id, is_read=False)
    assert {no_steps([Drawn(row, unread)]), no_knn([Drawn(row, unread)])} == {"reading the store"}
    assert learning_line(row, unread) == ["reading the store"]
    assert learning_line(row, Curves(run_id=row.run.id)) == ["nothing measured yet"]
