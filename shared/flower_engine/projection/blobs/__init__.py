"""Blobs in Postgres: their content in chunks, and which flows use them."""
