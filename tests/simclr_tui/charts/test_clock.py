"""When each step was taken, against runs whose times are known because they are made up step by step."""

import random
from dataclasses import dataclass, field, replace
from itertools import pairwise

import pytest

from simclr_tui.charts.clock import Clock, Knots, Origin, make_clock
from trainer.store.records import Event, Run
from trainer.store.series import Point

BEGIN = 1_000_000.0
PER_EPOCH = 10


@dataclass
class Story:
    """A run that is lived through second by second, and what a store would have of it."""

    run: Run
    now: float = BEGIN
    step: int = 0
    stored: int = 0
    trained: float = 0.0
    epoch_from: float = 0.0
    events: list[Event] = field(default_factory=list)
    epochs: dict[int, dict[str, float]] = field(default_factory=dict)
    durations: dict[int, float] = field(default_factory=dict)
    wall: dict[int, float] = field(default_factory=dict)
    """When each step was first taken."""
    training: dict[int, float] = field(default_factory=dict)
    """Seconds of training up to each step."""
    at_checkpoint: tuple[int, float, float] = (0, 0.0, 0.0)

    def tell(self, kind: str, *, step: int | None = None, message: str = "") -> None:
        number = len(self.events) + 1
        self.events.append(
            Event(id=number, run_id=self.run.id, at=self.now, level="info", kind=kind, message=message, step=step)
        )

    def wait(self, seconds: float) -> None:
        self.now += seconds

    def take(self, count: int, seconds: float) -> None:
        for _ in range(count):
            self.step += 1
            self.now += seconds
            self.trained += seconds
            if self.step > self.stored:
                self.stored = self.step
                self.durations[self.step] = seconds
                self.wall[self.step] = self.now
                self.training[self.step] = self.trained
            if self.step % PER_EPOCH == 0:
                epoch = self.step // PER_EPOCH
                self.epochs[epoch] = {"epoch": epoch, "at": self.now, "t_epoch": self.trained - self.epoch_from}
                self.epoch_from = self.trained

    def save(self) -> None:
        self.at_checkpoint = (self.step, self.trained, self.epoch_from)

    def resume(self, *, loading: float) -> None:
        """From the last checkpoint; what was taken after it is taken again."""
        self.tell("resumed")
        self.wait(loading)
        self.step, self.trained, self.epoch_from = self.at_checkpoint
        self.tell("resumed-from", step=self.step)

    @property
    def clock(self) -> Clock:
        run = replace(self.run, steps_per_epoch=PER_EPOCH, step=self.stored, trained_seconds=self.trained)
        points = [Point(n, n, s / 2, s / 2, s / 2, s / 2) for n, s in sorted(self.durations.items())]
        series = {"t_batch": points, "t_data": points}
        return make_clock(run, [self.epochs[number] for number in sorted(self.epochs)], self.events, series)


@pytest.fixture
def story(run: Run) -> Story:
    return Story(run)


def check(story: Story, *, within: float = 1e-6) -> None:
    clock = story.clock
    for step, at in story.wall.items():
        assert clock.wall(step) == pytest.approx(at - BEGIN, abs=within), step
        assert clock.trained(step) == pytest.approx(story.training[step], abs=1e-6), step
    steps = range(story.stored + 1)
    for one, other in pairwise(steps):
        assert clock.wall(other) >= clock.wall(one)
        assert clock.trained(other) >= clock.trained(one)


def test_a_run_without_a_break_has_the_times_of_its_steps(story: Story) -> None:
    story.tell("started")
    for seconds in (1.0, 3.0, 0.5):
        story.take(PER_EPOCH, seconds)
    check(story)
    assert story.clock.wall(15) == pytest.approx(10 + 5 * 3.0)
    assert story.clock.step_at(BEGIN + 25) == pytest.approx(15)


def test_steps_of_unequal_length_within_an_epoch_are_where_they_were_taken(story: Story) -> None:
    story.tell("started")
    story.take(3, 8.0)
    story.take(7, 0.5)
    story.take(4, 2.0)
    check(story)


def test_a_pause_is_part_of_wall_time_and_none_of_the_time_trained(story: Story) -> None:
    story.tell("started")
    story.take(14, 1.0)
    story.save()
    story.tell("paused")
    story.wait(1000)
    story.resume(loading=20)
    story.take(16, 2.0)
    check(story)
    clock = story.clock
    assert clock.wall(15) - clock.wall(14) == pytest.approx(1000 + 20 + 2)
    assert clock.trained(15) - clock.trained(14) == pytest.approx(2)
    (pause,) = clock.pauses
    assert (pause.step, pause.kind) == (14, "paused")
    assert [pause.begin, pause.end] == pytest.approx([14, 1034])


def test_steps_that_are_taken_again_after_a_kill_count_when_they_were_first_taken(story: Story) -> None:
    story.tell("started")
    story.take(12, 1.0)
    story.save()
    story.take(5, 1.0)
    story.wait(3600)
    story.resume(loading=10)
    story.take(5, 1.0)
    story.tell("replay", message="replay 5 of 5 identical")
    story.take(13, 1.0)
    check(story)
    assert story.clock.wall(17) == pytest.approx(17)
    assert story.clock.wall(18) == pytest.approx(17 + 3600 + 10 + 5 + 1)
    assert story.clock.trained(18) == pytest.approx(18)


def test_a_trainer_that_never_got_ready_took_no_step(story: Story) -> None:
    story.tell("started")
    story.take(12, 1.0)
    story.save()
    story.tell("paused")
    story.wait(50)
    story.tell("resumed")
    story.wait(2)
    story.tell("failed")
    story.wait(50)
    story.resume(loading=5)
    story.take(10, 1.0)
    check(story)


def test_a_run_that_failed_before_its_first_step_begins_its_wall_time_there(story: Story) -> None:
    story.tell("started")
    story.wait(3)
    story.tell("failed")
    story.wait(60)
    story.tell("resumed")
    story.take(20, 1.0)
    check(story)
    assert story.clock.wall(1) == pytest.approx(64)


def test_any_life_of_pauses_and_kills_is_told_right(story: Story) -> None:
    rng = random.Random(5)
    for _ in range(40):
        life = Story(story.run)
        life.tell("started")
        for _ in range(rng.randint(1, 5)):
            life.take(rng.randint(1, 30), 1.0)
            life.save()
            lost = rng.randint(0, 6)
            life.take(lost, 1.0)
            if not lost and rng.random() < 0.7:
                life.tell("paused")
            life.wait(rng.uniform(0, 500))
            life.resume(loading=rng.uniform(0, 5))
            if lost:
                life.take(lost, 1.0)
                life.tell("replay", message=f"replay {lost} of {lost} identical")
            life.take(rng.randint(1, 9), 1.0)
        check(life, within=1e-6)


def test_a_fork_goes_on_from_its_parents_times(story: Story) -> None:
    story.step = story.stored = 15
    story.events.clear()
    story.tell("started")
    story.wait(4)
    story.tell("forked-from", step=15)
    story.epoch_from = -6.0  # the parent had been in that epoch for 6 of its 12 seconds
    story.take(15, 1.2)
    points = [Point(n, n, 1.2, 1.2, 1.2, 1.2) for n in range(16, 31)]
    run = replace(story.run, steps_per_epoch=PER_EPOCH, step=30)
    clock = make_clock(
        run, list(story.epochs.values()), story.events, {"t_batch": points}, Origin(15, wall=500.0, trained=200.0)
    )
    assert clock.wall(15) == 500
    assert clock.wall(30) == pytest.approx(500 + 4 + 18)
    assert clock.trained(15) == 200
    assert clock.trained(20) == pytest.approx(206)
    assert clock.trained(30) == pytest.approx(218)


def test_what_is_not_stored_is_taken_as_usual_and_nothing_at_all_still_has_a_clock(run: Run) -> None:
    clock = make_clock(replace(run, steps_per_epoch=10, step=20, step_seconds=0.5), [], [], {})
    assert clock.wall(20) == pytest.approx(10)
    assert clock.trained(20) == pytest.approx(10)
    empty = make_clock(
        replace(run, step=None, steps_per_epoch=None, trained_seconds=None, step_seconds=None), [], [], {}
    )
    assert empty.wall(0) == empty.trained(0) == 0
    assert empty.step_at(BEGIN) == 0


def test_clocks_that_are_set_back_never_let_time_fall(story: Story) -> None:
    story.tell("started")
    story.take(10, 1.0)
    story.now -= 100
    story.take(10, 1.0)
    times = [story.clock.wall(step) for step in range(21)]
    assert times == sorted(times)


def test_between_two_points_time_is_shared_out_by_a_straight_line_where_no_step_is_known() -> None:
    knots = Knots((0.0, 10.0, 10.0, 20.0), (0.0, 5.0, 50.0, 60.0))
    nothing = lambda first, last: 0.0  # noqa: E731
    assert [knots.at(s, nothing) for s in (0, 5, 10, 15, 20, 30)] == [0, 2.5, 5, 55, 60, 60]
    assert [knots.step_at(t) for t in (-1, 0, 2.5, 20, 50, 55, 99)] == [0, 0, 5, 10, 10, 15, 20]


def test_seconds_that_no_step_took_are_known_from_an_orderly_end(story: Story) -> None:
    story.tell("started")
    story.wait(30)  # imports, data
    story.take(7, 1.0)
    story.save()
    story.wait(2)
    story.tell("paused")
    assert story.clock.wall(7) == pytest.approx(39)
    story.wait(500)
    story.resume(loading=5)
    story.take(3, 1.0)
    assert story.clock.wall(7) == pytest.approx(39)
    assert story.clock.wall(10) == pytest.approx(39 + 500 + 5 + 3)


def test_steps_that_are_known_by_their_means_alone_have_their_times(run: Run) -> None:
    """20 steps of 1 s and 20 of 3 s, read as four stretches."""
    points = [Point(first, first + 9, 1, 3, mean, mean) for first, mean in ((1, 1), (11, 1), (21, 3), (31, 3))]
    story = Story(replace(run, steps_per_epoch=40, step=40))
    story.tell("started")
    clock = make_clock(story.run, [], story.events, {"t_batch": points})
    assert [clock.wall(step) for step in (5, 10, 20, 21, 25, 40)] == pytest.approx([5, 10, 20, 23, 35, 80])
    assert [clock.trained(step) for step in (5, 20, 40)] == pytest.approx([5, 20, 80])
