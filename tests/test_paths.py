from pathlib import Path

from memvos import paths


def test_the_shipped_folders_are_found():
    assert (paths.conf_dir() / "data/davis2016.yaml").is_file()
    assert paths.experiments_dir().is_dir()


def test_backbone_weights_of_the_package_are_known_by_name():
    assert paths.shipped_weights("small").name == "small.safetensors"
    assert paths.shipped_weights("imagenet") is None
    assert paths.shipped_weights(None) is None


def test_the_cache_is_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("MEMVOS_CACHE", str(tmp_path))
    assert paths.cache_dir() == tmp_path
    monkeypatch.delenv("MEMVOS_CACHE")
    assert paths.cache_dir() == Path.home() / ".cache/memvos"
