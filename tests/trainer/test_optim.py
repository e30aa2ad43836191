import io
import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from trainer.config import PretrainConfig
from trainer.lars import LARS
from trainer.model import build_model
from trainer.optim import (
    build_optimizer,
    clip_gradients,
    grad_norm,
    make_capturable,
    make_plain,
    parameter_groups,
    plain_state,
    set_learning_rate,
)
from trainer.schedule import learning_rate


def config(**settings: Any) -> PretrainConfig:
    return PretrainConfig(**settings)


def small_model() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(13, 7), nn.BatchNorm1d(7), nn.ReLU(), nn.Linear(7, 3))


def give_gradients(model: nn.Module, step: int) -> None:
    generator = torch.Generator().manual_seed(step)
    for parameter in model.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)


def rates_of_torch(settings: PretrainConfig, count: int) -> list[float]:
    """The rates that torch's own scheduler gives to `count` periods of a run."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=settings.learning_rate)
    floor = settings.learning_rate * settings.learning_rate_floor
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=count, eta_min=floor)
    rates = []
    for _ in range(count):
        rates.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize("epochs", [1, 2, 15, 500])
def test_the_epoch_schedule_is_torchs_cosine_stepped_per_epoch(epochs: int) -> None:
    settings = config(epochs=epochs, schedule="epoch")
    ours = [learning_rate(epoch * 390 + 1, 390, settings) for epoch in range(epochs)]
    assert ours == pytest.approx(rates_of_torch(settings, epochs), rel=1e-12)


def test_the_step_schedule_is_the_same_cosine_over_all_steps() -> None:
    settings = config(epochs=6, schedule="step")
    ours = [learning_rate(step, 50, settings) for step in range(1, 301)]
    assert ours == pytest.approx(rates_of_torch(settings, 300), rel=1e-12)


def test_the_tutorials_run_begins_and_ends_where_its_event_file_does() -> None:
    settings = config()
    assert learning_rate(1, 390, settings) == 5e-4
    assert learning_rate(500 * 390, 390, settings) == pytest.approx(1.0005e-5, rel=2e-5)


def test_the_epoch_schedule_changes_only_between_epochs() -> None:
    settings = config(epochs=10, schedule="epoch", warmup_epochs=3)
    rates = [learning_rate(step, 7, settings) for step in range(1, 71)]
    for epoch in range(10):
        assert len(set(rates[epoch * 7 : epoch * 7 + 7])) == 1
    assert len(set(rates)) == 9  # the last epoch of the warm-up already has the highest rate


def test_both_schedules_agree_at_the_first_step_of_each_epoch() -> None:
    by_epoch, by_step = config(epochs=20, schedule="epoch"), config(epochs=20, schedule="step")
    for epoch in range(20):
        first = epoch * 11 + 1
        assert learning_rate(first, 11, by_epoch) == pytest.approx(learning_rate(first, 11, by_step), rel=1e-12)


def test_the_warm_up_grows_linearly_to_the_highest_rate() -> None:
    settings = config(epochs=10, schedule="step", warmup_epochs=2, learning_rate=0.3)
    rates = [learning_rate(step, 5, settings) for step in range(1, 51)]
    assert rates[:10] == pytest.approx([0.3 * k / 10 for k in range(1, 11)])
    assert rates[10] == 0.3
    assert all(later < earlier for earlier, later in itertools.pairwise(rates[10:]))
    assert rates[30] == pytest.approx(0.3 * (1 + 0.02) / 2)  # the middle of the cosine


def test_the_warm_up_of_the_epoch_schedule_counts_epochs() -> None:
    settings = config(epochs=10, schedule="epoch", warmup_epochs=4, learning_rate=0.4)
    rates = [learning_rate(epoch * 5 + 3, 5, settings) for epoch in range(10)]
    assert rates[:5] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.4])
    assert rates[5] < 0.4


@pytest.mark.parametrize("warmup", [0.1, 0.5, 1.3, 2.0])
@pytest.mark.parametrize("schedule", ["step", "epoch"])
def test_every_rate_lies_between_zero_and_the_highest(warmup: float, schedule: str) -> None:
    settings = config(epochs=2, schedule=schedule, warmup_epochs=warmup, learning_rate=0.1)
    rates = [learning_rate(step, 10, settings) for step in range(1, 21)]
    assert all(0 < rate <= 0.1 for rate in rates)


def test_the_rate_stays_at_the_floor_beyond_the_last_step() -> None:
    for settings in (config(epochs=2), config(epochs=2, warmup_epochs=2, schedule="step")):
        assert learning_rate(1000, 10, settings) == pytest.approx(5e-4 * 0.02)


def test_a_floor_of_one_keeps_the_rate_constant() -> None:
    settings = config(epochs=4, schedule="step", learning_rate_floor=1.0)
    assert {learning_rate(step, 5, settings) for step in range(1, 21)} == {5e-4}


def test_steps_are_counted_from_one() -> None:
    with pytest.raises(ValueError, match="counted from 1"):
        learning_rate(0, 10, config())
    with pytest.raises(ValueError, match="counted from 1"):
        learning_rate(1, 0, config())


def test_adamw_is_torchs_plain_adamw_with_decay_on_every_parameter() -> None:
    settings = config(learning_rate=1e-2, weight_decay=0.1)
    ours, theirs = small_model(), small_model()
    optimizer = build_optimizer(ours, settings)
    reference = torch.optim.AdamW(theirs.parameters(), lr=1e-2, weight_decay=0.1, foreach=False, fused=False)
    assert isinstance(optimizer, torch.optim.AdamW)
    (group,) = optimizer.param_groups
    assert [id(p) for p in group["params"]] == [id(p) for p in ours.parameters()]
    for step in range(1, 6):
        give_gradients(ours, step)
        give_gradients(theirs, step)
        optimizer.step()
        reference.step()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


def test_sgd_is_momentum_without_nesterov() -> None:
    settings = config(optimizer="sgd", learning_rate=0.1, weight_decay=0.01, momentum=0.8)
    model = small_model()
    optimizer = build_optimizer(model, settings)
    weights = [p.detach().double() for p in model.parameters()]
    velocities = [torch.zeros_like(w) for w in weights]
    for step in range(1, 5):
        give_gradients(model, step)
        optimizer.step()
        for i, parameter in enumerate(model.parameters()):
            assert parameter.grad is not None
            velocities[i] = 0.8 * velocities[i] + parameter.grad.double() + 0.01 * weights[i]
            weights[i] = weights[i] - 0.1 * velocities[i]
    for parameter, expected in zip(model.parameters(), weights, strict=True):
        torch.testing.assert_close(parameter.detach().double(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("decay_norm_and_bias", [True, False])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "lars"])
def test_a_run_that_saved_and_loaded_goes_on_bit_for_bit(optimizer: str, decay_norm_and_bias: bool) -> None:
    settings = config(optimizer=optimizer, learning_rate=1e-2, decay_norm_and_bias=decay_norm_and_bias)

    def step(model: nn.Module, update: torch.optim.Optimizer, number: int) -> None:
        set_learning_rate(update, learning_rate(number, 3, settings))
        give_gradients(model, number)
        update.step()

    model = small_model()
    update = build_optimizer(model, settings)
    for number in range(1, 4):
        step(model, update, number)
    file = io.BytesIO()
    torch.save({"model": model.state_dict(), "optimizer": update.state_dict()}, file)
    for number in range(4, 8):
        step(model, update, number)

    file.seek(0)
    payload = torch.load(file, weights_only=True)
    resumed = small_model()
    resumed.load_state_dict(payload["model"])
    resumed_update = build_optimizer(resumed, settings)
    resumed_update.load_state_dict(payload["optimizer"])
    for number in range(4, 8):
        step(resumed, resumed_update, number)

    for a, b in zip(model.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)
    states, resumed_states = update.state_dict(), resumed_update.state_dict()
    assert states["param_groups"] == resumed_states["param_groups"]
    for index, state in states["state"].items():
        for name, value in state.items():
            assert torch.equal(torch.as_tensor(value), torch.as_tensor(resumed_states["state"][index][name])), name


def test_a_rate_is_set_in_every_group() -> None:
    first, second = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
    groups: list[dict[str, Any]] = [{"params": [first]}, {"params": [second], "lr": 3.0}]
    optimizer = torch.optim.SGD(groups, lr=1.0)
    set_learning_rate(optimizer, 0.25)
    assert [group["lr"] for group in optimizer.param_groups] == [0.25, 0.25]


def test_a_rate_that_is_a_tensor_is_changed_in_place() -> None:
    rate = torch.tensor(1.0)
    optimizer = torch.optim.AdamW([nn.Parameter(torch.zeros(1))], lr=rate)
    kept = optimizer.param_groups[0]["lr"]
    set_learning_rate(optimizer, 0.25)
    assert optimizer.param_groups[0]["lr"] is kept
    assert kept.item() == 0.25


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "lars"])
def test_a_capturable_optimiser_takes_the_same_steps_and_saves_the_same_state(optimizer: str) -> None:
    """Bit for bit; LARS multiplies by its rate apart, so that its last bit may be another one."""
    settings = config(optimizer=optimizer, learning_rate=1e-2, decay_norm_and_bias=False)
    models = [small_model(), small_model()]
    plain, capturable = (build_optimizer(model, settings) for model in models)
    make_capturable(capturable, torch.device("cpu"))
    rates = [group["lr"] for group in capturable.param_groups]
    for number in range(1, 6):
        for model, update in zip(models, (plain, capturable), strict=True):
            give_gradients(model, number)
            set_learning_rate(update, number / 300)
            update.step()
    assert all(group["lr"] is rate for group, rate in zip(capturable.param_groups, rates, strict=True))
    saved = plain_state(capturable, 5 / 300)
    assert saved["param_groups"] == plain.state_dict()["param_groups"]
    rtol, atol = (1e-5, 1e-7) if optimizer == "lars" else (0.0, 0.0)
    for one, other in zip(*(model.parameters() for model in models), strict=True):
        torch.testing.assert_close(one, other, rtol=rtol, atol=atol)
    make_plain(capturable)
    assert [group["lr"] for group in capturable.param_groups] == [5 / 300] * 2
    assert not any(group.get("capturable") for group in capturable.param_groups)


def test_the_gradient_norm_is_that_of_all_gradients_together() -> None:
    model = small_model()
    give_gradients(model, 1)
    next(iter(model.parameters())).grad = None
    values = [x for p in model.parameters() if p.grad is not None for x in p.grad.flatten().tolist()]
    norm = grad_norm(model.parameters())
    assert isinstance(norm, Tensor)
    assert norm.shape == ()
    assert not norm.requires_grad
    assert norm.item() == pytest.approx(math.hypot(*values), rel=1e-6)


def test_a_gradient_that_is_not_finite_gives_a_norm_that_is_not() -> None:
    model = small_model()
    give_gradients(model, 1)
    parameter = next(iter(model.parameters()))
    assert parameter.grad is not None
    parameter.grad[0, 0] = math.nan
    assert grad_norm(model.parameters()).isnan()


def undecayed_by_lightly(model: nn.Module) -> set[str]:
    """lightly's get_weight_decay_parameters: all of a norm layer, and whatever is named bias."""
    norms = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm)
    names = set()
    for path, module in model.named_modules():
        for name, _ in module.named_parameters(recurse=False):
            if isinstance(module, norms) or name.endswith("bias"):
                names.add(f"{path}.{name}")
    return names


@pytest.mark.parametrize(
    ("backbone", "some"),
    [
        ("resnet18", {"encoder.bn1.weight", "encoder.layer2.0.downsample.1.bias", "head.1.weight", "head.4.bias"}),
        ("timm:test_vit", {"encoder.blocks.0.norm1.weight", "encoder.blocks.0.attn.qkv.bias"}),
        ("timm:test_efficientnet", {"encoder.blocks.0.0.bn1.weight"}),
    ],
)
def test_exactly_norms_and_biases_are_left_out_of_the_decay(backbone: str, some: set[str]) -> None:
    settings = config(backbone=backbone, head_batch_norm=True, decay_norm_and_bias=False)
    model = build_model(settings)
    name_of = {id(parameter): name for name, parameter in model.named_parameters()}
    decayed, undecayed = ({name_of[id(p)] for p in group["params"]} for group in parameter_groups(model, settings))
    assert undecayed == undecayed_by_lightly(model) > some
    assert decayed == set(name_of.values()) - undecayed
    assert [group.get("weight_decay") for group in parameter_groups(model, settings)] == [None, 0.0]


def test_a_head_with_biases_has_them_in_the_second_group() -> None:
    settings = config(backbone="resnet-narrow", decay_norm_and_bias=False)
    model = build_model(settings)
    (_, undecayed) = parameter_groups(model, settings)
    assert {id(p) for n, p in model.named_parameters() if n.startswith("head") and n.endswith("bias")} <= {
        id(p) for p in undecayed["params"]
    }


def test_decaying_all_makes_one_group_in_the_models_order() -> None:
    model = small_model()
    (group,) = parameter_groups(model, config())
    assert [id(p) for p in group["params"]] == [id(p) for p in model.parameters()]
    assert "weight_decay" not in group


SHRINKS = {"adamw": 0.5 * 0.1, "sgd": 0.5 * 0.1, "lars": 0.5 * 1e-3}
"""What a step of rate 0.5 and decay 0.1 takes off a weight whose gradient is 0; LARS sets the length itself."""


@pytest.mark.parametrize("optimizer", SHRINKS)
@pytest.mark.parametrize("decay_norm_and_bias", [True, False])
def test_without_a_gradient_what_is_decayed_shrinks_and_nothing_else_moves(
    optimizer: str, decay_norm_and_bias: bool
) -> None:
    settings = config(optimizer=optimizer, learning_rate=0.5, weight_decay=0.1, decay_norm_and_bias=decay_norm_and_bias)
    model = small_model()
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    update = build_optimizer(model, settings)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    update.step()
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1 or decay_norm_and_bias:
            torch.testing.assert_close(parameter.detach(), before[name] * (1 - SHRINKS[optimizer]), msg=name)
        else:
            assert torch.equal(parameter, before[name]), name


def test_lars_adapts_what_it_decays() -> None:
    for settings, adapted in (
        (config(optimizer="lars"), [True]),
        (config(optimizer="lars", decay_norm_and_bias=False), [True, False]),
        (config(optimizer="lars", decay_norm_and_bias=False, weight_decay=0.0), [True, False]),
    ):
        update = build_optimizer(small_model(), settings)
        assert isinstance(update, LARS)
        assert [group["adapt"] for group in update.param_groups] == adapted
        assert update.param_groups[0]["weight_decay"] == settings.weight_decay
        assert update.param_groups[0]["trust_coefficient"] == 1e-3


@pytest.mark.parametrize("limit", [1e-3, 0.7, 1e3])
def test_clipping_is_torchs(limit: float) -> None:
    ours, theirs = small_model(), small_model()
    give_gradients(ours, 1)
    give_gradients(theirs, 1)
    norm = grad_norm(ours.parameters())
    clip_gradients(ours.parameters(), limit, norm)
    reference = torch.nn.utils.clip_grad_norm_(theirs.parameters(), limit)
    assert torch.equal(norm, reference)  # before clipping
    for mine, others in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert mine.grad is not None
        assert others.grad is not None
        assert torch.equal(mine.grad, others.grad)
    assert grad_norm(ours.parameters()).item() == pytest.approx(min(limit, norm.item()), rel=1e-3)
