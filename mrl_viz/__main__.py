"""`python -m mrl_viz`."""

import sys

from mrl_viz.cli.main import main

sys.exit(main())
