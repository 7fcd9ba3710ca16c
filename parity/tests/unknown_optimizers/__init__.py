"""Optimizers as people write them, for which ``identify`` must not name a wrong rule.

``pytorch`` and ``tensorflow`` have a factory for each name; ``WRONG`` lists those that are none of
our rules. The factories ``right`` and ``right_...`` make rules of ours, written in the same way.
"""
