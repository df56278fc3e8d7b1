"""DuckDB and its bounds."""
