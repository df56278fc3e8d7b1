"""Report: answers questions over the lake and the spool that is not compacted yet."""
