"""What can be measured on an image alone: where the body is, its scale, its noise."""
