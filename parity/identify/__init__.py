"""Find out which rule an unknown optimizer computes, with which hyperparameters.

1. ``observe`` runs the optimizer on ``trials``: designed gradients, and others for confirmation.
2. ``features`` measures the optimizer's first steps.
3. ``propose`` finds rules that come near. ``families`` lists, for each rule, what to try
   (``family`` explains it), ``search`` fits it with ``fit`` to ``fit_data``. ``signs`` and ``muon``
   treat Rprop, Lion and Muon.
4. ``decimals`` and ``equivalents`` write a fitted rule as a person would.
5. ``judge`` alone decides: the rule's trajectory must stay within rounding limits on every trial.
   ``interpretations`` adds the known deviations of the frameworks.
6. ``answer`` puts it together; ``native_calls`` adds the frameworks' calls that mean the rule.
"""
