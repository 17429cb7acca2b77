import albumentations
import numpy as np
import pytest

from memvos.data.clip import IMAGENET_MEAN
from memvos.data.transforms import (
    MEAN_COLOUR,
    Augmentation,
    ClipColour,
    StaticWarp,
    VideoWarp,
    static_transforms,
    video_transforms,
)
from memvos.errors import InputError

STILL = {"flip": 0, "frame_angle": 0, "frame_shear": 0}


def picture(height=60, width=80):
    """Image and mask of a disk: red on blue."""
    y, x = np.mgrid[:height, :width]
    mask = ((x - 35) ** 2 + (y - 30) ** 2 < 15**2).astype(np.uint8)
    return np.where(mask[..., None], (250, 10, 10), (10, 10, 250)).astype(np.uint8), mask


def clip(frames=3):
    image, mask = picture()
    return np.stack([image] * frames), np.stack([mask] * frames)


def redness(images):
    return (images[..., 0].astype(int) - images[..., 2]) > 0


@pytest.mark.parametrize(
    ("given", "told"),
    [({"size": 0}, "size as a whole number from 1"), ({"frame_angle": "abc"}, "frame_angle as a number from 0"),
     ({"scale": 0.5}, r"scale \(data.crop\) as \[SMALLEST, LARGEST\]"), ({"frame_shear": None}, "frame_shear as a"),
     ({"scale": [0, 1]}, r"scale \(data.crop\) as a number above 0")],
)  # fmt: skip
@pytest.mark.parametrize("kind", [StaticWarp, VideoWarp])
def test_amounts_that_are_no_numbers_are_refused(kind, given, told):
    with pytest.raises(InputError, match=f"expected {told}"):
        kind(**{"size": 32, **given})


def test_a_static_warp_makes_at_least_one_frame():
    with pytest.raises(InputError, match="expected frames as a whole number from 1, got 0"):
        StaticWarp(32, frames=0)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("kind", ["static", "video"])
def test_masks_stay_on_their_objects(kind, seed):
    image, mask = picture()
    data = (image[None], mask[None]) if kind == "static" else clip()
    warp = StaticWarp(96) if kind == "static" else VideoWarp(96)
    images, masks = Augmentation([warp])(*data, np.random.default_rng(seed))
    assert images.shape == (3, 96, 96, 3)
    assert masks.shape == (3, 96, 96)
    outside = (images == MEAN_COLOUR).all(-1)
    wrong = (redness(images) != (masks > 0)) & ~outside
    assert wrong.mean() < 0.02  # only pixels on the edge, where the image is interpolated


@pytest.mark.parametrize("make", [static_transforms, video_transforms])
def test_equal_seeds_give_equal_clips_and_others_do_not(make):
    image, mask = picture()
    data = (image[None], mask[None]) if make is static_transforms else clip()
    augment = Augmentation(make(64))
    first = augment(*data, np.random.default_rng(5))
    again = augment(*data, np.random.default_rng(5))
    other = augment(*data, np.random.default_rng(6))
    assert (first[0] == again[0]).all()
    assert (first[1] == again[1]).all()
    assert (first[0] != other[0]).any()


def test_the_frames_of_a_pseudo_video_differ():
    image, mask = picture()
    images, masks = Augmentation(static_transforms(64, frames=4))(image[None], mask[None], np.random.default_rng(0))
    assert images.shape[0] == masks.shape[0] == 4
    assert all((masks[0] != masks[t]).any() for t in (1, 2, 3))


def test_crop_and_flip_are_shared_by_the_frames_of_a_video():
    images, masks = Augmentation([VideoWarp(64, flip=0.5, frame_angle=0, frame_shear=0)])(
        *clip(), np.random.default_rng(1)
    )
    assert (images[0] == images[1]).all()
    assert (masks[0] == masks[2]).all()


def test_tilts_are_drawn_for_every_frame():
    _, masks = Augmentation([VideoWarp(64, scale=(1, 1), flip=0)])(*clip(), np.random.default_rng(1))
    assert (masks[0] != masks[1]).any()
    assert (masks[1] != masks[2]).any()


def test_without_chance_a_static_warp_only_resizes_and_crops():
    image = np.repeat(np.arange(8, dtype=np.uint8)[:, None] * 20, 8, 1)[..., None].repeat(3, -1)
    warp = StaticWarp(8, scale=(1, 1), frame_scale=(1, 1), bend=0, **STILL)
    images, masks = Augmentation([warp])(image[None], image[None, ..., 0], np.random.default_rng(0))
    assert (images == image).all()
    assert (masks == image[..., 0]).all()


def test_a_crop_of_the_whole_square_image_is_the_image():
    image = np.random.default_rng(0).integers(0, 255, (16, 16, 3), np.uint8)
    warp = VideoWarp(16, scale=(1, 1), ratio=(1, 1), **STILL)
    images, _ = Augmentation([warp])(image[None], image[None, ..., 0], np.random.default_rng(0))
    assert (images[0] == image).all()


def test_a_crop_that_never_fits_is_the_largest_of_an_allowed_ratio():
    warp = VideoWarp(10, scale=(1, 1), ratio=(1, 1), **STILL)
    tall = np.zeros((40, 10), np.uint8)
    tall[20:] = 1
    _, masks = Augmentation([warp])(np.zeros((1, 40, 10, 3), np.uint8), tall[None], np.random.default_rng(0))
    assert masks.shape == (1, 10, 10)
    assert len({tuple(row) for row in masks[0].T}) == 1  # a 10×10 piece of it, undistorted


def test_the_fill_is_the_imagenet_mean():
    assert np.allclose(np.array(MEAN_COLOUR) / 255, IMAGENET_MEAN, atol=0.002)


def test_half_of_the_sequences_are_flipped():
    image = np.zeros((1, 8, 8, 3), np.uint8)
    mask = np.zeros((1, 8, 8), np.uint8)
    mask[:, :, :4] = 1
    augment = Augmentation([VideoWarp(8, scale=(1, 1), ratio=(1, 1), frame_angle=0, frame_shear=0)])
    flipped = sum(augment(image, mask, np.random.default_rng(seed))[1][0, 0, 0] == 0 for seed in range(200))
    assert 75 < flipped < 125


def test_geometry_and_colour_draw_from_one_stream():
    # were every transform seeded alike, flipped clips would all be of the same brightness
    image = np.full((1, 8, 8, 3), 100, np.uint8)
    mask = np.zeros((1, 8, 8), np.uint8)
    mask[:, :, :4] = 1
    chain = [
        VideoWarp(8, scale=(1, 1), ratio=(1, 1), frame_angle=0, frame_shear=0),
        ClipColour((0.5, 0, 0, 0), (0,) * 4),
    ]
    augment = Augmentation(chain)
    drawn = [augment(image, mask, np.random.default_rng(seed)) for seed in range(60)]
    bright = [images[0, 0, 0, 0] > 100 for images, masks in drawn if masks[0, 0, 0] == 0]
    assert 0.2 < np.mean(bright) < 0.8


def test_sequence_colours_are_shared_and_frame_colours_are_not():
    images, masks = clip()
    shared, _ = Augmentation([ClipColour((0.4, 0.4, 0.4, 0.1), (0,) * 4)])(images, masks, np.random.default_rng(0))
    assert (shared[0] == shared[1]).all()
    assert (shared[0] != images[0]).any()
    single, _ = Augmentation([ClipColour((0,) * 4, (0.4, 0.4, 0, 0), grey=0)])(images, masks, np.random.default_rng(0))
    assert (single[0] != single[1]).any()


def test_a_grey_clip_is_grey_in_every_frame():
    images, _ = Augmentation([ClipColour((0,) * 4, (0,) * 4, grey=1)])(*clip(), np.random.default_rng(0))
    assert (images[..., 0] == images[..., 1]).all()
    assert (images[..., 1] == images[..., 2]).all()


def test_any_albumentations_transform_can_be_added():
    images, masks = clip()
    flipped = Augmentation([albumentations.VerticalFlip(p=1)])(images, masks, np.random.default_rng(0))
    assert (flipped[0] == images[:, ::-1]).all()
    assert (flipped[1] == masks[:, ::-1]).all()
