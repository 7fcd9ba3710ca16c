"""Strangers: optimizers that no rule of ours is, as people write them, and for which none must be taken.

``pytorch`` and ``tensorflow`` have factories, one a name; ``WRONG`` lists the names. ``right`` and what begins so
are right rules, written in the same way.
"""
