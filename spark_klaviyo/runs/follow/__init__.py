"""Following asynchronous jobs: those of the run itself, and those that earlier runs left open."""
