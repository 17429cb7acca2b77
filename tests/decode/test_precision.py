import pytest
import torch

from memvos.decode import precision
from memvos.decode.precision import autocast, choose_device, choose_precision, cpu_has_fast_bf16
from memvos.errors import InputError

CPU = torch.device("cpu")


def test_auto_device_is_cuda_where_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == CPU
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto").type == "cuda"


def test_unknown_device_is_refused():
    with pytest.raises(InputError, match="unknown device 'gpu'; use auto, cpu, cuda"):
        choose_device("gpu")


@pytest.mark.parametrize(("kind", "module"), [("cuda", torch.cuda), ("mps", torch.backends.mps)])
def test_a_device_that_is_not_there_is_refused(monkeypatch, kind, module):
    monkeypatch.setattr(module, "is_available", lambda: False)
    with pytest.raises(
        InputError, match=f"'{kind}' asked for, but torch sees no {kind.upper()} device; use device=cpu"
    ):
        choose_device(kind)


@pytest.mark.parametrize(("fast", "expected"), [(True, torch.bfloat16), (False, torch.float32)])
def test_auto_precision_is_bf16_where_the_cpu_is_fast_at_it(monkeypatch, fast, expected):
    monkeypatch.setattr(precision, "cpu_has_fast_bf16", lambda: fast)
    assert choose_precision("auto", CPU) == expected


def test_asking_the_cpu_answers_yes_or_no():
    assert cpu_has_fast_bf16() in (True, False)


def test_unknown_precision_is_refused():
    with pytest.raises(InputError, match="one of auto, float32, bf16, got 'fp8'"):
        choose_precision("fp8", CPU)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_autocast_multiplies_in_the_chosen_precision(dtype):
    with autocast(CPU, dtype):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype


@pytest.mark.parametrize(("capability", "expected"), [((7, 5), torch.float32), ((8, 0), torch.bfloat16)])
def test_auto_precision_does_not_emulate_bf16(monkeypatch, capability, expected):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert choose_precision("auto", torch.device("cuda")) == expected
