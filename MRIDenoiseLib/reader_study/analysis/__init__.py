"""What a finished reader study shows: tests, agreement, figures and conclusions. It needs the key, and nothing that reads does."""
