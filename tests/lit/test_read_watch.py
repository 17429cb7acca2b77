from torch import nn

from memvos.lit.read_watch import ReadWatch
from memvos.lit.unroll import unroll


def test_reads_are_measured_only_while_it_listens(tiny, batch):
    with ReadWatch(tiny) as watch:
        unroll(tiny, batch)
        assert watch.mean is None
        watch.listening = True
        unroll(tiny, batch)
        seen = watch.mean
    unroll(tiny, batch)
    assert seen > 0
    assert watch.mean == seen


def test_a_network_without_a_read_has_nothing_to_measure():
    with ReadWatch(nn.Linear(1, 1)) as watch:
        watch.listening = True
    assert watch.mean is None
