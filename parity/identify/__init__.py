"""Which rule is a black box? Probed with designed gradients, named, and held to what it is named.

``probes`` asks, ``features`` sees what kind of step it takes, ``families`` proposes rules, ``fit`` finds their
hyperparameters, ``simple`` writes them as short decimals, ``court`` alone decides, on ``trials``, and ``answer`` puts
it together.
"""
