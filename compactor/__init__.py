"""Compactor: turns closed spool segments into Parquet parts, exactly once."""
