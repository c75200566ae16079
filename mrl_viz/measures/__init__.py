"""What a sweep says: neighbor overlap, similarity drift, and their intervals."""
