"""Sources of images: what they take, in any order, batch and process."""

import pickle
from pathlib import Path

import pytest
import torch
from torchvision.transforms.v2 import functional as transforms

from trainer.data import split as split_module
from trainer.data.split import JoinedImages, Split, SubsetImages, TensorImages, allocate, join, resize, to_memory
from trainer.errors import ConfigError


def images(count: int, side: int = 8, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8, generator=generator)


def a_split(labels: list[int]) -> Split:
    return Split("train", TensorImages(images(len(labels))), torch.tensor(labels), ("a", "b", "c"))


def test_images_are_taken_in_the_order_of_the_indices() -> None:
    source = TensorImages(images(5))
    taken = source.take([3, 0, 3])
    assert torch.equal(taken, images(5)[[3, 0, 3]])
    assert torch.equal(source.take(torch.tensor([3, 0, 3])), taken)


def test_what_is_taken_is_a_copy() -> None:
    source = TensorImages(images(5))
    source.take(range(5)).zero_()
    assert torch.equal(source.take(range(5)), images(5))


@pytest.mark.parametrize(("stored", "wanted"), [(96, 32), (96, 64), (32, 96), (37, 19)])
def test_a_resized_image_does_not_depend_on_its_batch(stored: int, wanted: int) -> None:
    source = TensorImages(images(17, stored), wanted)
    together = source.take(range(17))
    assert together.shape == (17, 3, wanted, wanted)
    assert source.shape == (3, wanted, wanted)
    for index in range(17):
        assert torch.equal(source.take([index])[0], together[index])
    assert torch.equal(source.take(torch.arange(17).flip(0)), together.flip(0))


def test_resizing_agrees_with_floating_point_to_one_level() -> None:
    stored = images(4, 96)
    exact = transforms.resize(stored.double(), [32, 32], antialias=True)
    assert (resize(stored, 32).double() - exact).abs().max() <= 1.0


def test_a_subset_of_a_subset_takes_from_the_first_source() -> None:
    source = TensorImages(images(10))
    evens = SubsetImages(source, torch.arange(0, 10, 2))
    subset = SubsetImages(evens, torch.tensor([4, 1]))
    assert len(subset) == 2
    assert torch.equal(subset.take([0, 1]), images(10)[[8, 2]])


def test_joined_sources_follow_each_other() -> None:
    first, second = images(3, seed=1), images(4, seed=2)
    joined = JoinedImages([TensorImages(first), TensorImages(second)])
    assert len(joined) == 7
    order = torch.tensor([6, 0, 3, 2, 2, 5])
    assert torch.equal(joined.take(order), torch.cat([first, second])[order])


def test_joined_splits_keep_their_labels_in_order() -> None:
    unlabeled = Split("unlabeled", TensorImages(images(2)), torch.tensor([-1, -1]), ())
    both = join("train+unlabeled", [a_split([1, 0]), unlabeled])
    assert both.name == "train+unlabeled"
    assert both.labels.tolist() == [1, 0, -1, -1]
    assert both.classes == ("a", "b", "c")


def test_the_first_of_each_class_keep_the_order_of_the_split() -> None:
    labels = [2, 0, 0, 1, 2, 0, 1, 2]
    chosen = a_split(labels).first_of_each_class(2)
    assert chosen.labels.tolist() == [2, 0, 0, 1, 2, 1]
    assert torch.equal(chosen.images.take(range(6)), images(8)[[0, 1, 2, 3, 4, 6]])


def test_a_class_with_fewer_images_gives_all_of_them() -> None:
    assert a_split([0, 1, 1, 2]).first_of_each_class(3).labels.tolist() == [0, 1, 1, 2]


def test_no_limit_leaves_a_split_as_it_is() -> None:
    split = a_split([0, 1])
    assert split.first(0) is split
    assert split.first(2) is split
    assert split.first_of_each_class(0) is split
    assert split.first(1).labels.tolist() == [0]


@pytest.mark.parametrize("shared", [False, True])
def test_to_memory_holds_what_the_source_gives(shared: bool) -> None:
    source = TensorImages(images(600, 12), 8)
    held = to_memory(source, shared=shared)
    assert torch.equal(held.tensor, source.take(range(600)))
    assert held.is_ready(shared=shared)


def test_to_memory_asks_before_each_chunk_whether_to_go_on() -> None:
    asked: list[int] = []
    to_memory(TensorImages(images(600, 12), 8), lambda: asked.append(1))
    assert len(asked) == 3

    def stop() -> None:
        asked.append(1)
        if len(asked) == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        to_memory(TensorImages(images(600, 12), 8), stop)


def test_images_that_are_in_memory_are_not_copied_again() -> None:
    source = TensorImages(images(3))
    assert to_memory(source) is source
    shared = to_memory(source, shared=True)
    assert shared is not source
    assert to_memory(shared, shared=True) is shared


@pytest.mark.parametrize(
    "source",
    [
        TensorImages(images(6, 12), 8),
        SubsetImages(TensorImages(images(9)), torch.arange(6)),
        JoinedImages([TensorImages(images(2)), TensorImages(images(4))]),
    ],
    ids=lambda source: type(source).__name__,
)
def test_a_source_can_be_pickled(source: TensorImages | SubsetImages | JoinedImages) -> None:
    copy = pickle.loads(pickle.dumps(source))
    assert torch.equal(copy.take(range(6)), source.take(range(6)))


def test_too_little_shared_memory_names_the_setting_and_the_remedies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(split_module, "SHARED_MEMORY", tmp_path)
    with pytest.raises(ConfigError, match=r"--cache: ram needs .* GB of shared memory .* --cache none") as raised:
        allocate(10**9, 512, shared=True)
    assert raised.value.setting == "cache"
