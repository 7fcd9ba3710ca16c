"""Two optimizers side by side: the same or not, where they first part, why, and what makes them equal.

``contestants`` says what either may be, ``trial`` what both are given, ``trajectory`` what each did with it, ``allowed``
how far rounding can have parted them, ``difference`` where they did part, ``cause`` why.
"""
