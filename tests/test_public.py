import subprocess
import sys

import pytest

import memvos


def test_importing_memvos_does_not_import_torch():
    code = "import sys, memvos; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_public_names_are_there():
    assert memvos.__version__.count(".") == 2
    assert memvos.Segmenter.__name__ == "Segmenter"
    assert callable(memvos.load_model)
    assert callable(memvos.metrics.region_similarity)
    assert {"Segmenter", "load_model", "metrics"} <= set(dir(memvos))


def test_other_names_are_not_there():
    with pytest.raises(AttributeError, match="module 'memvos' has no attribute 'segment_anything'"):
        _ = memvos.segment_anything
