"""Widgets, workspace state and cached calls: one module a page, and the frame that pages share."""
