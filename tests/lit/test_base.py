from functools import partial

import pytest
import pytorch_lightning as pl
import torch
from torch import nn

from memvos.errors import InputError
from memvos.lit.base import by_steps, plain

ADAM = partial(torch.optim.Adam, lr=1e-2)
HALVES = partial(torch.optim.lr_scheduler.StepLR, step_size=1, gamma=0.5)


class Module(pl.LightningModule):
    """Two convolutions, one of them called key, and a part that is left out."""

    def __init__(self):
        super().__init__()
        self.key, self.decoder, self.quality = nn.Conv2d(4, 2, 1), nn.Conv2d(8, 1, 1), nn.Identity()


def test_plain_facts_stay_as_they_are():
    assert plain({"model": {"_target_": "some.Model", "width": [1, 2]}, "weights": None}) == {
        "model": {"_target_": "some.Model", "width": [1, 2]},
        "weights": None,
    }


def test_a_fact_that_is_not_plain_is_refused():
    with pytest.raises(TypeError, match="plain values only, got object for 'model'; convert a configuration"):
        plain({"model": object()})


def test_parts_of_the_network_learn_at_their_own_rate_and_factors_multiply():
    module = Module()
    groups = by_steps(module, ADAM, HALVES, {"key": 0.1, "bias": 0.5, "quality": 0.2})["optimizer"].param_groups
    rates = {id(parameter): group["lr"] for group in groups for parameter in group["params"]}
    assert len(rates) == len(list(module.parameters()))
    assert rates[id(module.key.weight)] == pytest.approx(1e-3)
    assert rates[id(module.key.bias)] == pytest.approx(5e-4)
    assert rates[id(module.decoder.bias)] == pytest.approx(5e-3)
    assert rates[id(module.decoder.weight)] == pytest.approx(1e-2)


def test_without_factors_there_is_one_group_and_the_schedule_goes_by_steps():
    made = by_steps(Module(), ADAM, HALVES, {})
    schedule = made["lr_scheduler"]["scheduler"]
    made["optimizer"].step()
    schedule.step()
    assert [group["lr"] for group in made["optimizer"].param_groups] == [5e-3]
    assert made["lr_scheduler"]["interval"] == "step"


def test_a_learning_rate_factor_of_no_part_is_refused():
    with pytest.raises(ValueError, match=r"no part of the network is named like projection\.key; correct lit"):
        by_steps(Module(), ADAM, HALVES, {"projection.key": 0.1})


@pytest.mark.parametrize(
    ("rate", "factors", "message"),
    [
        (-1.0, {}, "optimizer: Invalid learning rate: -1.0; correct learning_rate"),
        ("fast", {"key": 0.1}, "expected learning_rate as a number from 0, got 'fast'"),
    ],
)
def test_a_learning_rate_that_is_none_is_refused(rate, factors, message):
    with pytest.raises(InputError, match=message):
        by_steps(Module(), partial(torch.optim.Adam, lr=rate), HALVES, factors)
