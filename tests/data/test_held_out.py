import pytest

from memvos.data.held_out import hold_out
from memvos.data.meta import MetaObject
from memvos.errors import InputError

META = {f"v{k:02d}": {1: MetaObject("abcdefghij"[k % 10], None)} for k in range(60)}


def test_no_training_video_shows_an_unseen_category():
    split = hold_out(META, videos=12, unseen=2)
    assert len(split.held_out) == 12
    assert len(split.unseen) == 2
    assert not set(split.seen) & set(split.unseen)
    assert not {META[name][1].category for name in split.train} & set(split.unseen)
    strange = [name for name in split.held_out if META[name][1].category in split.unseen]
    assert len(strange) == 6  # half of twelve, out of 2 categories × 6 videos
    assert len(split.train) == 60 - 12 - 6  # the other six of the unseen categories are in neither part
    assert not set(split.train) & set(split.held_out)


def test_the_split_depends_on_the_seed_only():
    backwards = dict(reversed(META.items()))
    assert hold_out(META, 12, 2) == hold_out(backwards, 12, 2)
    assert hold_out(META, 12, 2) != hold_out(META, 12, 2, seed=1)


def test_more_than_there_is_cannot_be_held_out():
    with pytest.raises(InputError, match=r"got 10 categories in 60 videos, to hold out 10 and 12 .*lower unseen="):
        hold_out(META, 12, 10)
    with pytest.raises(InputError, match="got 10 categories in 60 videos, to hold out 2 and 60"):
        hold_out(META, 60, 2)
    with pytest.raises(InputError, match=r"holding out 59 of 60 videos leaves none to train on; lower videos="):
        hold_out(META, 59, 9)
