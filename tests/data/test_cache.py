import numpy as np
import pytest

from memvos.data.cache import READ_EACH_TIME, Cache, put


def test_a_cache_reads_once_and_protects_what_it_keeps(tmp_path):
    reads = []

    def read(out):
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
    assert READ_EACH_TIME.get(tmp_path, lambda _: next(values)) == 0
    assert READ_EACH_TIME.get(tmp_path, lambda _: next(values)) == 1


def test_what_is_read_goes_into_the_array_that_is_given_if_it_fits(tmp_path):
    def read(out):
        return np.full(3, 7, np.uint8) if out is None else put(np.full(3, 7, np.uint8), out)

    for cache in (Cache(), READ_EACH_TIME):
        for _ in range(2):
            right, wrong = np.zeros(3, np.uint8), np.zeros(4, np.uint8)
            assert cache.get(tmp_path, read, right) is right
            assert right.tolist() == [7, 7, 7]
            assert cache.get(tmp_path, read, wrong).tolist() == [7, 7, 7]
            assert not wrong.any()
