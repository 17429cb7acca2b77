import numpy as np
import pytest

from memvos.data.cache import READ_EACH_TIME, Cache


def test_a_cache_reads_once_and_protects_what_it_keeps(tmp_path):
    reads = []

    def read():
        reads.append(1)
        return np.zeros(3, np.uint8)

    cache = Cache()
    kept = cache.get(tmp_path, read)
    assert cache.get(tmp_path, read) is kept
    assert len(reads) == 1
    with pytest.raises(ValueError, match="read-only"):
        kept[0] = 1


def test_without_a_cache_every_get_reads(tmp_path):
    values = iter([np.zeros(1), np.ones(1)])
    assert READ_EACH_TIME.get(tmp_path, lambda: next(values)) == 0
    assert READ_EACH_TIME.get(tmp_path, lambda: next(values)) == 1
