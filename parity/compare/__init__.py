"""``samestep compare``: two optimizers side by side. The same or not; where they first differ; why;
what to change.

``answer`` runs the comparison from start to end. ``comparison`` holds the two sides, the trial and
the limits, ``difference`` finds the first difference, ``causes`` explains it (with
``parity.explain``), ``remedies`` says what to write instead, ``repro`` writes a script that shows
it. ``mnist_comparison`` compares two training runs.
"""
