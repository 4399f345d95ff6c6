"""What README claims, each measured by one file."""
