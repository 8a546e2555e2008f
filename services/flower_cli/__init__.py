"""The ``flower`` command; ``flower up`` runs everything in one terminal."""
