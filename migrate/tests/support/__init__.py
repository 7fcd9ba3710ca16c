"""Pairs of models for the tests: right ones, and ones with a planted fault."""
