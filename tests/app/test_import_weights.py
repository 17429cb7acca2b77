"""`memvos import`: weights go over whole, or not at all."""

import torch

from memvos import load_model
from memvos.model.checkpoints import save_model
from memvos.model.composition import compose
from memvos.model.layouts import MIVOS_RELEASED


def test_an_account_is_given_of_every_tensor(memvos, home):
    model = load_model("qdmn_small")
    save_model(model, home / "a.ckpt", compose("qdmn_small", {}))
    code, output, _ = memvos("import", "qdmn_small", home / "a.ckpt", "-o", home / "b.safetensors")
    assert code == 0
    assert f"{len(model.state_dict())} matched, 0 renamed, 0 missing, 0 unexpected" in output
    assert "  matched: decoder.predict.weight\n" in output
    assert (home / "b.safetensors").is_file()


def test_all_that_is_missing_is_listed(memvos, home):
    model = load_model("qdmn_small")
    fresh = [name for name in model.state_dict() if MIVOS_RELEASED.may_lack(name)]
    state = {MIVOS_RELEASED.released(name): t for name, t in model.state_dict().items() if name not in fresh}
    torch.save(state, home / "mivos.pth")
    code, output, _ = memvos("import", "qdmn_small", home / "mivos.pth", "-o", home / "b.ckpt")
    assert code == 0
    lines = output.splitlines()
    assert f"{len(state)} matched, " in lines[0]
    assert f", {len(fresh)} missing, 0 unexpected" in lines[0]
    assert [line for line in lines if "missing, as it starts" in line] == [
        f"  missing, as it starts: {name}" for name in sorted(fresh)
    ]
    assert "  renamed: decoder.pred.weight -> decoder.predict.weight" in lines


def test_all_that_is_left_out_is_listed(memvos, home):
    save_model(load_model("qdmn_small"), home / "a.ckpt", compose("qdmn_small", {}))
    code, output, _ = memvos("import", "backbone", home / "a.ckpt", "-o", home / "b.safetensors")
    assert code == 0
    assert "  renamed: query_encoder.trunk.conv1.weight -> conv1.weight" in output
    assert "  left out: decoder.predict.bias\n" in output


def test_a_file_that_is_no_weight_file_is_told(memvos, home):
    (home / "a.pth").write_text("hello")
    code, _, error = memvos("import", "qdmn_small", home / "a.pth", "-o", home / "b.ckpt")
    assert code == 2
    assert "a.pth" in error


def test_a_destination_without_folder_is_told_before_anything_is_read(memvos, home):
    code, _, error = memvos("import", "qdmn", home / "a.pth", "-o", home / "none" / "b.ckpt")
    assert code == 2
    assert "is no folder" in error
