import pytest
from torch import nn

from memvos.lit.watch import Watch


class Outputs(Watch):
    """Notes what the part `read` puts out."""

    def __init__(self, model):
        super().__init__(model, "read")
        self.seen = []

    def _note(self, part, inputs, output):
        self.seen.append((inputs, output))


class Reader(nn.Module):
    """A model with a part called read."""

    def __init__(self):
        super().__init__()
        self.read = nn.Identity()


def test_calls_of_the_part_are_noted_inside_the_context_only():
    model = Reader()
    model.read(1)
    with Outputs(model) as watch:
        model.read(2)
        model.read(3)
    model.read(4)
    assert watch.seen == [((2,), 2), ((3,), 3)]


def test_it_stops_listening_after_an_error_too():
    model = Reader()
    watch = Outputs(model)
    with pytest.raises(ZeroDivisionError), watch:
        raise ZeroDivisionError
    model.read(1)
    assert watch.seen == []
