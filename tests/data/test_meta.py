import json

import pytest

from memvos.data.meta import MetaObject, categories, read_meta
from memvos.errors import InputError


def write(path, entry):
    path.write_text(json.dumps({"videos": {"a": {"objects": {"3": entry}}}}))
    return path


def test_both_forms_of_meta_json_are_read(tmp_path):
    youtube = write(tmp_path / "y.json", {"category": "dog", "frames": ["00005", "00010"]})
    lvos = write(tmp_path / "l.json", {"category": "cat", "frame_range": {"start": "00000001", "end": "00000009"}})
    assert read_meta(youtube) == {"a": {3: MetaObject("dog", "00005")}}
    assert read_meta(lvos) == {"a": {3: MetaObject("cat", "00000001")}}
    assert read_meta(write(tmp_path / "n.json", {})) == {"a": {3: MetaObject("", None)}}


def test_categories_are_those_of_all_videos():
    meta = {"a": {1: MetaObject("dog", None)}, "b": {1: MetaObject("cat", None), 2: MetaObject("", None)}}
    assert categories(meta) == ("cat", "dog")


def test_a_missing_or_other_file_is_named(tmp_path):
    with pytest.raises(
        InputError, match=r"found no .*meta\.json; expected .* that comes with the data set; copy it there$"
    ):
        read_meta(tmp_path / "meta.json")
    (tmp_path / "meta.json").write_text('{"video": 1}')
    with pytest.raises(InputError, match=r"meta\.json cannot be used \(KeyError: 'videos'\); expected"):
        read_meta(tmp_path / "meta.json")
