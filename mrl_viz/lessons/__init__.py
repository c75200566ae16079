"""The workshop: a lesson as data, what its questions are measured by, rooms and their votes."""
