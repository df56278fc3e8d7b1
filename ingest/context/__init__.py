"""What is derived of a request at receipt: a few coarse facts, after which their source is gone."""
