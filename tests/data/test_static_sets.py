import pytest

from memvos.data.static_sets import SETS, static_set
from memvos.errors import InputError


@pytest.mark.parametrize("name", SETS)
def test_every_published_static_set_is_found(tiny_sets, name):
    root = tiny_sets.make("static")[0].removeprefix("root=")
    tree = static_set(root, name)
    assert len(tree.images) == (6 if name == "FSS-1000" else 3)
    assert tree.images[0].labels().max() == 1
    assert tree.official == {"images": SETS[name].images}


def test_both_layouts_of_a_set_are_read(tiny_sets, tmp_path):
    tiny_sets.stills(tmp_path / "DUTS-TR", tmp_path / "DUTS-TR")
    tiny_sets.stills(tmp_path / "BIG_small", tmp_path / "BIG_small")
    assert len(static_set(tmp_path, "DUTS-TR").images) == 3
    assert len(static_set(tmp_path, "BIG").images) == 3


def test_an_unknown_and_a_missing_set_are_named(tmp_path):
    with pytest.raises(InputError, match="got static set 'DUTS'; expected one of FSS-1000, DUTS-TR"):
        static_set(tmp_path, "DUTS")
    with pytest.raises(InputError, match=r"found no folder ECSSD or ecssd below .*; expected the set ECSSD"):
        static_set(tmp_path, "ECSSD")
