"""Run the command line as a module: `python -m cybersecqwen.cli`."""

import sys

from cybersecqwen.cli import main

if __name__ == "__main__":
    sys.exit(main())
