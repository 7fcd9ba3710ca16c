"""Optimizers as people write them, which are none of our rules and must not be taken for one.

``pytorch`` and ``tensorflow`` have factories under these names; ``WRONG`` lists them. Factories
whose names begin with ``right`` are rules of ours, written in the same way.
"""
