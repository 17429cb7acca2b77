"""`python -m memvos ...`: the same as the `memvos` command."""

import sys

from memvos.app.main import main

if __name__ == "__main__":
    sys.exit(main())
