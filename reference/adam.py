"""Adam.

D. P. Kingma, J. Ba: Adam: A Method for Stochastic Optimization. ICLR 2015, arXiv:1412.6980,
algorithm 1; epsilon-hat is the last remark of section 2.
I. Loshchilov, F. Hutter: Decoupled Weight Decay Regularization. ICLR 2019, arXiv:1711.05101
(AdamW: decay=DECOUPLED).
S. J. Reddi, S. Kale, S. Kumar: On the Convergence of Adam and Beyond. ICLR 2018, arXiv:1904.09237,
algorithm 2 (AMSGrad).
J. Devlin, M.-W. Chang, K. Lee, K. Toutanova: BERT: Pre-training of Deep Bidirectional Transformers
for Language Understanding. NAACL 2019, arXiv:1810.04805; their program corrects no bias.
"""

from dataclasses import dataclass
from typing import NamedTuple

from . import scalars
from .namespace import Array, Namespace, Scalar, Scalars, State
from .rule import Epsilon, Rule, flag, number, one_of


class Coefficients(NamedTuple):
    """What a step needs beside arrays."""

    step: Scalar
    stretch: Scalar
    keep1: Scalar
    take1: Scalar
    keep2: Scalar
    take2: Scalar
    epsilon: Scalar
    shrink: Scalar


@dataclass(frozen=True, kw_only=True, repr=False)
class Adam(Rule):
    """Step along the running mean of the gradient, in units of its running root mean square.

    ::

        m <- beta1 m + (1 - beta1) g
        v <- beta2 v + (1 - beta2) g^2                  amsgrad: w <- max(w, v) replaces v below
        theta <- theta - lr / (1 - beta1^t) m / (sqrt(v) / sqrt(1 - beta2^t) + epsilon)     OUTSIDE
        theta <- theta - lr sqrt(1 - beta2^t) / (1 - beta1^t) m / (sqrt(v) + epsilon)       HAT

    The step has the units of ``lr`` whatever the scale of the gradient; ``epsilon`` has the units
    of the gradient. The two places of epsilon differ by the factor sqrt(1 - beta2^t): 0.03 at the
    first step, near 1 after thousands. With ``bias_correction`` off, as in BERT's Adam, 1 stands
    for both 1 - beta^t, and the first steps are (1 - beta1) / sqrt(1 - beta2) as long.
    """

    lr: float = number(1e-3, "[0, inf)")
    beta1: float = number(0.9, "[0, 1)")
    beta2: float = number(0.999, "[0, 1)")
    epsilon: float = number(1e-8, "[0, inf)")
    epsilon_at: Epsilon = one_of(
        Epsilon.OUTSIDE, Epsilon.HAT, matters_with=("epsilon", "bias_correction")
    )
    amsgrad: bool = flag()
    bias_correction: bool = flag(True)

    def start(self, theta: Array, xp: Namespace) -> State:
        return {name: xp.zeros_like(theta) for name in ("mvw" if self.amsgrad else "mv")}

    def coefficients(self, t: Scalar, lr: Scalar, xp: Scalars = scalars) -> Coefficients:
        first = 1 - xp.integer_power(self.beta1, t) if self.bias_correction else 1.0
        second = xp.sqrt(1 - xp.integer_power(self.beta2, t)) if self.bias_correction else 1.0
        hat = self.epsilon_at is Epsilon.HAT
        return Coefficients(
            step=lr * second / first if hat else lr / first,
            stretch=1 / second,
            keep1=self.beta1,
            take1=1 - self.beta1,
            keep2=self.beta2,
            take2=1 - self.beta2,
            epsilon=self.epsilon,
            shrink=self.decay_factor(lr),
        )

    def update(
        self, theta: Array, gradient: Array, state: State, c: Coefficients, xp: Namespace
    ) -> tuple[Array, State]:
        theta, g = self.apply_decay(theta, gradient, c)
        m = c.keep1 * state["m"] + c.take1 * g
        v = c.keep2 * state["v"] + c.take2 * xp.square(g)
        new = {"m": m, "v": v}
        if self.amsgrad:
            v = new["w"] = xp.maximum(state["w"], v)
        root = xp.sqrt(v) if self.epsilon_at is Epsilon.HAT else c.stretch * xp.sqrt(v)
        return self.apply_late_decay(theta - c.step * m / (root + c.epsilon), c), new
