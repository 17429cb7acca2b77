"""`memvos bench`: which benchmark is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from memvos.app.bench_common import rounds_in, settings_of
from memvos.errors import InputError

HELP = """usage: memvos bench [scale=SCALE] [rounds=7] [HYDRA OVERRIDES of memvos train ...]
       memvos bench speed|modules [rounds=7] [HYDRA OVERRIDES ...] [size=HEIGHTxWIDTH, of speed]
       memvos bench stream [frames=10000] [size=240x432] [rounds=15] [HYDRA OVERRIDES of memvos evaluate ...]
       memvos bench metrics [rounds=7]
       memvos bench loader [rounds=7] [videos=FOLDER] [resolution=480p] [stills=FOLDER]

Times training steps (batch, clip size and network of the scale, random clips) and inference (one object) in every
precision the machine has; precisions take turns, so that a busy machine slows all of them alike.

speed: what QAM and PEM cost in time, the same as memvos reproduce qdmn_speed
modules: seconds per frame of each module of one DMN-AOA at 480p, e.g. memvos bench modules model=dmn_aoa_fast;
    the presets beside the paper's Table 4 are memvos reproduce dmn_aoa_table4
stream: does a long video cost more time or memory per frame than a short one? Steps an untrained network through
    random frames and prints at ten places how many frames the memory holds and how much memory the process; at the end
    two segmenters take turns, one as it was at frame 500, one as it is now. Nothing is rejected, so that the memory is
    full early, unless memory.sigma= says so; memory.beta= limits it
metrics: J and F against the published toolkit's arithmetic (needs: pip install --no-deps vos-benchmark), in turns
loader: training clips against plain PIL and torchvision, in turns; of your own data (videos: JPEGImages/ and
    Annotations/, of one resolution; stills: images/ and masks/) in place of made-up pictures"""
OF_LOADER = ("videos", "resolution", "stills")


def run(arguments: list[str]) -> int:
    """Run the command line."""
    if {"-h", "--help"} & set(arguments):
        print(HELP)
        return 0
    if arguments[:1] == ["speed"]:
        from memvos.app import reproduce

        return reproduce.run(["qdmn_speed", *arguments[1:]])
    lines = KINDS[arguments[0]](arguments[1:]) if arguments and arguments[0] in KINDS else _steps(arguments)
    for line in lines:
        print(line, flush=True)
    return 0


def _steps(arguments: Sequence[str]) -> Iterable[str]:
    from memvos.app import bench_steps

    rounds, overrides = rounds_in(arguments)
    return bench_steps.table(settings_of(overrides), rounds)


def _stream(arguments: Sequence[str]) -> Iterable[str]:
    from memvos.app import bench_stream

    return bench_stream.table(arguments)


def _modules(arguments: Sequence[str]) -> Iterable[str]:
    """The modules of the network that the overrides configure, beside the paper's Table 4."""
    from memvos.app import bench_modules
    from memvos.app.options import load_table
    from memvos.report import timing

    rounds, overrides = rounds_in(arguments)
    spec = bench_modules.configured(load_table("dmn_aoa_table4"))
    return timing.to_text(bench_modules.measure(spec, overrides, rounds)).splitlines()


def _metrics(arguments: Sequence[str]) -> Iterable[str]:
    from memvos.app import bench_metrics

    rounds, rest = rounds_in(arguments)
    _only("metrics", rest, ())
    return bench_metrics.table(rounds)


def _loader(arguments: Sequence[str]) -> Iterable[str]:
    from memvos.app import bench_loader

    rounds, rest = rounds_in(arguments)
    return bench_loader.table(rounds, **_only("loader", rest, OF_LOADER))


KINDS = {"stream": _stream, "modules": _modules, "metrics": _metrics, "loader": _loader}


def _only(name: str, arguments: Sequence[str], known: Sequence[str]) -> dict[str, str]:
    """The values of the settings a benchmark takes.

    Raises:
        InputError: for any other argument.
    """
    pairs = [argument.partition("=") for argument in arguments]
    wrong = next((key for key, _, value in pairs if key not in known or not value), None)
    if wrong is not None:
        listed = ", ".join(f"{key}=…" for key in ("rounds", *known))
        raise InputError(f"memvos bench {name} got {wrong!r}; expected nothing but {listed}; see memvos bench --help")
    return {key: value for key, _, value in pairs}
