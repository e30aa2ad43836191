"""Randomness is a function: of its names, and of nothing else."""

import itertools

import numpy as np
import pytest
import torch
from scipy import stats

from trainer.randomness import generator, key, permutation, uniforms


def _philox_block(secret: int, counter: int) -> list[int]:
    """The four words of Philox4x64-10 for a counter, as the paper's figure 2 and table 2 give it."""
    mask = 2**64 - 1
    words = [counter >> shift & mask for shift in (0, 64, 128, 192)]
    keys = [secret & mask, secret >> 64]
    for _ in range(10):
        high, low = zip(
            *(divmod(m * w, 2**64) for m, w in ((0xD2E7470EE14C6C93, words[0]), (0xCA5A826395121157, words[2]))),
            strict=True,
        )
        words = [high[1] ^ words[1] ^ keys[0], low[1], high[0] ^ words[3] ^ keys[1], low[0]]
        keys = [(keys[0] + 0x9E3779B97F4A7C15) & mask, (keys[1] + 0xBB67AE8584CAA73B) & mask]
    return words


def test_a_key_has_63_bits_and_stays_what_it_was() -> None:
    keys = [key(42, "permutation", epoch) for epoch in range(1000)]
    assert all(0 <= value < 2**63 for value in keys)
    assert any(value >= 2**62 for value in keys)
    assert key(42, "permutation", 1) == 4736134826055618825


def test_different_names_have_different_keys() -> None:
    names: list[tuple[int | str, ...]] = [
        (1, 23), (12, 3), (123,), ("1", 23), ("123",), (1, "23"), ("1", "23"), ("12", "3"), (1, 2, 3), (-1, 23), (),
        ("",), ("", ""), ("int:1:1",), ("1", "str:2:23"), (0,), (2**64,),
    ]  # fmt: skip
    keys = {key(seed, *name) for seed in (0, 1, 12) for name in names}
    assert len(keys) == 3 * len(names)


def test_whole_numbers_of_every_library_are_the_same_name() -> None:
    assert len({key(1, number) for number in (7, np.int64(7), np.uint8(7), torch.tensor(7))}) == 1  # type: ignore[arg-type]


def test_a_permutation_visits_each_image_once_and_stays_what_it_was() -> None:
    for n in (0, 1, 2, 7, 1000):
        order = permutation(42, 1, n)
        assert order.dtype == torch.int64
        assert order.sort().values.tolist() == list(range(n))
    assert permutation(42, 1, 8).tolist() == [5, 4, 7, 3, 2, 6, 0, 1]


def test_each_epoch_and_each_seed_has_a_permutation_of_its_own() -> None:
    orders = [permutation(seed, epoch, 50) for seed in (1, 2) for epoch in (1, 2, 3, "validation")]
    assert all(not torch.equal(one, other) for one, other in itertools.combinations(orders, 2))
    assert torch.equal(orders[0], permutation(1, 1, 50))


def test_all_orders_of_four_images_are_equally_likely() -> None:
    orders = [tuple(permutation(0, epoch, 4).tolist()) for epoch in range(4800)]
    counts = np.unique(orders, axis=0, return_counts=True)[1]
    assert len(counts) == 24
    assert stats.chisquare(counts).pvalue > 0.001


def test_uniforms_are_the_high_bits_of_philox_words() -> None:
    rows = uniforms(7, 3, 4, 2, 11)
    secret = key(7, "augmentation", 3)
    for index, row in enumerate(rows.flatten(1)):
        words = [word for block in (1, 2, 3) for word in _philox_block(secret, 3 * index + block)]
        halves = [half for word in words for half in (word & 0xFFFFFFFF, word >> 32)]
        assert row.tolist() == [(half >> 8) / 2**24 for half in halves[:22]]


def test_uniforms_fill_the_interval_evenly() -> None:
    numbers = uniforms(0, 1, 2000, 2, 35)
    assert numbers.dtype == torch.float32
    assert numbers.shape == (2000, 2, 35)
    assert 0 <= float(numbers.min()) < 1e-4
    assert 1 - 1e-4 < float(numbers.max()) < 1
    assert stats.kstest(numbers.flatten().numpy(), "uniform").pvalue > 0.001


def test_images_views_and_numbers_are_independent() -> None:
    columns = uniforms(0, 1, 4000, 2, 35).flatten(1)
    shifted = torch.cat([columns[:-1], columns[1:]], dim=1)
    correlations = torch.corrcoef(shifted.t()) - torch.eye(140)
    assert float(correlations.abs().max()) < 5.5 / 4000**0.5


@pytest.mark.parametrize(("views", "count"), [(1, 1), (2, 3), (2, 4), (2, 35), (3, 35)])
def test_a_row_is_the_same_for_every_number_of_images(views: int, count: int) -> None:
    longest = uniforms(5, 2, 70, views, count)
    for n in range(70):
        assert torch.equal(uniforms(5, 2, n, views, count), longest[:n])


@pytest.mark.parametrize(("views", "count"), [(1, 1), (2, 3), (2, 4), (2, 35), (3, 35)])
def test_a_row_drawn_alone_is_the_row_of_the_whole_epoch(views: int, count: int) -> None:
    epoch = uniforms(5, "validation", 70, views, count)
    for start in range(70):
        assert torch.equal(uniforms(5, "validation", 1, views, count, start=start)[0], epoch[start])
    assert torch.equal(uniforms(5, "validation", 20, views, count, start=50), epoch[50:])


def test_each_epoch_and_each_seed_draws_its_own_uniforms() -> None:
    draws = [uniforms(seed, epoch, 8, 2, 4) for seed in (1, 2) for epoch in (1, 2, "1", "validation")]
    assert all(not torch.isin(one, other).any() for one, other in itertools.combinations(draws, 2))
    assert torch.equal(draws[0], uniforms(1, 1, 8, 2, 4))


def test_nothing_is_taken_from_or_left_in_global_generators() -> None:
    torch.manual_seed(1)
    np.random.seed(1)
    before = torch.random.get_rng_state(), str(np.random.get_state())
    first = permutation(3, 1, 20), uniforms(3, 1, 5, 2, 35), torch.rand(5, generator=generator(3, "weights"))
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert str(np.random.get_state()) == before[1]
    torch.manual_seed(2)
    again = permutation(3, 1, 20), uniforms(3, 1, 5, 2, 35), torch.rand(5, generator=generator(3, "weights"))
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))


def test_a_generator_belongs_to_its_name() -> None:
    one, same, other = (torch.rand(9, generator=generator(3, name)) for name in ("model", "model", "probe"))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
