from functools import partial

import pytest
import torch

from memvos.model.backbone import ResNet
from memvos.model.interface import Memory
from memvos.model.start import AsIs, MatchedKeys, SpreadKeys


def test_as_is_changes_nothing(tiny):
    model, same = tiny(), tiny(start=AsIs())
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), same.state_dict().values(), strict=True))


@pytest.mark.parametrize("deviation", [1.0, 3.0])
def test_matched_keys_have_about_the_asked_deviation_on_other_images(tiny, deviation):
    model = tiny(start=MatchedKeys(deviation))
    image = torch.nn.functional.interpolate(torch.randn(1, 3, 16, 16), size=(64, 64), mode="bilinear")
    query = model.query(image)
    record = model.memorize(query, torch.zeros(1, 1, 64, 64))
    key = model.query_projection.key(query.features.f16)
    assert model.read.statistics(key, Memory.stack([record]))["logit_std"] == pytest.approx(deviation, rel=0.6)


def test_matched_trunks_are_equal_but_for_the_mask_channels_of_the_stem(tiny):
    model = tiny(start=MatchedKeys())
    query, memory = model.query_encoder.trunk.state_dict(), model.memory_encoder.trunk.state_dict()
    assert torch.equal(memory["conv1.weight"][:, :3], query["conv1.weight"])
    assert memory["conv1.weight"].shape[1] == 5
    assert all(torch.equal(memory[name], query[name]) for name in query if name != "conv1.weight")


def test_a_position_matches_itself_better_than_the_others(tiny):
    torch.manual_seed(0)
    model = tiny(start=MatchedKeys(), key_channels=16)
    with torch.no_grad():
        model.memory_encoder.trunk.conv1.weight[:, 3:].zero_()  # let both sides see the image alone
        MatchedKeys()(model)
        query = model.query(torch.randn(1, 3, 64, 64))
        record = model.memorize(query, torch.zeros(1, 1, 64, 64))
        logits = model.read.similarity(
            model.query_projection.key(query.features.f16).flatten(2), record.key[:, 0].flatten(2)
        )[0]
    own, others = logits.diagonal().mean(), logits.mean()
    assert own > others + logits.std()


def test_the_start_does_not_depend_on_the_random_state(tiny):
    torch.manual_seed(5)
    one = ResNet(18, width=4)
    assert one.report is None
    models = [tiny(), tiny()]
    for seed, model in enumerate(models):
        torch.manual_seed(seed)
        MatchedKeys()(model)
    assert torch.equal(models[0].query_projection.key.weight, models[1].query_projection.key.weight)


@pytest.mark.parametrize("deviation", [1.0, 3.0])
def test_shared_keys_have_about_the_asked_deviation_on_other_images(tiny_stcn, deviation):
    torch.manual_seed(1)
    model = tiny_stcn(start=SpreadKeys(deviation))
    image = torch.nn.functional.interpolate(torch.randn(1, 3, 16, 16), size=(64, 64), mode="bilinear")
    query = model.query(image)
    memory = Memory.stack([model.memorize(query, torch.zeros(1, 1, 64, 64))])
    assert model.read.statistics(query.features.key, memory)["logit_std"] == pytest.approx(deviation, rel=0.6)


def test_biases_that_only_the_memory_trunk_has_stay(tiny_mivos):
    model = tiny_mivos(backbone=partial(ResNet, 18, width=4, output_stride=8, conv_bias=True), start=MatchedKeys())
    memory = model.memory_encoder.trunk.state_dict()
    assert memory["conv1.bias"].count_nonzero() == 0
    assert torch.equal(memory["layer3.0.conv1.weight"], model.query_encoder.trunk.layer3[0].conv1.weight)
