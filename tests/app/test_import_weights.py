"""`memvos import`: weights go over whole, or not at all."""

from memvos import load_model
from memvos.model.checkpoints import save_model
from memvos.model.composition import compose


def test_an_account_is_given_of_every_tensor(memvos, home):
    model = load_model("qdmn_small")
    save_model(model, home / "a.ckpt", compose("qdmn_small", {}))
    code, output, _ = memvos("import", "qdmn_small", home / "a.ckpt", "-o", home / "b.safetensors")
    assert code == 0
    assert f"{len(model.state_dict())} matched, 0 renamed, 0 missing, 0 unexpected" in output
    assert (home / "b.safetensors").is_file()


def test_a_file_that_is_no_weight_file_is_told(memvos, home):
    (home / "a.pth").write_text("hello")
    code, _, error = memvos("import", "qdmn_small", home / "a.pth", "-o", home / "b.ckpt")
    assert code == 2
    assert "a.pth" in error


def test_a_destination_without_folder_is_told_before_anything_is_read(memvos, home):
    code, _, error = memvos("import", "qdmn", home / "a.pth", "-o", home / "none" / "b.ckpt")
    assert code == 2
    assert "is no folder" in error
