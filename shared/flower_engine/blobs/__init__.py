"""Blobs: results that are too large for an event, and files of programs, in stores of their own."""
