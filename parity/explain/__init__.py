"""Why a trajectory is not the expected one: hypotheses, tried one by one until one has that
trajectory.

``hypotheses`` is the one list of what may have happened; ``explanation`` judges them.
"""
