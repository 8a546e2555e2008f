"""A private Valkey and a private Postgres for one machine, on one data folder."""
