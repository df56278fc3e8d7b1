"""The spool's side: segments become rows; what is no event is set aside."""
