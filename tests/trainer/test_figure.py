"""Charts as files: what they say can be read back, and the same figures give the same bytes."""

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

from trainer.canvas import COLOURS, MARKERS
from trainer.errors import UsageError
from trainer.figure import MOST_CLASSES, BarSeries, Curve, Level, Point, label_curve, layer_bars, scatter_map

SVG = "{http://www.w3.org/2000/svg}"
LABELS = (10, 20, 50, 100, 200, 500)
TUTORIAL = (0.628, 0.686, 0.744, 0.772, 0.791, 0.813)
LAYERS = ("raw pixels", "untrained", "h", "g1", "z")


def curve(name: str = "h, linear", shift: float = 0.0) -> Curve:
    points = (
        Point(labels_per_class=count, accuracy=top1 + shift, interval=(top1 + shift - 0.02, top1 + shift + 0.02))
        for count, top1 in zip(LABELS, TUTORIAL, strict=True)
    )
    return Curve(name=name, points=tuple(points))


def texts(path: Path) -> list[str]:
    """Every text of an SVG, as text."""
    return ["".join(text.itertext()) for text in ET.parse(path).iter(f"{SVG}text")]


def vertices(path: Path, colour: str) -> list[npt.NDArray[np.float64]]:
    """The open paths that an SVG strokes with a colour, as points (N, 2)."""
    found = []
    for one in ET.parse(path).iter(f"{SVG}path"):
        style, line = one.get("style", ""), one.get("d", "")
        if f"stroke: {colour.lower()}" in style and "fill: none" in style and "z" not in line:
            found.append(np.array(re.findall(r"[ML] (\S+) (\S+)", line), dtype=np.float64))
    return found


def draw_curve(path: Path) -> None:
    label_curve([curve(), curve("z, kNN", -0.2)], title="A run", path=path, baselines=[Level(name="all", value=0.733)])


def draw_map(path: Path) -> None:
    x = np.linspace(0, 1, 40)
    scatter_map(x, x**2, np.arange(40) % 2, ["cat", "dog"], title="A map", path=path)


def draw_bars(path: Path) -> None:
    series = [BarSeries(name="kNN", values=(0.3, 0.35, 0.75, 0.7, 0.6))]
    layer_bars(LAYERS, series, axis="accuracy, %", percent=True, title="Layers", path=path)


EACH = pytest.mark.parametrize("draw", [draw_curve, draw_map, draw_bars])


def test_a_curve_says_its_numbers_of_labels_its_names_and_its_title(tmp_path: Path) -> None:
    draw_curve(tmp_path / "curve.svg")
    found = texts(tmp_path / "curve.svg")
    assert {"A run", "labels per class", "accuracy on test, %", "h, linear", "z, kNN", "all"} <= set(found)
    ticks = found[: found.index("labels per class")]
    assert sorted(map(int, ticks)) == list(LABELS)


def test_a_curve_runs_through_its_figures_on_a_logarithmic_axis(tmp_path: Path) -> None:
    draw_curve(tmp_path / "curve.svg")
    (line,) = (points for points in vertices(tmp_path / "curve.svg", COLOURS[0]) if len(points) == len(LABELS))
    for axis, values in ((0, np.log(LABELS)), (1, np.array(TUTORIAL))):
        fit = np.polyfit(values, line[:, axis], 1)
        np.testing.assert_allclose(np.polyval(fit, values), line[:, axis], atol=1e-3)
    bars = [points for points in vertices(tmp_path / "curve.svg", COLOURS[0]) if len(points) == 2]
    per_point = np.polyfit(TUTORIAL, line[:, 1], 1)[0]
    heights = [abs(float(points[0, 1] - points[1, 1])) for points in bars if points[0, 0] == points[1, 0]]
    np.testing.assert_allclose(heights, [0.04 * abs(per_point)] * len(LABELS), atol=1e-3)


def test_a_baseline_crosses_the_whole_chart_at_its_height(tmp_path: Path) -> None:
    draw_curve(tmp_path / "curve.svg")
    (line,) = (points for points in vertices(tmp_path / "curve.svg", COLOURS[0]) if len(points) == len(LABELS))
    # In the legend a line has a third point, for a marker.
    (level,) = (points for points in vertices(tmp_path / "curve.svg", "#666666") if len(points) == 2)
    height = np.polyval(np.polyfit(TUTORIAL, line[:, 1], 1), 0.733)
    np.testing.assert_allclose(level[:, 1], [height] * 2, atol=1e-3)
    assert level[0, 0] < line[0, 0] < line[-1, 0] < level[1, 0]


def test_points_are_drawn_in_the_order_of_their_labels(tmp_path: Path) -> None:
    label_curve([curve()], title="", path=tmp_path / "a.svg")
    label_curve([Curve(name="h, linear", points=curve().points[::-1])], title="", path=tmp_path / "b.svg")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_a_curve_of_one_point_without_an_interval_is_drawn(tmp_path: Path) -> None:
    one = Curve(name="one", points=(Point(labels_per_class=100, accuracy=0.5),))
    label_curve([one, Curve(name="none", points=())], title="One", path=tmp_path / "one.svg")
    found = texts(tmp_path / "one.svg")
    assert "100" in found
    assert "one" in found
    assert "none" not in found


def test_numbers_of_labels_that_lie_close_do_not_write_over_each_other(tmp_path: Path) -> None:
    many = tuple(Point(labels_per_class=count, accuracy=0.5) for count in range(1, 501))
    label_curve([Curve(name="many", points=many)], title="", path=tmp_path / "many.svg")
    found = texts(tmp_path / "many.svg")
    ticks = sorted(int(text) for text in found[: found.index("labels per class")])
    assert 10 < len(ticks) < 20
    assert ticks[-1] == 500


def test_a_map_names_its_classes_and_draws_each_image_once(tmp_path: Path) -> None:
    draw_map(tmp_path / "map.svg")
    root = ET.parse(tmp_path / "map.svg")
    assert {"A map", "cat", "dog"} == set(texts(tmp_path / "map.svg")), "no ticks"
    marks = [use for group in root.iter(f"{SVG}g") if "PathCollection" in group.get("id", "") for use in group]
    assert sum(len(list(group.iter(f"{SVG}use"))) for group in marks) == 40 + 2, "the images and the legend"


def test_a_map_has_the_same_scale_both_ways(tmp_path: Path) -> None:
    label = torch.tensor([0, 0, 0])
    scatter_map(torch.tensor([0.0, 1, 0]), torch.tensor([0.0, 0, 1]), label, ["c"], title="", path=tmp_path / "map.svg")
    uses = [
        (float(use.get("x", 0)), float(use.get("y", 0)))
        for group in ET.parse(tmp_path / "map.svg").iter(f"{SVG}g")
        if group.get("id") == "PathCollection_1"
        for use in group.iter(f"{SVG}use")
    ]
    (x, y), right, up = uses
    assert right[0] - x == pytest.approx(y - up[1], rel=5e-3)


def test_twenty_classes_have_marks_of_their_own_and_the_rarest_of_more_share_one(tmp_path: Path) -> None:
    labels = np.concatenate([np.repeat(np.arange(MOST_CLASSES + 3), np.arange(MOST_CLASSES + 3) + 1), [-1]])
    place = np.linspace(0, 1, len(labels))
    names = [f"class {number}" for number in range(MOST_CLASSES + 3)]
    scatter_map(place, place, labels, names, title="Many", path=tmp_path / "map.svg")
    assert set(texts(tmp_path / "map.svg")) == {"Many", "no label", "3 other classes", *names[3:]}
    assert len({(COLOURS[n % len(COLOURS)], MARKERS[n % len(MARKERS)]) for n in range(MOST_CLASSES)}) == MOST_CLASSES


def test_bars_are_as_high_as_their_values_and_say_them(tmp_path: Path) -> None:
    values = (0.5, None, 0.25, -0.125, 0.0)
    layer_bars(
        LAYERS,
        [BarSeries(name="hue", values=values)],
        axis="R²",
        percent=False,
        title="What is left",
        path=tmp_path / "bars.svg",
    )
    found = texts(tmp_path / "bars.svg")
    assert {"R²", "hue", *LAYERS} <= set(found)
    assert [text for text in found if text in ("0.50", "–", "0.25", "−0.12", "−0.13")] == ["0.50", "–", "0.25", "−0.12"]
    heights = [
        np.ptp(np.array(re.findall(r"[ML] \S+ (\S+)", path.get("d", "")), dtype=np.float64))
        for path in ET.parse(tmp_path / "bars.svg").iter(f"{SVG}path")
        if COLOURS[0].lower() in path.get("style", "") and path.get("clip-path")
    ]
    np.testing.assert_allclose(np.array(heights) / heights[0], [1, 0, 0.5, 0.25, 0], atol=1e-3)


def test_accuracies_are_bars_in_percent_with_their_intervals_and_chance(tmp_path: Path) -> None:
    series = [
        BarSeries(name="kNN", values=(0.3, 0.35, 0.75, 0.7, 0.6)),
        BarSeries(name="linear", values=(0.3,) * 5, intervals=((0.25, 0.35), None, None, None, None)),
    ]
    chance = [Level(name="chance", value=0.1)]
    layer_bars(LAYERS, series, axis="accuracy, %", percent=True, title="", path=tmp_path / "b.svg", levels=chance)
    found = texts(tmp_path / "b.svg")
    assert {"30.0", "75.0", "kNN", "linear", "chance"} <= set(found)


@EACH
def test_a_png_has_the_size_of_its_chart_and_is_no_blank_page(draw: Callable[[Path], None], tmp_path: Path) -> None:
    draw(tmp_path / "chart.PNG")
    with Image.open(tmp_path / "chart.PNG") as picture:
        assert picture.format == "PNG"
        assert picture.width >= 1050
        assert picture.height >= 675
        edges = [picture.convert("L").crop(box) for box in ((0, 0, picture.width, 2), (0, 0, 2, picture.height))]
        assert all(set(edge.tobytes()) == {255} for edge in edges), "nothing is cut off"
        assert len(set(picture.convert("RGB").resize((200, 200), Image.Resampling.NEAREST).tobytes())) > 10


@EACH
@pytest.mark.parametrize("suffix", [".svg", ".png"])
def test_the_same_figures_give_the_same_bytes_whatever_the_persons_own_style(
    draw: Callable[[Path], None], suffix: str, tmp_path: Path
) -> None:
    draw(tmp_path / f"a{suffix}")
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "black", "svg.fonttype": "path"}):
        before = dict(matplotlib.rcParams)
        draw(tmp_path / f"b{suffix}")
        assert dict(matplotlib.rcParams) == before, "and their style is left as it was"
    first, second = ((tmp_path / f"{name}{suffix}").read_bytes() for name in "ab")
    assert first == second
    assert b"<dc:date>" not in first
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"a{suffix}", f"b{suffix}"]


@EACH
@pytest.mark.parametrize("name", ["chart.pdf", "chart", "svg"])
def test_another_suffix_is_refused_in_a_sentence(draw: Callable[[Path], None], name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"is no name for a chart; give one that ends in \.svg or \.png$"):
        draw(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_chart_of_nothing_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.svg"
    with pytest.raises(UsageError, match="would be empty"):
        label_curve([Curve(name="none", points=())], title="", path=path)
    with pytest.raises(UsageError, match="would be empty"):
        scatter_map([], [], [], ["cat"], title="", path=path)
    with pytest.raises(UsageError, match="would be empty"):
        layer_bars(["h"], [BarSeries(name="kNN", values=(None,))], axis="", percent=True, title="", path=path)
    assert not path.exists()


@EACH
def test_a_chart_that_cannot_be_written_is_an_oserror(draw: Callable[[Path], None], tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        draw(tmp_path / "absent" / "chart.svg")


def test_names_that_mean_something_to_matplotlib_or_xml_are_plain_text(tmp_path: Path) -> None:
    names = ["_hidden", "$x_$ & <b>", "100 %", "a\x00b\udcff"]
    scatter_map(range(4), range(4), range(4), names, title="$\\frac$ <&> \x07", path=tmp_path / "map.svg")
    found = texts(tmp_path / "map.svg")
    assert {"_hidden", "$x_$ & <b>", "100 %"} <= set(found)
    assert "$\\frac$ <&>" in {text.strip() for text in found}


def test_a_long_title_is_wrapped(tmp_path: Path) -> None:
    label_curve([curve()], title="word " * 60, path=tmp_path / "a.svg")
    assert sum("word" in text for text in texts(tmp_path / "a.svg")) > 3


def test_charts_do_without_pyplot_and_load_matplotlib_late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "matplotlib.pyplot", raising=False)
    draw_curve(tmp_path / "a.svg")
    assert "matplotlib.pyplot" not in sys.modules
    code = "import sys, trainer.figure; assert not {'matplotlib', 'numpy', 'torch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
