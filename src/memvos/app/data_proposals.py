"""`memvos data proposals`: the proposals of a data set's frames, found once and kept in files for every evaluation."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from memvos.app import composition, data, provenance
from memvos.app.arguments import split as split_options
from memvos.app.runs import instantiate, raise_data_faults, writable_folder


def proposals(name: str, folder: str, arguments: Sequence[str]) -> int:
    """Write the proposals of all videos of a split; what was written before is kept."""
    from memvos.lit.proposal_writer import write_videos

    options, rest = split_options(arguments, ("split", "device"))
    of_model = [one for one in rest if composition.key_of(one).startswith("model")]
    overrides = [one for one in rest if one not in of_model]
    split = options.get("split", "test")
    config = source_config(of_model)
    tree = data.videos_of(name, split, overrides)
    raise_data_faults([tree])
    facts = {
        "data": name,
        "split": split,
        "fingerprint": tree.fingerprint(),
        "source": provenance.digest(provenance.by_content(config)),
    }
    target = writable_folder(folder)
    made = write_videos(
        instantiate(config), tree.sequences(), target, facts, options.get("device", "auto"), sys.stderr.isatty()
    )
    provenance.write(target, {"fingerprint": provenance.digest(facts), **facts, "config": config})
    mean = f", {made.proposals / made.frames:.1f} proposals a frame" if made.frames else ""
    print(f"{target}: {made.now} videos written now ({made.frames} frames{mean}), {made.before} were there")
    print(f"evaluate with model/proposals=cached model.proposals.folder={composition.quoted(target)}")
    return 0


def source_config(overrides: Sequence[str]) -> dict[str, Any]:
    """The configuration of the source that overrides of a model choose."""
    composed = composition.compose("train", ["model=dmn_aoa", *overrides, "output_dir=unused"])
    return composition.resolved(composed)["model"]["proposals"]
