"""Flower and other engines on the same workloads, in the same run, on the same machine."""
