"""Bring your own history: web server logs become page views."""
