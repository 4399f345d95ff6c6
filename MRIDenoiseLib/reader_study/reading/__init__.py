"""What a blinded reader runs; nothing here may open the key."""
