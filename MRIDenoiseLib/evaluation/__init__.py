"""What a result is worth: pictures now; metrics, comparisons and statistics as they come."""
