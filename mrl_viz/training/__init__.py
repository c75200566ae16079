"""Training models whose prefixes work: data, loop, checkpoints, twins, jobs."""
