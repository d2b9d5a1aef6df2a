"""Models from wanted to ready and back: states, what to do next, and doing it."""
