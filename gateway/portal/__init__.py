"""Pages for physicians and administrators: what would otherwise take a command line (docs/portal.md)."""
