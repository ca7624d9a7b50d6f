"""The revisions, oldest first; see :mod:`gateway.migrations`."""
