"""Capacity of bounded-norm attention heads: covering numbers, and the generalisation bound that follows.

Setting. Samples are m sequences of T tokens x_t with ‖x_t‖ ≤ 1. A head of value weight V (d × e, ‖V‖_F ≤ v, spectral
norm at most s) and query q ([CLS]'s query folded into the keys, ‖q‖ ≤ r; of a fixed [CLS] token q = W_QK x_cls)
yields::

    h(X) = Vᵀ Xᵀ softmax(X q)

Embeddings are fixed before the samples are seen. ``N(ε)`` is the least number of elements of a class such that every
element is within ε of one of them on all m samples, in the 2-norm of the output (a *cover* in the sup norm over
samples). Natural logarithms throughout.

Provenance, in each docstring: *paper, read*; *remembered* (of the paper; factors unsure); *textbook*; *ours* (derived
here, constants and all). The derivation of the head's bound:

1. ‖softmax(a) - softmax(b)‖₁ ≤ 2 ‖a - b‖_∞, so ‖h - h'‖ ≤ max_t ‖(V - V')ᵀ x_t‖ + 2 s · max_t |x_tᵀ (q - q')|.
2. Both terms are linear classes on the m T tokens. For a ball of radius B and a seminorm ρ on it the dual Sudakov
   inequality says ln N(ε) ≤ ln 2 + 8 B² M² / ε², M = E ρ(g) of a standard Gaussian g: the Gaussian measure of balls of
   the seminorm around the points of an ε-packing, moved out by a factor 4 M / ε, is at least ½ exp(-8 B² M² / ε²) each.
   For max_t |x_tᵀ g| over m T tokens M ≤ sqrt(2 ln 2mT); for max_t ‖Gᵀ x_t‖ M ≤ sqrt(e) + sqrt(2 ln mT).
3. With A / ε_V² + B / ε_q² and ε = ε_V + 2 s ε_q, the best split gives [A^⅓ + (4 s² B)^⅓]³ / ε².
4. Heads side by side: ε² = Σ ε_h², the best split of Σ C_h / ε_h² gives (Σ √C_h)² / ε².
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy.optimize import brentq

OFFSET = math.log(2)  # of each linear class's cover
BITS = 32  # of a parameter in float32


def linear_entropy(radius: float, points: float, outputs: int = 1) -> float:
    """C such that ln N(ε) ≤ ln 2 + C / ε² for {x ↦ Wᵀ x : ‖W‖_F ≤ radius} on points of norm at most 1.

    Ours: the dual Sudakov inequality (textbook, Pajor and Tomczak-Jaegermann 1985) with the constant 8 of the proof
    above. The dimension does not enter.

    Args:
        radius: bound on the Frobenius norm, at least 0.
        points: how many, at least 1.
        outputs: columns of W.
    """
    one, several = math.sqrt(2 * math.log(2 * points)), math.sqrt(outputs) + math.sqrt(2 * math.log(points))
    return 8 * (radius * (one if outputs == 1 else several)) ** 2


def head_entropy(frobenius: float, spectral: float, query: float, samples: float, T: int, outputs: int = 1) -> float:
    """C such that ln N(ε) ≤ 2 ln 2 + C / ε² for one head. Ours, steps 1 to 3 above; the form is the paper's.

    It grows with T through ln(mT) alone, at fixed norms.

    Args:
        frobenius: v, bound on ‖V‖_F.
        spectral: s, bound on the spectral norm of V.
        query: r, bound on ‖q‖.
        samples: m.
        T: tokens of a sample.
        outputs: e, the head's width.
    """
    tokens = samples * T
    value, scores = linear_entropy(frobenius, tokens, outputs), linear_entropy(query, tokens)
    return (value ** (1 / 3) + (4 * spectral**2 * scores) ** (1 / 3)) ** 3


def remembered_entropy(
    value_21: float, value: float, query_key_21: float, samples: float, T: int, lipschitz: float = 1
) -> float:
    """C such that ln N_∞(ε) ≲ C / ε² for one head: remembered of the paper, the constant hidden in ≲ taken as 1.

    (L_σ B_X)² · [(B_V^{2,1})^⅔ + (B_X B_QK^{2,1} B_V)^⅔]³ · ln(mT), here with B_X = 1.

    Args:
        value_21: B_V^{2,1}, bound on the (2,1) norm of W_V.
        value: B_V, bound on its spectral norm.
        query_key_21: B_QK^{2,1}, bound on the (2,1) norm of W_QK.
        samples: m.
        T: tokens of a sample.
        lipschitz: L_σ, Lipschitz constant of what follows the head.
    """
    norms = value_21 ** (2 / 3) + (query_key_21 * value) ** (2 / 3)
    return lipschitz**2 * norms**3 * math.log(samples * T)


def side_by_side(entropies: Sequence[float]) -> float:
    """C of heads whose outputs are put side by side, from that of each. Ours, step 4 above."""
    return float(np.sqrt(np.asarray(entropies)).sum() ** 2)


def rademacher_bound(entropy: float, offset: float, samples: float) -> float:
    """Bound on the empirical Rademacher complexity of a class with values in [0, 1] and ln N(ε) ≤ offset + entropy/ε².

    Textbook: Dudley's chaining, R ≤ inf_a 4 a + 12 / √m · ∫_a^1 sqrt(ln N(ε)) dε (constants as in Bartlett, Foster and
    Telgarsky 2017, lemma A.5, there remembered), and Massart's lemma at one scale, R ≤ ε + sqrt(2 ln N(ε) / m), which
    is better where both are large. The smaller of the two; at most 1. sqrt(x + y) ≤ √x + √y under the integral is ours.
    """
    root, flat = math.sqrt(entropy / samples), math.sqrt(offset / samples)
    cut = min(1.0, 3 * root)  # where the derivative of 4 a - 12 root · ln a is 0
    chained = 4 * cut + 12 * (flat * (1 - cut) + root * math.log(1 / cut)) if cut else 12 * flat
    scale = (2 * entropy / samples) ** 0.25
    single = 2 * scale + math.sqrt(2 * offset / samples)
    return min(chained, single, 1.0)


def norm_bound(entropy: float, offset: float, samples: float, delta: float = 0.05) -> float:
    """Bound on P(error) less the mean ramp loss on the samples, with probability 1 - delta.

    Textbook (Bartlett and Mendelson 2002): 2 R + 3 sqrt(ln(2 / δ) / 2m) for a class of losses in [0, 1]. The loss is
    the ramp of the margin, so the entropy is that of the margin losses: that of the head times (L / γ)², where what
    follows the head is L-Lipschitz and fixed, and γ is the margin. Norms, L and γ have to be fixed before the samples
    are seen; at those that training found, a guarantee needs a union over their values besides, which is left out.
    """
    return 2 * rademacher_bound(entropy, offset, samples) + 3 * math.sqrt(math.log(2 / delta) / (2 * samples))


def counting_entropy(parameters: int) -> float:
    """ln of the number of networks with p parameters of 32 bits: 32 p ln 2."""
    return BITS * math.log(2) * parameters


def counting_bound(parameters: int, samples: float, delta: float = 0.05) -> float:
    """Bound on P(error) less the share of errors on the samples, with probability 1 - delta, by counting parameters.

    Textbook (Occam: Hoeffding and a union over all networks): sqrt((32 p ln 2 + ln(1 / δ)) / 2m). It holds for all that
    is trained, embeddings and readout too, and knows no norms. The position embeddings make p grow like T.
    """
    return math.sqrt((counting_entropy(parameters) + math.log(1 / delta)) / (2 * samples))


def samples_for(bound: Callable[[float], float], gap: float) -> float:
    """The number of samples m from which a bound that falls with m, as a function of m, is at most ``gap``."""
    low, high = 0.0, 300.0  # ln m
    return math.exp(brentq(lambda log_m: bound(math.exp(log_m)) - gap, low, high))
