"""The stored side: its format, and how it is read, written and published."""
