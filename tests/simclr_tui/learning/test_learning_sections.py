"""What each section of the learning screen says, without a screen."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.content import Content

from simclr_tui.charts.curves import CurveReader
from simclr_tui.learning import accuracy, files, health, invariance, labels, map_words
from simclr_tui.learning.look import Look, evaluations_going_on
from simclr_tui.learning.reader import LearningReader
from simclr_tui.learning.sections import SECTIONS, TEXTS
from simclr_tui.model import Learning, RunRow
from tests.simclr_tui.learning_store import add_studied_run, put_health
from tests.simclr_tui.support import add_run
from trainer.augment import AugmentRecipe
from trainer.evaluate_config import WAYS, EvaluateConfig
from trainer.evaluation.invariance_draws import is_trained_with
from trainer.evaluation.names import AUGMENTATIONS
from trainer.paths import RUNS_DIR_VARIABLE
from trainer.presets import load_preset, preset_names
from trainer.store.runs import RunStore


def look_at(store: RunStore, run_id: str) -> Look:
    run = store.run(run_id)
    curves = CurveReader(run_id).read(store, run, 1000)
    learning = LearningReader(run_id).read(store, run, store.runs())
    assert curves is not None
    assert learning is not None
    return Look(row=RunRow(run, "finished", 1), curves=curves, learning=learning, runs=store.runs_path)


@pytest.fixture
def look(runs: Path) -> Look:
    run_id = add_studied_run(runs)
    store = RunStore.open(runs)
    found = look_at(store, run_id)
    store.close()
    return found


@pytest.fixture
def bare(runs: Path) -> Look:
    """A run that nobody has evaluated."""
    store = RunStore.open(runs)
    found = look_at(store, add_run(store, "bare", steps=46))
    store.close()
    return found


def lines(content: Content) -> list[str]:
    return [line.rstrip() for line in content.plain.splitlines()]


@pytest.mark.parametrize("width", [71, 75])
@pytest.mark.parametrize("name", ["health", "accuracy", "invariance"])
def test_tables_are_no_wider_than_they_are_told(look: Look, name: str, width: int) -> None:
    rows = lines(TEXTS[name](look, width))
    tables = [row for row in rows if row.count("  ") > 3]
    assert len(tables) > 5
    assert all(len(row) <= width for row in tables), max(tables, key=len)


def test_the_verdict_has_its_sign_its_rule_and_the_figures_behind_it(look: Look) -> None:
    text = health.body(look, 75).plain
    assert text.startswith("✓ learned normally\nrule: normal (docs/health.md")
    (rank,) = [line for line in lines(health.body(look, 75)) if line.startswith("rank of z")]
    assert "94 of " in rank
    assert "▁" in rank
    assert "█" in rank
    assert rank.endswith("may be collapse")
    assert "below chance, 5.54" in text
    assert health.digest(look).plain == "✓ learned normally"


@pytest.mark.parametrize(("level", "sign"), [("unsure", "·"), ("warning", "▲"), ("sick", "✖")])
def test_every_level_has_a_sign_of_its_own(runs: Path, level: str, sign: str) -> None:
    store = RunStore.open(runs)
    run_id = add_run(store, "ill", steps=46)
    put_health(store, run_id, level, "something is said", "some-rule")
    assert health.digest(look_at(store, run_id)).plain == f"{sign} something is said"
    store.close()


def test_without_a_verdict_it_says_when_there_will_be_one(bare: Look) -> None:
    live = replace(bare, row=replace(bare.row, state="running"))
    assert "no verdict yet; the trainer gives one at the end of each epoch" in health.body(live, 75).plain
    assert "the embeddings are not measured yet" in health.body(live, 75).plain


def test_layers_are_a_table_with_gaps_and_what_it_says(look: Look) -> None:
    rows = lines(accuracy.body(look, 75))
    assert rows[0] == "accuracy, %  step 345 · 1,500 drawn test images"
    assert rows[1].split() == ["features", "kNN", "linear", "train", "gap"]
    h = next(row for row in rows if row.startswith("h, the encoder"))
    assert h.split()[-4:] == ["▸76.1", "▸78.9", "85.2", "6.3"]
    assert "h is 14.9 points above z: what the head throws away" in rows
    assert "h is 33.9 points above the untrained encoder: what the training is worth" in rows
    at = rows.index("transfer to cifar10, accuracy, %  step 345 · 1,500 test images")
    assert any("▸73.9" in row for row in rows[at:])
    assert accuracy.digest(look).plain == "h 78.9, z 64.0, untrained 45.0 % (linear)"


def test_another_step_has_figures_of_its_own(look: Look) -> None:
    earlier = replace(look, step=230)
    assert accuracy.digest(earlier).plain.startswith("h 68.9")
    assert "no invariance of the layers at step 230 yet" in invariance.body(earlier, 75).plain
    assert earlier.embedding is None


def test_labels_are_a_chart_with_intervals_and_the_supervised_run_across_it(look: Look) -> None:
    data = labels.chart(look)
    assert data.x_log
    assert list(data.x_ticks) == [10, 50, 500]
    assert [(round(value, 1), label) for value, label in data.levels] == [(73.3, "teacher 73.3")]
    assert len({line.sign for line in data.lines}) == len(data.lines)
    linear = next(line for line in data.lines if line.samples[0].value == pytest.approx(60))
    assert linear.points
    assert linear.samples[0].low < 60 < linear.samples[0].high
    assert linear.samples[-1].low == linear.samples[-1].high, "one draw has no interval"


def test_the_labels_table_has_mean_and_interval(look: Look) -> None:
    rows = lines(labels.body(look, 75))
    assert rows[1].split() == ["labels", "per", "class", "10", "50", "500"]
    (row,) = [row for row in rows if " h linear " in row]
    assert row.split()[-3:] == ["60.0±5.0", "70.0±5.0", "80.0"]
    assert any(row.endswith("75.0") and "h tuned" in row for row in rows)
    assert "╌ supervised run teacher: 73.3" in rows


@pytest.mark.parametrize(("most", "kept"), [(6, [1, 2, 3, 4, 5, 6]), (3, [1, 3, 6]), (1, [1]), (0, [1])])
def test_where_room_is_short_numbers_in_the_middle_are_left_out(most: int, kept: list[int]) -> None:
    assert labels._fitting([1, 2, 3, 4, 5, 6], most) == kept


def test_invariance_is_told_in_a_sentence_over_what_the_run_was_trained_with(look: Look) -> None:
    assert invariance.digest(look).plain == "z tells clearly less than h about 7 of 8 augmentations"
    rows = lines(invariance.body(look, 75))
    (hue, varied) = [row for row in rows if row.startswith("hue")]
    assert [word for word in hue.split() if word[0].isdigit()] == ["0.80", "0.60", "0.15", "0.40", "0.55"]
    assert "0.08" in varied
    assert any(row.startswith("rotation *") for row in rows)
    plain = replace(look, row=replace(look.row, run=replace(look.row.run, config='{"blur_probability": 0}')))
    assert invariance.digest(plain).plain == "z tells clearly less than h about 6 of 7 augmentations"


def test_a_difference_that_may_be_noise_is_not_counted(look: Look) -> None:
    study = look.study("invariance")
    assert study is not None
    near = {"hue": 0.51, "blur": 0.49}
    rows = [
        replace(row, value=near.get(row.protocol.removeprefix("tells-"), row.value)) if row.layer == "z" else row
        for row in study.rows
    ]
    assert study.values("tells-")["hue", "h"] == 0.55
    assert invariance.sentence(look, replace(study, rows=rows)).endswith("about 6 of 8 augmentations")


@pytest.mark.parametrize("changes", [{}, {"blur_sigma_min": 2.0}, {"blur_kernel": 1}, {"crop_scale_min": 1.0}])
@pytest.mark.parametrize("preset", preset_names())
def test_invariance_is_over_the_augmentations_that_the_trainer_takes(
    look: Look, preset: str, changes: dict[str, Any]
) -> None:
    config = load_preset(preset).config(**changes, **({"blur_sigma_max": 2.0} if changes else {}))
    looked_at = replace(look, row=replace(look.row, run=replace(look.row.run, config=config.to_json())))
    recipe = AugmentRecipe.from_config(config)
    for name in AUGMENTATIONS:
        assert invariance.is_trained_with(looked_at, name) == is_trained_with(name, recipe), name


def test_the_map_is_told_with_its_neighbours_and_its_legend(look: Look) -> None:
    assert map_words.digest(look).plain == "60 images, t-SNE; 67 % of neighbours alike"
    drawn = look.embedding
    assert drawn is not None
    assert lines(map_words.legend(drawn, 20, 10)) == [
        "c cat             20",
        "a car             20",
        "o cow             20",
    ]
    assert lines(map_words.legend(drawn, 20, 2))[-1] == "and 2 more"
    said = lines(map_words.about(drawn, drawn.points[0], 1, 4))
    assert said == [
        "c cat · image 100 of test · 1 of 4 here, space shows the next",
        "nearest in train: cat 0.97, cat 0.90, car 0.50",
        "2 of 3 are of its class",
    ]
    untold = map_words.about(drawn, drawn.points[0]._replace(neighbour_labels=()), 1, 1)
    assert "nearest in train: image 7 0.97, image 8 0.90" in untold.plain


def test_files_are_links_to_their_paths(look: Look) -> None:
    content = files.body(look, 75)
    path = next(look.runs / one.path for one in look.learning.artifacts if one.name == "labels.svg")
    assert str(path) in content.plain
    links = [span.style.link for span in content.spans if not isinstance(span.style, str) and span.style.link]
    assert path.as_uri() in links
    assert files.digest(look).plain == "2 files, 1 picture"


def test_every_empty_section_names_the_key_and_the_command(bare: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RUNS_DIR_VARIABLE, str(bare.runs))
    for way, said in (
        ("layers", accuracy.body(bare, 75)),
        ("invariance", invariance.body(bare, 75)),
        ("labels", Content(labels.chart(bare).empty)),
        ("map", map_words.empty(bare)),
    ):
        assert "yet; e makes it, or" in said.plain
        assert said.plain.endswith(f"simclr-tui evaluate {bare.row.run.id} --what {way}")
    all_commands = files.body(bare, 75).plain
    for way in WAYS:
        assert f"simclr-tui evaluate {bare.row.run.id} --what {way}\n" in all_commands
    assert all_commands.endswith(f"simclr-tui preview --run {bare.row.run.id}")


def test_commands_name_a_runs_folder_that_is_not_the_usual_one(bare: Look) -> None:
    odd = replace(bare, runs=Path("/somewhere/with spaces"))
    assert odd.command("map").endswith("--what map --runs-dir '/somewhere/with spaces'")


def test_an_evaluation_that_goes_on_is_named_in_place_of_the_command(runs: Path, bare: Look) -> None:
    store = RunStore.open(runs)
    run_id = bare.row.run.id
    for what, lifecycle in (("map", None), ("labels", "finished")):
        config = EvaluateConfig(run=run_id, what=what).to_json()  # type: ignore[arg-type]
        job = store.create_run(kind="evaluate", name=f"bare-{what}", config=config, source_run_id=run_id)
        if lifecycle:
            store.lifecycle(job, lifecycle, lifecycle)
    rows = [RunRow(run, "queued" if run.lifecycle == "created" else "finished", 0) for run in store.runs()]
    store.close()
    going_on = replace(bare, jobs=evaluations_going_on(rows, run_id))
    assert list(going_on.jobs) == ["map"]
    assert map_words.digest(going_on).plain == "bare-map is queued"
    assert "bare-map is queued and makes it" in map_words.empty(going_on).plain
    assert labels.digest(going_on).plain == "not scored yet"


def test_a_table_that_still_grows_says_so(look: Look) -> None:
    growing = replace(look, jobs={"labels": look.row, "invariance": look.row, "layers": look.row})
    for body in (accuracy.body, labels.body, invariance.body):
        assert body(growing, 75).plain.startswith("studied is finished; more comes as it is made\n")
        assert "more comes" not in body(look, 75).plain


def test_before_anything_is_read_nothing_is_called_missing(bare: Look) -> None:
    unread = replace(bare, learning=Learning(run_id=bare.row.run.id, is_read=False))
    for name in ("accuracy", "labels", "invariance", "map", "files"):
        assert SECTIONS[name].digest(unread).plain == "reading the store"


def test_a_damaged_map_is_told_with_the_command_that_mends_it(bare: Look) -> None:
    damaged = replace(bare, learning=replace(bare.learning, problem="map.json can't be shown, since it is short"))
    assert map_words.digest(damaged).plain == "▲ can't be shown"
    assert "since it is short" in map_words.empty(damaged).plain
    assert "--what map" in map_words.empty(damaged).plain
