"""What clients speak: one file each, and one row in the table of routes."""
