"""Ways that are timed in turns."""

import json
from collections.abc import Callable
from pathlib import Path

from benchmarks.side_by_side import Way, interleaved, put, table, timed, write


def test_ways_are_called_in_turns_and_the_first_call_of_each_is_apart() -> None:
    called: list[str] = []

    def way(name: str) -> Callable[[], float]:
        def call() -> float:
            called.append(name)
            return float(len(called))

        return call

    measured = interleaved({name: way(name) for name in "ABC"}, 2)
    assert "".join(called) == "ABC" * 3
    assert measured["B"].warm_up == 2
    assert measured["B"].rounds == {1: 5.0, 2: 8.0}


def test_a_way_that_fails_is_a_row_with_its_reason_and_the_others_go_on() -> None:
    def out_of_memory() -> float:
        raise MemoryError("too much\nand more")

    measured = interleaved({"good": lambda: 1.0, "bad": out_of_memory}, 3)
    assert measured["bad"].error == "MemoryError: too much"
    assert measured["good"].rounds == {1: 1.0, 2: 1.0, 3: 1.0}
    assert "MemoryError: too much" in table(measured)


def test_ratios_are_paired_by_round() -> None:
    # The machine is ten times slower from round to round; paired, B always takes twice as long.
    slow = {number: 10.0**number for number in range(1, 11)}
    measured = {"A": Way("A", rounds=slow), "B": Way("B", rounds={number: 2 * value for number, value in slow.items()})}
    assert "| 2 (2–2) |" in table(measured)
    even = {number: value * (1.1 if number % 2 else 0.9) for number, value in slow.items()}
    assert "no difference found" in table({"A": measured["A"], "C": Way("C", rounds=even)})


def test_what_takes_no_time_of_its_own_is_timed_from_outside() -> None:
    measured = interleaved({"none": lambda: None, "own": timed(lambda: None, calls=10)}, 1)
    assert 0 < measured["none"].rounds[1] < 1
    assert 0 < measured["own"].rounds[1] < 1


def test_figures_are_written_as_json_and_as_a_page(tmp_path: Path) -> None:
    measured = interleaved({"A": lambda: 0.5, "B": lambda: 1.0}, 2)
    page = write(tmp_path / "x.json", tmp_path / "x.md", measured, title="Some work", work=10)
    assert (tmp_path / "x.md").read_text() == page
    assert "| A | 0.5 | 0.5–0.5 | 1 | 0.5 | 20 |" in page
    found = json.loads((tmp_path / "x.json").read_text())
    assert [way["median"] for way in found["ways"]] == [0.5, 1.0]
    assert found["facts"]["torch"]


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    put(tmp_path / "deep" / "x", "text")
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["x"]
