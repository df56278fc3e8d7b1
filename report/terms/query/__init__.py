"""The words of POST /query, see docs/query.md: what may be asked, and what it means as SQL."""
