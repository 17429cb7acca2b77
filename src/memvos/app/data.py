"""`memvos data check NAME root=PATH`: one line per kind of fault. `memvos data synthetic`: render the benchmark."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from memvos.errors import InputError

HELP = """usage: memvos data check NAME [root=PATH] [KEY=VALUE ...]
       memvos data synthetic [difficulty=easy|normal|hard] [workers=N] [KEY=VALUE ...]

check looks over every image and mask of a data set (NAME is a file of conf/data) and prints one line per kind of fault;
the exit code is 1 if there are any. synthetic renders the embedded benchmark into the cache, which happens by itself
where it is needed. KEY=VALUE are keys of the data set's configuration: resolution=240p, clips.train=50, ..."""
SYNTHETIC = "memvos.data.synthetic."
TREES = "memvos.data.trees.", "memvos.data.youtube.", "memvos.data.static_sets.", SYNTHETIC


def run(arguments: list[str]) -> int:
    """Run the command line; 1 if a check found faults."""
    if not arguments or {"-h", "--help"} & set(arguments):
        print(HELP)
        return 0 if arguments else 2
    action, *rest = arguments
    if action == "synthetic":
        return render(rest)
    if action != "check" or not rest or "=" in rest[0]:
        raise InputError("expected `memvos data check NAME root=PATH` or `memvos data synthetic`")
    return check(rest[0], rest[1:])


def check(name: str, overrides: Sequence[str]) -> int:
    """Look over all trees of a data set and print what is wrong with them; 1 if anything is."""
    from memvos.data.check import check as look_over

    faulty = False
    for tree, splits in trees(name, overrides):
        faults = look_over(tree)
        frames = sum(len(video) for video in tree.videos)
        size = f"{len(tree.videos)} videos, {frames} frames" if tree.videos else f"{len(tree.images)} images"
        print(f"{name} {splits}: {size}, {'no faults' if not faults else f'{len(faults)} kinds of fault'}")
        for fault in faults:
            print(f"  {fault}")
        faulty = faulty or bool(faults)
    return int(faulty)


def render(overrides: Sequence[str]) -> int:
    """Render every split of the embedded benchmark that is not there yet."""
    for tree, splits in trees("synthetic", overrides):
        print(f"synthetic {splits}: {len(tree.videos)} clips in {tree.root}")
    return 0


def trees(name: str, overrides: Sequence[str]) -> Iterator[tuple[Any, str]]:
    """Every tree that a data configuration names, once, with the keys that name it.

    Raises:
        InputError: if the configuration or a root does not exist.
    """
    from memvos.app import composition, provenance
    from memvos.app.runs import instantiate

    config = composition.compose("train", [f"data={name}", *(f"data.{override}" for override in overrides)])
    found: dict[str, tuple[Any, list[str]]] = {}
    for key, node in named(composition.resolved(config)["data"]):
        found.setdefault(provenance.digest(node), (node, []))[1].append(key)
    for node, keys in found.values():
        direct = [key for key in keys if "." not in key]
        if direct if name == "synthetic" else not node["_target_"].startswith(SYNTHETIC):
            built = instantiate(node)
            for tree in built if isinstance(built, list) else [built]:
                if tree.videos or tree.images:
                    yield tree, ", ".join(direct or keys)


def named(node: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every tree below a configuration node, with its dotted place."""
    if isinstance(node, dict) and str(node.get("_target_", "")).startswith(TREES):
        yield path, node
    elif isinstance(node, dict):
        for key, below in node.items():
            yield from named(below, f"{path}.{key}" if path else key)
    elif isinstance(node, list):
        for index, below in enumerate(node):
            yield from named(below, f"{path}.{index}")
