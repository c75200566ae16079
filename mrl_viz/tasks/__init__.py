"""Lists or vectors judged against labels: retrieval, pairs, classes."""
