"""Serving a model: which program serves it, how it is started, and whether it answers as itself."""
