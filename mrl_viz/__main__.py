"""`python -m mrl_viz`."""

import sys

from mrl_viz.cli.main import main

# Processes of a cluster on this machine import it again.
if __name__ == "__main__":
    sys.exit(main())
