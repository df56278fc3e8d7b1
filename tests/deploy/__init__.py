"""deploy/ on a machine."""
