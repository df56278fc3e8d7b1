"""The words of a question: selection, period, buckets, time zones."""
