"""What can go wrong with a peer."""

from flower_engine.errors import FlowerError


class PeerError(FlowerError):
    """A peer cannot be measured, or not in this workload; says why. The others go on."""
