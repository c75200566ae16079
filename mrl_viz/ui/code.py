"""The code that pages show, written where no page is needed: see `mrl_viz.export.code`."""

from mrl_viz.export.code import Code as Code
from mrl_viz.export.code import Script as Script
