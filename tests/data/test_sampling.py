import numpy as np
import pytest
import torch

from memvos.data.clip import normalise
from memvos.data.sampling import MaxSkip, Rounds, Source, choose_objects, make_clip, sample_frames
from memvos.data.trees import ImageTree
from memvos.errors import InputError


def test_the_davis_curriculum_widens_then_narrows_at_the_released_shares():
    skip = MaxSkip("davis")
    shares = (0, 0.05, 0.1, 0.15, 0.25, 0.35, 0.5, 0.8, 0.95, 1)
    assert [skip.at(share) for share in shares] == [5, 5, 5, 10, 15, 25, 10, 5, 1, 1]


def test_the_youtube_curriculum_counts_annotated_frames():
    assert [MaxSkip("youtube").at(share) for share in (0, 0.15, 0.25, 0.35, 0.5, 0.8, 0.95)] == [1, 2, 3, 4, 5, 2, 1]


def test_the_curriculum_of_mivos_is_one_list_in_frames_for_both_sets():
    shares = (0, 0.15, 0.25, 0.35, 0.5, 0.85, 0.95)
    assert [MaxSkip("mivos").at(share) for share in shares] == [5, 10, 15, 20, 25, 25, 5]
    assert all(5 * MaxSkip("mivos_youtube").at(share) == MaxSkip("mivos").at(share) for share in shares)


def test_a_curriculum_may_be_one_number_or_pairs():
    assert MaxSkip(7).at(0.3) == 7
    assert [MaxSkip([[0.5, 2], [1, 4]]).at(share) for share in (0.5, 0.6)] == [2, 4]


@pytest.mark.parametrize("schedule", [[[0.5, 2]], [[0.6, 2], [0.5, 1], [1, 1]], [[1, 0]], []])
def test_a_curriculum_with_gaps_is_refused(schedule):
    with pytest.raises(InputError, match=r"expected pairs \[share, skip\], shares rising to 1, skips from 1"):
        MaxSkip(schedule)


def test_an_unknown_curriculum_names_the_known_ones():
    with pytest.raises(InputError, match=r"got max_skip='fast'; expected one of davis, youtube, bl30k"):
        MaxSkip("fast")


@pytest.mark.parametrize("count", [3, 4, 10, 90])
@pytest.mark.parametrize("max_skip", [1, 5, 25])
def test_frames_rise_by_at_most_the_skip_and_never_coincide(count, max_skip):
    for seed in range(200):
        frames = sample_frames(count, 3, max_skip, np.random.default_rng(seed))
        steps = np.diff(frames)
        assert all(0 <= frame < count for frame in frames)
        assert steps.min() >= 1
        assert steps.max() <= max_skip


def test_all_steps_and_starts_occur():
    drawn = [sample_frames(10, 3, 2, np.random.default_rng(seed)) for seed in range(500)]
    assert {step for frames in drawn for step in np.diff(frames)} == {1, 2}
    assert {frames[0] for frames in drawn} == set(range(8))
    assert {frames[-1] for frames in drawn} == set(range(2, 10))


def test_time_is_reversed_as_often_as_asked():
    def reversed_in(share):
        drawn = [sample_frames(20, 3, 5, np.random.default_rng(seed), share) for seed in range(200)]
        return sum(frames[0] > frames[-1] for frames in drawn)

    assert reversed_in(0) == 0
    assert reversed_in(1) == 200
    assert 70 < reversed_in(0.5) < 130


def test_a_video_shorter_than_a_clip_repeats_its_last_frame():
    assert sample_frames(2, 3, 5, np.random.default_rng(0)) == [0, 1, 1]
    assert sample_frames(1, 3, 5, np.random.default_rng(0)) == [0, 0, 0]


def test_objects_are_drawn_among_those_large_enough():
    labels = np.zeros((10, 10), np.uint8)
    labels[:4], labels[4, :3], labels[6:] = 2, 3, 9
    drawn = [choose_objects(labels, 1, 5, np.random.default_rng(seed)) for seed in range(20)]
    assert {ids[0] for ids in drawn} == {2, 9}
    assert sorted(choose_objects(labels, 5, 1, np.random.default_rng(0))) == [2, 3, 9]
    assert choose_objects(np.zeros((4, 4), np.uint8), 2, 1, np.random.default_rng(0)) == []


def test_a_clip_holds_the_chosen_objects_and_nothing_else():
    images = np.random.default_rng(0).integers(0, 255, (2, 4, 5, 3), np.uint8)
    labels = np.zeros((2, 4, 5), np.uint8)
    labels[0, 0], labels[1, 1], labels[:, 3] = 4, 4, 7
    clip = make_clip(images, labels, [4], 2, "here", range(len(labels)))
    assert clip.masks.shape == (2, 2, 4, 5)
    assert clip.masks[0, 0, 0].tolist() == [1] * 5
    assert clip.masks.sum() == 10  # object 7 is background
    assert clip.valid.tolist() == [True, False]
    assert clip.name == "here"
    assert torch.allclose(clip.frames, normalise(torch.from_numpy(images)), atol=1e-6)
    assert clip.frames.is_contiguous()


def test_every_round_has_every_item_once():
    rounds = Rounds(7, seed=1)
    first, second = [[rounds[k * 7 + n] for n in range(7)] for k in (0, 1)]
    assert sorted(first) == sorted(second) == list(range(7))
    assert first != second
    assert [rounds[n] for n in (3, 10, 3)] == [first[3], second[3], first[3]]
    assert [Rounds(7, seed=1)[n] for n in range(7)] == first
    assert [Rounds(7, seed=2)[n] for n in range(7)] != first


def test_no_item_at_all_is_refused():
    with pytest.raises(InputError, match=r"got no training item; expected at least one image or video"):
        Rounds(0, seed=1)


def test_a_source_is_made_of_a_tree_or_of_a_configuration(static_root):
    tree = ImageTree(static_root)
    assert Source.of(tree) == Source(tree, 1, None)
    source = Source.of({"tree": tree, "repeat": 5, "max_skip": "youtube"})
    assert (source.repeat, source.max_skip.at(0.5)) == (5, 5)
    assert Source.of(source) is source
    with pytest.raises(InputError, match=r"got a data source with tree, weight; expected tree, repeat and max_skip"):
        Source.of({"tree": tree, "weight": 2})
    with pytest.raises(InputError, match=r"got repeat=0 for static; expected 1 or more"):
        Source.of({"tree": tree, "repeat": 0})


def test_a_clip_keeps_how_far_its_frames_are_apart():
    images, labels = np.zeros((3, 4, 4, 3), np.uint8), np.zeros((3, 4, 4), np.uint8)
    assert make_clip(images, labels, [], 1, "here", [9, 5, 4]).times.tolist() == [0, 4, 5]
