"""What a question is asked of: the lake's parts and the spool's rows, as of one moment."""
