from functools import partial

import pytest
import torch

from memvos.errors import InputError
from memvos.model.backbone import ResNet
from memvos.model.detector import Detector, PublishedDetector, targets_of
from memvos.model.interface import NOWHERE
from memvos.model.proposal_sources import DetectorProposals, detect


def small(**options) -> Detector:
    torch.manual_seed(0)
    return Detector(partial(ResNet, 18, width=8), **{"width": 16, "hidden": 16, "proposals": 20, "most": 8, **options})


def objects() -> torch.Tensor:
    masks = torch.zeros(3, 64, 64)
    masks[0, 10:30, 20:40], masks[1, 40:60, 5:25] = 1, 1
    return masks


def test_targets_are_boxes_and_masks_of_the_objects_that_are_there():
    targets = targets_of(objects())
    assert targets["boxes"].tolist() == [[20, 10, 40, 30], [5, 40, 25, 60]]
    assert targets["labels"].tolist() == [1, 1]
    assert targets["masks"].shape == (2, 64, 64)
    nothing = targets_of(torch.zeros(2, 64, 64))
    assert nothing["boxes"].shape == (0, 4)
    assert nothing["masks"].shape == (0, 64, 64)


def test_it_learns_from_images_with_and_without_objects():
    net = small().train()
    losses = net([torch.rand(3, 64, 64)] * 2, [targets_of(objects()), targets_of(torch.zeros(1, 64, 64))])
    loss = sum(losses.values())
    loss.backward()
    assert loss.isfinite()
    assert net.detector.roi_heads.mask_predictor.mask_fcn_logits.weight.grad is not None


def test_it_finds_small_masks_on_boxes_in_pixels_of_the_image():
    net = small(score=0.0).eval()
    with torch.no_grad():
        (found,) = net([torch.rand(3, 48, 64)])
    assert found["masks"].shape[1:] == (1, 28, 28)
    assert found["boxes"][:, 2].max() <= 64
    proposals = detect(net, torch.zeros(2, 3, 64, 64), NOWHERE, most=5)
    assert proposals.boxes.shape[0] == 2
    assert proposals.valid.shape[1] <= 5


def test_the_weights_of_a_training_are_loaded_strictly(tmp_path):
    net, other = small(), small()
    with torch.no_grad():
        net.detector.roi_heads.box_predictor.cls_score.bias.fill_(0.25)
    torch.save({"state_dict": {f"model.{k}": v for k, v in net.state_dict().items()}}, tmp_path / "final.ckpt")
    other.load(tmp_path / "final.ckpt")
    assert other.detector.roi_heads.box_predictor.cls_score.bias.tolist() == [0.25, 0.25]
    with pytest.raises(InputError, match=r"not weights of this detector: missing nothing.*of another shape"):
        small(hidden=8).load(tmp_path / "final.ckpt")
    torch.save({"one": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(InputError, match="not weights of this detector: missing"):
        other.load(tmp_path / "other.pth")
    name = "detector.roi_heads.box_predictor.cls_score.bias"
    torch.save({**net.state_dict(), name: torch.zeros(2, dtype=torch.int8)}, tmp_path / "quantised.pth")
    with pytest.raises(InputError, match=rf"{name} is dense int8, expected a dense tensor of float16"):
        other.load(tmp_path / "quantised.pth")


def test_a_source_loads_its_detector_when_it_is_first_asked(tmp_path):
    net = small()
    torch.save(net.state_dict(), tmp_path / "detector.pth")
    source = DetectorProposals(small, tmp_path / "detector.pth", most=3)
    assert source(torch.zeros(1, 3, 64, 64), NOWHERE).valid.shape[1] <= 3
    assert not source._detector.training


def test_a_source_finds_what_its_detector_finds(tmp_path):
    net, image = small(), torch.rand(2, 3, 64, 64)
    torch.save(net.state_dict(), tmp_path / "detector.pth")
    found, expected = (
        DetectorProposals(small, tmp_path / "detector.pth")(image, NOWHERE),
        detect(net.eval(), image, NOWHERE),
    )
    assert expected.valid.all(dim=1).any()
    for name in ("boxes", "masks", "scores"):
        torch.testing.assert_close(getattr(found, name), getattr(expected, name), atol=1e-4, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("version", [1, 2])
def test_torchvisions_networks_are_built_and_loaded_without_a_download(tmp_path, version):
    net = PublishedDetector(version, short_side=64)
    torch.save(net.detector.state_dict(), tmp_path / "coco.pth")
    net.load(tmp_path / "coco.pth")
    assert (net.detector.backbone.body.bn1.eps == 0) == (version == 1)
    with torch.no_grad():
        (found,) = net.eval()([torch.rand(3, 64, 96)])
    assert found["masks"].shape[1:] == (1, 28, 28)


def test_an_unknown_version_is_refused():
    with pytest.raises(InputError, match="unknown version 3 of torchvision's Mask R-CNN; expected 1 or 2"):
        PublishedDetector(3)
