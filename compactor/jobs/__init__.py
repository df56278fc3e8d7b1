"""What an operator can name, one file each."""
