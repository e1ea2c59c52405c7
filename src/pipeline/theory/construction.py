"""Weights of one attention head and a readout that together compute a k-sparse function exactly.

They are parameters of the model that is trained (:class:`pipeline.engine.transformer.Transformer`). Known of the
paper's construction are nearly orthonormal position vectors and a [CLS] query aligned with the support; the rest is
ours:

1. A token is p_t ± b, for bit 1 and 0: unit position vectors p_t and a unit vector b orthogonal to them all. All tokens
   have the same norm and mean 0, so LayerNorm multiplies them by one known number.
2. [CLS]'s query is folded into a vector u with u · p_j = c + ln w_j at the j-th position of the support S: of all such
   vectors the shortest. The bits do not enter the scores. So attention on S is proportional to the weights w_j, and
   what leaks to the other positions falls exponentially in the sharpness c.
3. The value is the sign ±1 of the bit, so that the head yields y = Σ_j w_j s_j / Σ_j w_j up to the leak. With w = 1
   this counts the ones of x_S, which is all that a symmetric function needs: L = k steps between k + 1 levels. With
   w_j = 2^j it is x_S read as a binary number, which is enough for any function: L = 2^k - 1. Values cannot tell
   positions apart, since they are linear in a sum of position and bit: attention has to.
4. LayerNorm of [CLS]'s residual stream turns y into a strictly increasing function φ(y). The MLP is a zigzag in φ that
   is 0 midway between neighbouring levels whose labels differ, one hidden unit for each change of the label. AND, OR
   and every monotone symmetric function need one: a threshold, for AND at a share of ones of 1 - 1/(2k).
5. The last LayerNorm keeps the sign of the direction that the MLP writes to, and so does the readout, without a bias.

Moving the leak from one bit to the other moves y monotonically. So y lies between its values for the other bits all 0
and all 1: if these two lie on the right side of the neighbouring zeros for all 2^k settings of x_S, the function is
computed exactly on all 2^T inputs.

Shapes: T positions, k of them in the support, width d, H heads, MLP width m.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pipeline.engine.attention import EPSILON
from pipeline.engine.transformer import Transformer
from pipeline.randomness import Stream

RESERVED = 4  # coordinates of [CLS] and of the bit; positions have the others
MIN_WIDTH = 8
MAX_SHARPNESS = 60.0  # beyond, scores differ by more than float32 carries (docs/engine.md, range)
LINEAR = 5.0  # gelu(x) is x to 2e-6 from here on
LEAK = 0.25  # weight outside the support, as a share of that of one unit of its weights: half of what is allowed


class TooNarrow(ValueError):
    """The width is too small: some position's vector is too close to the query, or there are too few hidden units."""


@dataclass(frozen=True)
class Levels:
    """What the head counts, and what the readout makes of it.

    Attributes:
        weights: w_j, attention's proportions on the support, float64 [k].
        labels: the label of each level y = -1, -1 + 2/L, …, 1, bool [L + 1], L = Σ_j w_j.
    """

    weights: np.ndarray
    labels: np.ndarray

    @classmethod
    def of(cls, truth_table: np.ndarray) -> "Levels":
        """The fewest levels that a function of k bits needs: k + 1 if it is symmetric, 2^k otherwise.

        Args:
            truth_table: bool [2**k], see :mod:`pipeline.data.functions`.
        """
        k = len(truth_table).bit_length() - 1
        ones = np.bitwise_count(np.arange(2**k))
        by_count = truth_table[2 ** np.arange(k + 1) - 1]
        if (by_count[ones] == truth_table).all():
            return cls(np.ones(k), by_count)
        return cls(2.0 ** np.arange(k), truth_table)

    @property
    def steps(self) -> int:
        """L, the number of steps between levels."""
        return len(self.labels) - 1

    @property
    def values(self) -> np.ndarray:
        """The levels y, float64 [L + 1]."""
        return np.linspace(-1, 1, self.steps + 1)

    @property
    def changes(self) -> np.ndarray:
        """The y midway between neighbouring levels of different labels, ascending."""
        return (self.values[:-1] + 1 / self.steps)[self.labels[:-1] != self.labels[1:]]


@dataclass(frozen=True)
class Query:
    """[CLS]'s query folded into the keys, for unit position vectors.

    Attributes:
        vector: u, float64 [d].
        sharpness: c.
        leak: attention weight outside the support, [CLS]'s own too, over that on it.
        overlap: largest score of another position over c, at weights 1; the construction fails as it nears 1.
    """

    vector: np.ndarray
    sharpness: float
    leak: float
    overlap: float


def position_vectors(T: int, width: int, stream: Stream) -> np.ndarray:
    """Random unit vectors with mean 0 outside the reserved coordinates, float64 [T, d].

    They are nearly orthonormal: inner products are of the order of sqrt(ln T / d).

    Raises:
        TooNarrow: the width is below 8.
    """
    if width < MIN_WIDTH:
        raise TooNarrow(f"the construction takes a width of {MIN_WIDTH} at least, not {width}")
    vectors = np.zeros((T, width))
    free = stream.normal((T, width - RESERVED))
    free -= free.mean(1, keepdims=True)
    vectors[:, RESERVED:] = free / np.linalg.norm(free, axis=1, keepdims=True)
    return vectors


def aligned_query(positions: np.ndarray, support: np.ndarray, weights: np.ndarray) -> Query:
    """The query of the smallest sharpness whose leak is at most 1 / (4 L).

    A leak λ moves y by at most 2 λ / (1 + λ), so by less than half of the way to the nearest zero of the readout,
    which is 1 / L.

    Args:
        positions: unit vectors p_t, [T, d].
        support: S, int [k].
        weights: w_j, [k].

    Raises:
        TooNarrow: no sharpness up to 60 is enough.
    """
    inverse = np.linalg.pinv(positions[support])
    even, tilt = inverse.sum(1), inverse @ np.log(weights)
    others = np.delete(np.arange(len(positions)), support)
    overlaps, offsets = positions[others] @ even, positions[others] @ tilt

    def leak(sharpness: float) -> float:
        outside = np.exp(sharpness * (overlaps - 1) + offsets).sum() + np.exp(-sharpness)
        return outside / weights.sum()

    budget = LEAK / weights.sum()
    low, high = 0.0, MAX_SHARPNESS
    overlap = overlaps.max(initial=0.0)
    if overlap >= 1 or leak(high) > budget:
        raise TooNarrow(
            f"width {positions.shape[1]} is too small for T = {len(positions)}, k = {len(support)}: "
            f"another position's score is {overlap:.2f} of the support's; use a larger width"
        )
    for _ in range(50):  # the leak falls in the sharpness, since every overlap is below 1
        middle = (low + high) / 2
        low, high = (low, middle) if leak(middle) <= budget else (middle, high)
    return Query(high * even + tilt, high, leak(high), overlap)


def output_ranges(positions: np.ndarray, support: np.ndarray, levels: Levels, query: Query) -> np.ndarray:
    """The least and the largest y over all 2^(T - k) settings of the other bits, float64 [2**k, 2].

    Row i belongs to the setting of the support in which the j-th bit is bit j of i.
    """
    others = np.delete(np.arange(len(positions)), support)
    outside = np.exp(positions[others] @ query.vector - query.sharpness).sum()
    k, total = len(support), levels.weights.sum() + outside + np.exp(-query.sharpness)
    signs = 2.0 * (np.arange(2**k)[:, None] >> np.arange(k) & 1) - 1
    inside = signs @ levels.weights
    return np.stack([inside - outside, inside + outside], 1) / total


def certified(ranges: np.ndarray, levels: Levels, truth_table: np.ndarray) -> bool:
    """Whether all of these y lie between the right changes of the label: a proof of exactness on all 2^T inputs."""
    cells = np.searchsorted(levels.changes, ranges)
    labels = levels.labels[0] ^ (cells[:, 0] % 2 == 1)
    return bool((cells[:, 0] == cells[:, 1]).all() and (labels == truth_table).all())


@dataclass(frozen=True)
class Zigzag:
    """The readout's function of φ: offset + Σ_i slopes_i · activation(φ - kinks_i), of the label's sign.

    Attributes:
        kinks: where the hidden units begin, float64 [changes].
        slopes: float64 [changes].
        offset: what makes it 0 at the first change.
    """

    kinks: np.ndarray
    slopes: np.ndarray
    offset: float

    @classmethod
    def through(cls, zeros: np.ndarray, points: np.ndarray, start: float, rises: bool) -> "Zigzag":
        """The function of slope ± s with these zeros that is at least 1 in absolute value at the points.

        Args:
            zeros: where it is 0, ascending, at least one.
            points: where it is at least 1 or at most -1.
            start: where it begins, before all of them.
            rises: whether its first zero leads from negative to positive.
        """
        kinks = np.concatenate([[start], (zeros[:-1] + zeros[1:]) / 2])
        signs = (1.0 if rises else -1.0) * np.where(np.arange(len(zeros)) % 2, -2.0, 2.0)
        signs[0] /= 2
        raw = np.maximum(points[:, None] - kinks, 0) @ signs - signs[0] * (zeros[0] - start)
        scale = 1 / np.abs(raw).min()
        return cls(kinks, signs * scale, -signs[0] * scale * (zeros[0] - start))


@dataclass(frozen=True)
class Construction:
    """A constructed head and its readout.

    Attributes:
        parameters: by name, as in the model's ``shapes``, float64.
        levels: what it counts.
        query: its query.
    """

    parameters: Mapping[str, Tensor]
    levels: Levels
    query: Query


def construct(
    model: Transformer, positions: np.ndarray, support: np.ndarray, truth_table: np.ndarray, scale: float = 1.0
) -> Construction:
    """The parameters with which a model computes a k-sparse function exactly.

    The first head is the constructed one; all other heads and the hidden units that are not needed are 0.

    Args:
        model: the architecture; its activation is ``relu``, or ``gelu`` for a function with one change of the label.
        positions: unit vectors from :func:`position_vectors`, [T, d].
        support: S, int [k].
        truth_table: bool [2**k], not constant.
        scale: size of an embedding's entries. LayerNorm divides it out; it decides what noise of a size means.

    Raises:
        TooNarrow: the width or the MLP's is too small.
        ValueError: ``gelu`` for a function with more changes.
    """
    levels = Levels.of(truth_table)
    changes = len(levels.changes)
    if changes > model.mlp_width:
        raise TooNarrow(f"the label changes {changes} times, and the MLP has {model.mlp_width} hidden units; use more")
    if model.activation != "relu" and changes > 1:
        raise ValueError(f"{model.activation} is no zigzag of {changes} zeros; use relu")
    query = aligned_query(positions, support, levels.weights)
    d, size = model.width, scale * model.width**0.5
    p = {name: torch.zeros(shape, dtype=torch.float64) for name, shape in model.shapes.items()}
    for name in ("attention", "mlp", "final"):
        p[f"{name}_norm_gain"] += 1
    cls, bit, answer = (_direction(d, number) for number in range(3))
    _embed(p, positions, size, cls, bit)
    _attend(p, d // model.heads, query.vector, size, cls, bit)
    _read(p, levels, size, bit, answer)
    return Construction(p, levels, query)


def _direction(width: int, number: int) -> Tensor:
    """A unit vector with mean 0, of two coordinates; of the third direction [CLS]'s embedding has nothing."""
    vector = torch.zeros(width, dtype=torch.float64)
    vector[2 * number], vector[2 * number + 1] = 0.5**0.5, -(0.5**0.5)
    return vector


def _embed(p: Mapping[str, Tensor], positions: np.ndarray, size: float, cls: Tensor, bit: Tensor) -> None:
    """Tokens (p_t ± b) · size / √2 and [CLS], each of the norm ``size``."""
    p["embedding"][:-2] = torch.from_numpy(positions) * (size * 0.5**0.5)
    p["embedding"][-2:] = torch.stack([-bit, bit]) * (size * 0.5**0.5)
    p["cls"] += size * cls


def normalised(size: float, width: int) -> float:
    """The norm that LayerNorm gives a vector of mean 0 and norm ``size``."""
    return size / (size**2 / width + EPSILON) ** 0.5


def _attend(p: Mapping[str, Tensor], per_head: int, u: np.ndarray, size: float, cls: Tensor, bit: Tensor) -> None:
    """Scores u · p_t and values ±1 in the first head, written to the residual stream as y · b · size."""
    norm = normalised(size, len(cls))
    key = torch.from_numpy(u) * (2**0.5 / norm)
    balance = key.norm() ** 0.5  # query and key weights of the same norm
    p["query_weight"][0] = cls * (per_head**0.5 / norm) ** 0.5 * balance
    p["key_weight"][0] = key * (per_head**0.5 / norm) ** 0.5 / balance
    p["value_weight"][0] = bit * (2**0.5 / norm)
    p["out_weight"][:, 0] = size * bit


def _read(p: Mapping[str, Tensor], levels: Levels, size: float, bit: Tensor, answer: Tensor) -> None:
    """The zigzag, added to the residual stream along ``answer``, and a logit of its sign, at least 1 at the levels."""
    d = len(bit)

    def phi(y: np.ndarray | float) -> np.ndarray | float:
        """What LayerNorm leaves of y: the residual stream is size · (cls + y · b)."""
        return size * y / (size**2 * (1 + y**2) / d + EPSILON) ** 0.5

    start = phi(-1.0) - LINEAR  # so that the first unit is linear in all that occurs, whatever the activation
    zigzag = Zigzag.through(phi(levels.changes), phi(levels.values), start, bool(not levels.labels[0]))
    used, roots = len(zigzag.kinks), torch.from_numpy(np.sqrt(np.abs(zigzag.slopes)))
    p["mlp_in_weight"][:used] = roots[:, None] * bit
    p["mlp_in_bias"][:used] = -roots * torch.from_numpy(zigzag.kinks)
    p["mlp_out_weight"][:, :used] = size * answer[:, None] * roots * torch.from_numpy(np.sign(zigzag.slopes))
    p["mlp_out_bias"] += size * zigzag.offset * answer
    p["readout_weight"][0] = answer * (3 / d) ** 0.5
