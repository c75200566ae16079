"""Past one machine's memory: rows read block by block, sweeps of slices, and their lists put together again."""
