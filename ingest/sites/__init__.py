"""sites.toml: which sites there are, who may write to each, who may read it, what counts there."""
