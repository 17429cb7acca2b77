"""Reports: reads a table's specification and result files; imports neither torch nor other packages of memvos.

`memvos.report.table.build` reads a specification and its results, `memvos.report.render.write` writes the report.
"""

from memvos.report.spec import Evaluation, Spec
from memvos.report.spec_file import load_spec

__all__ = ["Evaluation", "Spec", "load_spec"]
