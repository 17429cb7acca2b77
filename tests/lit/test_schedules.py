import pytest
import torch

from memvos.lit.schedules import warmup_cosine


def optimizer(*rates):
    return torch.optim.SGD([{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": rate} for rate in rates])


def rates(schedule, steps):
    seen = []
    for _ in range(steps):
        seen.append([group["lr"] for group in schedule.optimizer.param_groups])
        schedule.optimizer.step()
        schedule.step()
    return seen


def test_the_rate_rises_over_the_warm_up_and_ends_at_zero_for_every_group():
    seen = rates(warmup_cosine(optimizer(1.0, 0.1), total_steps=100, warmup_steps=4), 101)
    assert [round(first, 6) for first, _ in seen[:5]] == [0.2, 0.4, 0.6, 0.8, 1.0]
    assert seen[52][0] == pytest.approx(0.5)  # half way between step 4 and step 100
    assert seen[100] == [0.0, 0.0]
    assert all(second == pytest.approx(first / 10) for first, second in seen)


def test_a_short_training_warms_up_for_a_tenth_of_it():
    assert rates(warmup_cosine(optimizer(1.0), total_steps=10, warmup_steps=100), 2)[1] == [1.0]


def test_no_steps_are_an_error():
    with pytest.raises(ValueError, match="expected total_steps ≥ 1 and warmup_steps ≥ 0, got 0 and 5"):
        warmup_cosine(optimizer(1.0), total_steps=0, warmup_steps=5)
