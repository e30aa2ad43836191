"""Contact sheets and pictures in a terminal: each pixel where it belongs, and readable where there is no colour."""

import io
from pathlib import Path

import pytest
import torch
from PIL import Image
from rich.console import Console
from torch import Tensor

from tests.trainer.photographs import noise
from trainer.pictures import RAMP, half_blocks, save_png, sheet, to_pil


def console(**options: object) -> Console:
    """A console that writes into memory, as wide as its terminal would be."""
    settings: dict[str, object] = {"file": io.StringIO(), "force_terminal": True, "width": 40, "_environ": {}}
    return Console(**{**settings, **options})  # type: ignore[arg-type]


def printed(image: Image.Image | Tensor, columns: int, shown_on: Console) -> str:
    shown_on.print(half_blocks(image, columns, console=shown_on))
    assert isinstance(shown_on.file, io.StringIO)
    return shown_on.file.getvalue()


def tile(page: Image.Image, x: int, y: int, image: Tensor, scale: int) -> bool:
    """Whether an image lies at a place of a page, each of its pixels as a square."""
    height, width = image.shape[1] * scale, image.shape[2] * scale
    enlarged = image.repeat_interleave(scale, 1).repeat_interleave(scale, 2)
    return page.crop((x, y, x + width, y + height)).tobytes() == enlarged.permute(1, 2, 0).numpy().tobytes()


def test_every_image_is_on_the_sheet_pixel_for_pixel_with_a_white_gap_between() -> None:
    images = noise(6, 16)
    page = sheet([images[:3], images[3:]], scale=3)
    step, edge = 16 * 3 + 4, 4
    assert page.mode == "RGB"
    assert page.size == (edge + 3 * step, edge + 2 * step)
    for number, image in enumerate(images):
        row, column = divmod(number, 3)
        assert tile(page, edge + column * step, edge + row * step, image, 3)
    gap = page.crop((edge + 48, 0, edge + step, page.height))
    assert gap.getextrema() == ((255, 255),) * 3


def test_small_images_are_enlarged_and_large_ones_stay_as_they_are() -> None:
    for side, scale in ((16, 7), (32, 4), (96, 2), (224, 1)):
        assert sheet([noise(3, side)[:1]]).width == side * scale + 8
    assert sheet([noise(3, 32)[:1]], scale=1).width == 32 + 8


def test_captions_and_headings_take_room_of_their_own_and_long_ones_are_shortened() -> None:
    images = noise(4, 32)
    plain = sheet([images[:2], images[2:]])
    captioned = sheet([images[:2], images[2:]], captions=["0 cat", "1 dog"], headings=["image", "view 1"])
    left, top = captioned.width - plain.width, captioned.height - plain.height
    assert left > 20
    assert top > 10
    assert captioned.crop((left, top, captioned.width, captioned.height)).tobytes() == plain.tobytes()
    margin = captioned.crop((0, top, left, captioned.height)).convert("L")
    assert min(margin.tobytes()) < 100, "the captions are written in ink"
    endless = sheet([images[:2]], captions=["w" * 500], headings=["m" * 500] * 2)
    assert endless.width < plain.width + 220
    odd = sheet([images[:2]], captions=["two\nlines \udcff and 漢字"])
    assert odd.height == sheet([images[:2]]).height


def test_a_row_may_be_shorter_than_the_others() -> None:
    images = noise(4, 16)
    page = sheet([images[:3], images[3:]], scale=1)
    assert tile(page, 4, 4 + 20, images[3], 1)
    assert page.crop((4 + 20, 4 + 20, page.width, page.height)).getextrema() == ((255, 255),) * 3


def test_a_saved_sheet_is_read_back_as_it_was_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    page = sheet([noise(3, 16)])
    save_png(page, tmp_path / "views.png")
    with Image.open(tmp_path / "views.png") as read:
        assert read.format == "PNG"
        assert read.tobytes() == page.tobytes()
    assert [path.name for path in tmp_path.iterdir()] == ["views.png"]


def test_a_sheet_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    old = sheet([noise(3, 16)])
    with pytest.raises(FileNotFoundError):
        save_png(old, tmp_path / "absent" / "views.png")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(IsADirectoryError):
        save_png(old, tmp_path / "folder.png")
    assert [path.name for path in tmp_path.iterdir()] == ["folder.png"]


def test_a_half_block_shows_one_pixel_above_another() -> None:
    image = torch.tensor([[[255, 0], [0, 255], [9, 9], [8, 8]], [[0] * 2] * 4, [[7] * 2] * 4], dtype=torch.uint8)
    found = printed(image, 2, console(color_system="truecolor"))
    cells = [
        "\x1b[38;2;255;0;7;48;2;0;0;7m▀\x1b[0m\x1b[38;2;0;0;7;48;2;255;0;7m▀\x1b[0m",
        "\x1b[38;2;9;0;7;48;2;8;0;7m▀▀\x1b[0m",
    ]
    assert found == "\n".join(cells) + "\n"


def test_a_picture_keeps_its_shape_in_the_terminal() -> None:
    for width, height, columns, lines in ((32, 32, 32, 16), (32, 32, 12, 6), (60, 20, 30, 5), (20, 60, 30, 45)):
        text = half_blocks(Image.new("RGB", (width, height)), columns, console=console(color_system="256"))
        assert [len(line) for line in text.plain.split("\n")] == [columns] * lines


def test_a_picture_that_shrinks_shows_the_mean_of_what_a_pixel_covers() -> None:
    stripes = torch.tensor([0, 200], dtype=torch.uint8).repeat(3, 16, 8)
    found = printed(stripes, 8, console(color_system="truecolor"))
    assert "38;2;100;100;100;48;2;100;100;100" in found
    assert "200" not in found


@pytest.mark.parametrize(
    "without",
    [
        {"color_system": None},
        {"color_system": "truecolor", "no_color": True},
        {"color_system": "truecolor", "_environ": {"NO_COLOR": "1"}},
        {"color_system": "truecolor", "file": io.TextIOWrapper(io.BytesIO(), encoding="ascii")},
    ],
    ids=["no colour system", "no colour wanted", "NO_COLOR", "no half block in the encoding"],
)
def test_without_colours_light_is_shown_by_characters(without: dict[str, object]) -> None:
    ramp = torch.linspace(0, 255, 20).to(torch.uint8).repeat(3, 4, 1)
    text = half_blocks(ramp, 20, console=console(**without))
    upper, lower = text.plain.split("\n")
    assert upper == lower == "".join(letter * 2 for letter in RAMP)
    assert not text.spans


def test_pictures_on_a_grey_scale_and_with_transparency_are_shown_too() -> None:
    for mode in ("L", "RGBA", "P"):
        assert half_blocks(Image.new(mode, (8, 8)), 8, console=console(color_system="256")).plain.count("▀") == 32


def test_an_image_in_any_memory_layout_becomes_the_same_picture() -> None:
    image = noise(4, 16)[3]
    mapped = image.transpose(1, 2).contiguous().transpose(1, 2)
    assert to_pil(mapped).tobytes() == to_pil(image).tobytes() == image.permute(1, 2, 0).numpy().tobytes()
