"""Mutation testing behind scripts/mutate."""
