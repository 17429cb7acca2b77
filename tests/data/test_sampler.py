from memvos.data.sampler import ClipSampler


def sampler(batches=4, batch_size=2, rank=0, ranks=1):
    return ClipSampler(range(100), batches, batch_size, lambda done: done / 8, None, rank, ranks)


def test_numbers_count_through_the_epochs():
    order = sampler()
    assert [number for number, _ in order] == list(range(8))
    order.set_epoch(1)
    assert [number for number, _ in order] == list(range(8, 16))
    assert len(order) == 8


def test_progress_is_that_of_the_batch():
    order = sampler()
    order.set_epoch(1)
    assert [progress for _, progress in order] == [0.5, 0.5, 0.625, 0.625, 0.75, 0.75, 0.875, 0.875]


def test_two_ranks_share_what_one_rank_with_twice_the_batch_sees():
    one = [number for number, _ in sampler(batch_size=4)]
    first, second = ([number for number, _ in sampler(rank=rank, ranks=2)] for rank in (0, 1))
    for b in range(4):
        assert first[2 * b : 2 * b + 2] + second[2 * b : 2 * b + 2] == one[4 * b : 4 * b + 4]


def test_an_epoch_goes_on_after_the_batches_that_are_done():
    order = ClipSampler(range(100), 4, 2, lambda done: done / 8, done=lambda: 7)
    order.set_epoch(1)
    assert [number for number, _ in order] == list(range(14, 22))
    assert next(iter(order))[1] == 7 / 8
