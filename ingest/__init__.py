"""Ingest: takes events over HTTP and appends them to the spool."""
