"""Which code a configuration reaches, and what of it counts."""

from memvos.app import source


def test_a_re_exported_class_is_found_where_it_is_written():
    assert source.home_of("memvos.losses.QualityLoss") == "memvos.losses.quality"
    assert source.home_of("torch.optim.Adam") is None


def test_a_users_own_class_counts_and_installed_ones_do_not(tmp_path, monkeypatch):
    (tmp_path / "my_blob.py").write_text("class Blob:\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert source.own_file_of("my_blob.Blob") == tmp_path / "my_blob.py"
    assert source.own_file_of("torch.optim.Adam") is None
    assert source.own_file_of("memvos.losses.QualityLoss") is None
    assert source.own_file_of("collections.OrderedDict") is None


def test_imports_are_followed_through_modules_and_stop_at_other_packages():
    found = source.closure(["memvos.lit.qdmn"], ("lit", "losses", "model", "data"))
    assert {"memvos.lit.qdmn", "memvos.lit.unroll", "memvos.losses.quality", "memvos.model.interface"} <= set(found)
    assert not [module for module in found if module.startswith(("memvos.decode", "memvos.app"))]


def test_comments_docstrings_and_layout_do_not_change_the_hash(tmp_path, monkeypatch):
    monkeypatch.setattr(source, "PACKAGE", tmp_path / "memvos")
    file = tmp_path / "memvos" / "thing.py"
    file.parent.mkdir()

    def hash_of(text: str) -> str:
        file.write_text(text)
        source._syntax.cache_clear()
        return source.code_hash(["memvos.thing"])

    plain = hash_of("def f(x):\n    return x + 1\n")
    assert hash_of('"""A module."""\n# why\ndef f(x):\n    """Doc."""\n    return (x + 1)\n') == plain
    assert hash_of("def f(x):\n    return x + 2\n") != plain
