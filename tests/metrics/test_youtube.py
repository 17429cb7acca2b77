import math

import numpy as np
import pytest

from memvos.metrics import ObjectScore, seen_unseen, summarise


def score(category, j, f):
    return ObjectScore("v", 1, np.array(j, float), np.array(f, float), np.ones(len(j), bool), (), category)


def test_g_is_the_mean_of_four():
    scores = [score("dog", [0.8, 0.6], [0.9, 0.9]), score("dog", [0.5], [0.7]), score("yak", [0.2], [0.4])]
    # seen: J = mean(0.7, 0.5), F = mean(0.9, 0.7); unseen: 0.2, 0.4
    assert seen_unseen(scores, ["dog"]) == pytest.approx(
        {
            "G": (0.6 + 0.8 + 0.2 + 0.4) / 4,
            "J_G": (0.6 + 0.2) / 2,
            "F_G": (0.8 + 0.4) / 2,
            "J_seen": 0.6,
            "F_seen": 0.8,
            "J_unseen": 0.2,
            "F_unseen": 0.4,
        }
    )


def test_without_unseen_objects_there_is_no_g():
    values = seen_unseen([score("dog", [1], [1])], ["dog"])
    assert values["J_seen"] == 1
    assert math.isnan(values["J_unseen"])
    assert all(math.isnan(values[name]) for name in ("G", "J_G", "F_G"))


def test_every_object_needs_a_category():
    with pytest.raises(ValueError, match="object 1 of v has no category; expected one for every object"):
        seen_unseen([score("", [1], [1])], ["dog"])


def test_categories_are_summed_up():
    summary = summarise([score("dog", [0.8], [0.6]), score("yak", [0.2], [0.4]), score("", [0.2], [0.4])])
    assert summary.categories["dog"]["J&F"] == pytest.approx(0.7)
    assert summary.categories["yak"]["objects"] == 1
    assert list(summary.categories) == ["dog", "yak"]
