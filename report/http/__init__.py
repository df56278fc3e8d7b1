"""The surface: who may ask, and the forms of an answer."""
