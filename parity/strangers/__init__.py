"""Strangers: optimizers that no rule of ours is, as people write them; ``samestep identify`` must not take them for one.

``pytorch`` and ``tensorflow`` have factories, one a name; ``WRONG`` lists the names. ``right`` is a right rule, written
in the same way.
"""
