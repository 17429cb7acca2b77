"""`memvos data`: its actions, of which `check` (one line per kind of fault) and `synthetic` are here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from memvos.errors import InputError

HELP = """usage: memvos data check NAME [root=PATH] [KEY=VALUE ...]
       memvos data score NAME FOLDER [root=PATH] [split=test] [workers=N] [output=FOLDER] [equal=true] [KEY=VALUE ...]
       memvos data submission NAME FOLDER FILE.zip | FILE.zip [root=PATH] [split=test] [KEY=VALUE ...]
       memvos data prepare NAME [root=PATH] [workers=N] [short_side=PIXELS] [KEY=VALUE ...]
       memvos data fetch NAME|URL root=PATH [sha256=HASH] [keep=true]
       memvos data proposals NAME FOLDER model/proposals=SOURCE [root=PATH] [split=test] [device=auto] [KEY=VALUE ...]
       memvos data synthetic [difficulty=easy|normal|hard] [workers=N] [KEY=VALUE ...]

check looks over every image and mask of a data set (NAME is a file of conf/data) and prints one line per kind of fault;
the exit code is 1 if there are any. score compares masks, FOLDER/<video>/<frame>.png, with the ground truth, on all
cores, by the data set's protocol; result.json and CSVs per object, sequence, attribute and category go to output.
submission packs masks for a score server and looks over what it packed, or a zip of yours. prepare makes what a
training reads: YouTube-VOS and BL30K at 480p, the small versions of BIG and HRSOD, masks of COCO; it goes on where it
was interrupted. proposals runs a source of object proposals (docs/dmn_aoa.md) over all frames and keeps what it finds
in FOLDER/<video>.npz; fetch downloads and unpacks a set whose terms allow it; both go on, too. synthetic renders the
embedded benchmark into the cache, which happens by itself where it is needed. KEY=VALUE are keys of the data set's
configuration: resolution=240p, clips.train=50, ..."""
SYNTHETIC = "memvos.data.synthetic."
PLACES = {"check": (1,), "score": (2,), "submission": (2, 3), "prepare": (1,), "fetch": (1,), "proposals": (2,)}
"""Action → how many arguments it takes that are no KEY=VALUE (a folder or file that is there may have a `=`)."""
WITH_FOLDER = ("score", "submission", "proposals")
CLIPS = "memvos.data.datamodules.VideoClipDataModule"
TREES = "memvos.data.trees.", "memvos.data.youtube.", "memvos.data.static_sets.", SYNTHETIC


def run(arguments: list[str]) -> int:
    """Run the command line; 1 if a check found faults."""
    if not arguments or {"-h", "--help"} & set(arguments):
        print(HELP)
        return 0 if arguments else 2
    action, *rest = arguments
    if action == "synthetic":
        return render(rest)
    places = next((k for k, entry in enumerate(rest) if "=" in entry and not Path(entry).exists()), len(rest))
    if action not in PLACES or places not in PLACES[action]:
        raise InputError(
            f"got `memvos data {' '.join(arguments)}`; expected `memvos data check NAME root=PATH` or another of its "
            f"actions ({', '.join((*PLACES, 'synthetic'))}): see memvos data --help"
        )
    named_first = 2 if action in WITH_FOLDER else 1
    return _action(action)(*rest[:named_first], rest[named_first:])


def _action(name: str) -> Callable[..., int]:
    """The function of an action; what it needs is imported only now."""
    from memvos.app import data_prepare, data_proposals, data_score

    return {
        "check": check,
        "score": data_score.score,
        "submission": data_score.submission,
        "prepare": data_prepare.prepare,
        "fetch": data_prepare.fetch,
        "proposals": data_proposals.proposals,
    }[name]


def check(name: str, overrides: Sequence[str]) -> int:
    """Look over all trees of a data set and print what is wrong with them; 1 if anything is."""
    from memvos.data.check import Fault
    from memvos.data.check import check as look_over
    from memvos.data.layouts import NoRoot

    faulty = False
    for node, splits, clips in nodes(name, overrides):
        try:
            found = build(node)
        except NoRoot:
            raise
        except InputError as fault:
            print(f"{name} {splits}: cannot be read, 1 kind of fault\n  {Fault('layout', str(fault), 1)}")
            faulty = True
            continue
        for tree in found:
            faults = look_over(tree, clips=clips)
            frames = sum(len(video) for video in tree.videos)
            size = f"{len(tree.videos)} videos, {frames} frames" if tree.videos else f"{len(tree.images)} images"
            kinds = f"{len(faults)} kind{'s' * (len(faults) > 1)} of fault" if faults else "no faults"
            print(f"{name} {splits}: {size}, {kinds}, fingerprint {tree.fingerprint()}")
            for fault in faults:
                print(f"  {fault}")
            faulty = faulty or bool(faults)
    return int(faulty)


def render(overrides: Sequence[str]) -> int:
    """Render every split of the embedded benchmark that is not there yet."""
    for node, splits, _ in nodes("synthetic", overrides):
        for tree in build(node):
            print(f"synthetic {splits}: {len(tree.videos)} clips in {tree.root}")
    return 0


def settings(name: str, overrides: Sequence[str]) -> dict[str, Any]:
    """A data configuration in plain containers.

    Raises:
        InputError: if there is none of this name.
    """
    from memvos.app import composition

    config = composition.compose("train", [f"data={name}", *(f"data.{_as_path(override)}" for override in overrides)])
    return composition.resolved(config)["data"]


def _as_path(override: str) -> str:
    """An override whose value, where it is the data's root, is taken as it stands."""
    from memvos.app import composition

    key, _, value = override.partition("=")
    plain = key == "root" and value and value != "null" and value[0] != "$"
    return f"{key}={composition.path_value(value)}" if plain else override


def nodes(name: str, overrides: Sequence[str]) -> Iterator[tuple[dict[str, Any], str, bool]]:
    """Every tree that a data configuration names, once, as a configuration, with the keys that name it, and whether
    training clips are drawn from its videos.

    Raises:
        InputError: if there is no such configuration.
    """
    from memvos.app import provenance

    found: dict[str, tuple[Any, list[str]]] = {}
    whole = settings(name, overrides)
    places = [[key, "trees"] for key, node in whole.items() if isinstance(node, dict) and node.get("_target_") == CLIPS]
    for key, node in named(whole):
        found.setdefault(provenance.digest(node), (node, []))[1].append(key)
    for node, keys in found.values():
        direct = [key for key in keys if "." not in key]
        if direct if name == "synthetic" else not node["_target_"].startswith(SYNTHETIC):
            yield node, ", ".join(direct or keys), any(key.split(".")[:2] in places for key in keys)


def build(node: dict[str, Any]) -> list[Any]:
    """The trees of a configuration that hold anything.

    Raises:
        InputError: if a root does not exist, or its layout is another.
    """
    from hydra.errors import InstantiationException

    from memvos.app.runs import instantiate

    try:
        built = instantiate(node)
    except InstantiationException as error:
        raise (error.__cause__ if isinstance(error.__cause__, InputError) else error) from None
    return [tree for tree in (built if isinstance(built, list) else [built]) if tree.videos or tree.images]


def videos_of(name: str, split: str, overrides: Sequence[str]) -> Any:
    """The tree of a split.

    Raises:
        InputError: if the data set has no such split, or no videos in it.
    """
    from memvos.app.runs import data_of

    found = build(data_of({"data": settings(name, overrides), "split": split}, "split"))
    if found and not found[0].videos:
        raise InputError(
            f"data {name} is static images, of which only `memvos evaluate` makes videos; expected a data set of "
            "videos (folder, davis2017, ...)"
        )
    if not found:
        raise InputError(f"data {name} has no videos in {split}; choose another split=")
    return found[0]


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
