"""A storm over a real engine, and what must be true when it is over. ``python -m chaos`` runs it alone."""
