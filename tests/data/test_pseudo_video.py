import numpy as np
import pytest
from PIL import Image

from memvos.data.pseudo_video import PseudoVideos
from memvos.data.sampling import Source
from memvos.data.transforms import Augmentation, static_transforms
from memvos.data.trees import DavisTree, ImageTree
from memvos.errors import InputError


def pseudo_videos(*sources, size=64, **options):
    return PseudoVideos([Source.of(source) for source in sources], Augmentation(static_transforms(size)), **options)


def test_a_clip_has_three_frames_of_one_object(static_root):
    clip = pseudo_videos(ImageTree(static_root))[0, 0.0]
    assert clip.frames.shape == (3, 3, 64, 64)
    assert clip.masks.shape == (3, 1, 64, 64)
    assert clip.valid.tolist() == [True]
    assert clip.masks[0].sum() >= 16


def test_a_sample_is_a_function_of_seed_and_number(static_root):
    one, same, other = (pseudo_videos(ImageTree(static_root), seed=seed) for seed in (3, 3, 4))
    one[1, 0.0]
    assert (one[7, 0.0].frames == same[7, 0.5].frames).all()
    assert (one[7, 0.0].frames != other[7, 0.0].frames).any()
    assert (one[7, 0.0].frames != one[10, 0.0].frames).any()  # the same image in another round


def test_frames_of_videos_are_images_too_and_sources_have_shares(davis_root, static_root):
    clips = pseudo_videos({"tree": ImageTree(static_root), "repeat": 4}, DavisTree(davis_root, "val"))
    names = [clips[n, 0.0].name for n in range(len(clips))]
    assert len(clips) == 3 * 4 + 6
    assert sum(name.startswith("dog/") for name in names) == 6
    assert names.count("00001") == 4


def test_several_objects_may_be_chosen(static_root):
    clips = pseudo_videos(ImageTree(static_root), max_objects=3)
    counts = {int(clips[n, 0.0].valid.sum()) for n in range(12)}
    assert max(counts) == 2
    assert clips[0, 0.0].masks.shape[1] == 3


def test_images_without_an_object_are_passed_over(static_root):
    Image.new("L", (64, 48)).save(static_root / "masks/00001.png")
    clips = pseudo_videos(ImageTree(static_root))
    assert "00001" not in {clips[n, 0.0].name for n in range(12)}


def test_masks_without_any_object_are_an_error(static_root):
    for t in range(3):
        Image.new("L", (64, 48)).save(static_root / f"masks/0000{t}.png")
    with pytest.raises(InputError, match=r"no object was left after the augmentation of 20 images.*lower min_pixels"):
        pseudo_videos(ImageTree(static_root))[0, 0.0]


def test_an_object_has_a_pixel_at_least(static_root):
    with pytest.raises(InputError, match="expected min_pixels as a whole number from 1, got 0"):
        pseudo_videos(ImageTree(static_root), min_pixels=0)


def test_masks_are_zero_or_one(static_root):
    masks = pseudo_videos(ImageTree(static_root))[2, 0.0].masks.numpy()
    assert set(np.unique(masks)) == {0, 1}
