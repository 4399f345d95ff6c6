"""What an image tells by itself: where the body is, its scale, its noise."""
