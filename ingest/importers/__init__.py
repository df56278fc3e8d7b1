"""Sends what other tools have kept to a running ingest."""
