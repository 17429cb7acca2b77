import pytest

from memvos.memory.eviction import Record, evict


@pytest.fixture
def records():
    """An annotated frame and predictions at 5 and 10."""
    return [Record(0, 0, 1, 1.0, False), Record(1, 5, 2, 0.60, True), Record(2, 10, 3, 0.50, True)]


def test_lowest_sum_of_quality_and_temporal_consistency_goes(records):
    # relative indices, the new frame has rank 4: 0.60 + exp(-2) = 0.735 against 0.50 + exp(-1) = 0.868
    assert evict(records, rank=4, time=15).time == 5
    assert [record.time for record in records] == [0, 10]


def test_frame_indices_make_the_rule_one_of_quality_alone(records):
    # 0.60 + exp(-10) against 0.50 + exp(-5) = 0.507
    assert evict(records, rank=4, time=15, temporal="frame").time == 10


def test_first_of_equals_goes():
    records = [Record(0, 0, 1, 1.0, False), Record(1, 1, 2, 0.5, True), Record(2, 2, 2, 0.5, True)]
    assert evict(records, rank=3, time=3).time == 1


def test_released_rule_loses_the_frame_before_the_worst(records):
    lost = evict(records, rank=4, time=15, rule="released", temporal="frame")
    assert (lost.time, lost.slot) == (5, 1)
    # the worst frame, 10, goes on under the entry of frame 5
    assert records[1] == Record(slot=2, time=10, rank=2, score=0.60, evictable=True)


def test_released_rule_loses_the_annotated_frame_when_the_oldest_prediction_is_worst(records):
    lost = evict(records, rank=4, time=15, rule="released")
    assert (lost.time, lost.slot) == (0, 0)
    assert records[0] == Record(slot=1, time=5, rank=1, score=1.0, evictable=False)
