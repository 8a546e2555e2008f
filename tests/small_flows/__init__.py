"""Every flow of a few tasks, whatever their rules, whatever becomes of them, in whatever order they end: the
pure fold and the oracle of rules (``rules_oracle.py``) side by side, state by state."""
