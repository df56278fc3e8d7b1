"""The name under which web server logs are imported: see ingest.importers."""
