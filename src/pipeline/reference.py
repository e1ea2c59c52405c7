"""The models in plain torch.nn, one run at a time: the specification that the engine is tested against.

The Transformer is a minGPT-like encoder (paper, section on experiments; there it has one layer): trainable position
embeddings, a [CLS] token in front of the T bits, pre-LayerNorm, full attention without a mask, and a linear read-out at
[CLS]. The MLP and the LSTM see the bits as ±1.
"""

import math
from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.engine.dropout import NO_DROPOUT, Dropout
from pipeline.engine.parameters import ParameterStack

CLS = 2  # the token vocabulary is {bit 0, bit 1, [CLS]}
ACTIVATIONS = {"gelu": nn.GELU, "relu": nn.ReLU}

Attention = Callable[[Tensor, Tensor, Tensor], Tensor]


class NamedDropout(nn.Dropout):
    """Dropout under the name that the engine gives its masks; with a mask, it multiplies by that instead."""

    def __init__(self, name: str, rate: float) -> None:
        super().__init__(rate)
        self.name, self.mask = name, None

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return super().forward(x) if self.mask is None else x * self.mask


def set_masks(module: nn.Module, masks: Mapping[str, Tensor]) -> None:
    """Hands a run's masks, by name, to the dropouts of its reference module."""
    for dropout in module.modules():
        if isinstance(dropout, NamedDropout):
            dropout.mask = masks.get(dropout.name)


class SelfAttention(nn.Module):
    """Multi-head self-attention, [n, L, d] -> [n, L, d], or -> [n, 1, d] for the first query alone."""

    def __init__(self, width: int, heads: int, attention: Attention | None, dropout: nn.Module) -> None:
        super().__init__()
        self.heads, self.attention, self.dropout = heads, attention or self.softmax_attention, dropout
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))

    def softmax_attention(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attention written out, as in minGPT: [n, H, L, d / H] three times -> [n, H, L, d / H]."""
        scores = query @ key.mT / math.sqrt(query.shape[-1])
        return self.dropout(scores.softmax(-1)) @ value

    def _split(self, x: Tensor) -> Tensor:
        """[n, L, d] -> [n, H, L, d / H]."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def forward(self, x: Tensor, cls_only: bool) -> Tensor:  # noqa: D102
        queries = x[:, :1] if cls_only else x
        attended = self.attention(*map(self._split, (self.query(queries), self.key(x), self.value(x))))
        return self.out(attended.transpose(1, 2).flatten(2))


class Layer(nn.Module):
    """Attention and MLP, [n, L, d] -> [n, L, d], or -> [n, 1, d] for the first query alone; number counts from 1."""

    def __init__(
        self,
        number: int,
        width: int,
        heads: int,
        mlp_width: int,
        attention: Attention | None,
        activation: str,
        dropout: Dropout,
    ) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = SelfAttention(width, heads, attention, NamedDropout(f"attention{number}", dropout.attention))
        self.attention_dropout = NamedDropout(f"attention_residual{number}", dropout.residual)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp_in = nn.Linear(width, mlp_width)
        self.activation = ACTIVATIONS[activation]()
        self.hidden_dropout = NamedDropout(f"mlp{number}", dropout.mlp)
        self.mlp_out = nn.Linear(mlp_width, width)
        self.mlp_dropout = NamedDropout(f"mlp_residual{number}", dropout.residual)

    def forward(self, x: Tensor, cls_only: bool) -> Tensor:  # noqa: D102
        residual = x[:, :1] if cls_only else x
        x = residual + self.attention_dropout(self.attention(self.attention_norm(x), cls_only))
        hidden = self.hidden_dropout(self.activation(self.mlp_in(self.mlp_norm(x))))
        return x + self.mlp_dropout(self.mlp_out(hidden))


class ReferenceTransformer(nn.Module):
    """Bits [n, T] -> logits [n] of P(label = 1).

    Args:
        context_length: T, the number of input bits.
        width: embedding width d.
        heads: number of attention heads H, a divisor of d.
        mlp_width: hidden width of the MLP.
        layers: number of layers.
        activation: of the MLP, ``gelu`` or ``relu``.
        dropout: the rates; no dropout by default.
        cls_only: in the last layer, attend from the [CLS] query alone. The read-out sees nothing else, so the function
            is the same; with one layer the cost is linear in T instead of quadratic.
        attention: how attention is computed, written out by default; another way, such as torch's fused
            ``scaled_dot_product_attention``, has no attention dropout.
    """

    def __init__(
        self,
        context_length: int,
        width: int,
        heads: int,
        mlp_width: int,
        *,
        layers: int = 1,
        activation: str = "gelu",
        dropout: Dropout = NO_DROPOUT,
        cls_only: bool = False,
        attention: Attention | None = None,
    ) -> None:
        super().__init__()
        self.cls_only = cls_only
        self.token = nn.Embedding(3, width)
        self.position = nn.Parameter(torch.empty(context_length + 1, width))
        self.embedding_dropout = NamedDropout("embedding", dropout.embedding)
        self.layers = nn.ModuleList(
            Layer(number, width, heads, mlp_width, attention, activation, dropout) for number in range(1, layers + 1)
        )
        self.final_norm = nn.LayerNorm(width)
        self.readout = nn.Linear(width, 1)

    def forward(self, bits: Tensor) -> Tensor:  # noqa: D102
        tokens = F.pad(bits.long(), (1, 0), value=CLS)
        x = self.embedding_dropout(self.token(tokens) + self.position)
        *before, last = self.layers
        for layer in before:
            x = layer(x, cls_only=False)
        x = last(x, self.cls_only)
        return self.readout(self.final_norm(x[:, 0])).squeeze(-1)


class ReferenceMlp(nn.Module):
    """Bits [n, T] -> logits [n] of P(label = 1); arguments as those of the engine's Mlp."""

    def __init__(
        self, context_length: int, widths: tuple[int, ...], activation: str = "relu", dropout: float = 0.0
    ) -> None:
        super().__init__()
        sizes = (context_length, *widths)
        self.hidden = nn.ModuleList(map(nn.Linear, sizes, widths))
        self.activation = ACTIVATIONS[activation]()
        self.dropouts = nn.ModuleList(NamedDropout(f"hidden{layer}", dropout) for layer in range(1, len(sizes)))
        self.readout = nn.Linear(sizes[-1], 1)

    def forward(self, bits: Tensor) -> Tensor:  # noqa: D102
        x = _signs(bits, self.readout.weight.dtype)
        for hidden, dropout in zip(self.hidden, self.dropouts, strict=True):
            x = dropout(self.activation(hidden(x)))
        return self.readout(x).squeeze(-1)


class ReferenceLstm(nn.Module):
    """Bits [n, T] -> logits [n] of P(label = 1), from the last output; arguments as those of the engine's Lstm."""

    def __init__(self, context_length: int, width: int, layers: int = 1) -> None:
        super().__init__()
        self.lstm = nn.LSTM(1, width, layers, batch_first=True)
        self.readout = nn.Linear(width, 1)

    def forward(self, bits: Tensor) -> Tensor:  # noqa: D102
        outputs, _ = self.lstm(_signs(bits, self.readout.weight.dtype).unsqueeze(-1))
        return self.readout(outputs[:, -1]).squeeze(-1)


def _signs(bits: Tensor, dtype: torch.dtype) -> Tensor:
    return torch.where(bits, 1.0, -1.0).to(dtype)


def one_run(parameters: ParameterStack, run: int) -> dict[str, Tensor]:
    """One run of a stack; of Mlp and Lstm this is the reference's state dict. It applies to gradients as well."""
    return {name: parameters[name][run] for name in parameters.shapes}


def reference_state(parameters: ParameterStack, run: int) -> dict[str, Tensor]:
    """One run of a stack of Transformers or DeepTransformers as the state dict of :class:`ReferenceTransformer`.

    It applies to gradients as well. The key bias, which the engine leaves out because it cancels, is zero.
    """
    p = one_run(parameters, run)
    state = {
        "token.weight": torch.cat([p["embedding"][-2:], p["cls"].unsqueeze(0)]),
        "position": torch.cat([p["cls_position"].unsqueeze(0), p["embedding"][:-2]]),
    }
    names = {"readout": "readout", "final_norm": "final_norm"}
    prefixes = [name.removesuffix("query_weight") for name in p if name.endswith("query_weight")]
    for layer, prefix in enumerate(prefixes):
        names |= {f"layers.{layer}.attention.{name}": f"{prefix}{name}" for name in ("query", "key", "value", "out")}
        rest = ("attention_norm", "mlp_norm", "mlp_in", "mlp_out")
        names |= {f"layers.{layer}.{name}": f"{prefix}{name}" for name in rest}
    for theirs, ours in names.items():
        weight = p[f"{ours}_gain"] if theirs.endswith("_norm") else p[f"{ours}_weight"]
        state[f"{theirs}.weight"] = weight
        state[f"{theirs}.bias"] = p.get(f"{ours}_bias", weight.new_zeros(len(weight)))
    return state
