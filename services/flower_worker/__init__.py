"""The worker: claims tasks, runs their programs, hands in what became of them. One loop a file."""
