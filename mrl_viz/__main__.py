"""`python -m mrl_viz`."""

import sys

from mrl_viz.cli import main

sys.exit(main())
