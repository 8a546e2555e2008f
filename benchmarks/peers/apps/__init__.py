"""One module a peer; each runs in that peer's own virtual environment, and only there."""
