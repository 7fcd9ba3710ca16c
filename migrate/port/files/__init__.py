"""Readers of checkpoints that execute nothing in them."""
