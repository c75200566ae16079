"""mrl_viz: see what every embedding width keeps, and choose one you can defend.

Import from the rooms (`mrl_viz.sweep`, `mrl_viz.measures.lists`, …); importing this package loads nothing heavy.
"""

__version__ = "0.1.0"
