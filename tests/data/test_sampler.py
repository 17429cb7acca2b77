import os
import select
import signal
import threading

import pytest
from torch.utils.data import DataLoader

from memvos.data.sampler import ClipLoader, ClipSampler


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


class Deafness:
    """A dataset whose items say whether the process that makes them holds interrupts back."""

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> bool:
        return signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="signals cannot be held back on Windows")
def test_loading_processes_never_hear_a_ctrl_c_and_this_one_does():
    assert next(iter(ClipLoader(Deafness(), batch_size=None, num_workers=1)))
    assert not Deafness()[0]


@pytest.fixture
def signals():
    """A file that can be read when this process has noticed a signal."""
    noticed, bell = os.pipe()
    os.set_blocking(bell, False)
    before = signal.set_wakeup_fd(bell)
    yield noticed
    signal.set_wakeup_fd(before)
    os.close(noticed)
    os.close(bell)


@pytest.fixture
def another_thread():
    """A thread that was there before and does not hold interrupts back."""
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    yield thread
    over.set()
    thread.join()


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="Windows sends no signal to a thread")
@pytest.mark.parametrize("to_this_one", [True, False])
def test_a_ctrl_c_while_they_start_is_heard_once_they_have(monkeypatch, signals, another_thread, to_this_one):
    heard = threading.main_thread() if to_this_one else another_thread
    started = []

    def start(self):
        signal.pthread_kill(heard.ident, signal.SIGINT)
        assert to_this_one or select.select([signals], [], [], 60)[0]  # another thread takes it when it runs
        started.append(True)
        return iter(())

    monkeypatch.setattr(DataLoader, "__iter__", start)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        iter(ClipLoader(range(1)))
    assert started
    assert signal.getsignal(signal.SIGINT) is before
