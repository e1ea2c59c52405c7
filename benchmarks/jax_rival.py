"""The [CLS]-only module written in JAX, under jax.vmap and jit; needs the optional extra ``jax``."""

from functools import partial

import jax
import jax.numpy as jnp
import torch

from engine import ARCHITECTURE, PROTOCOL, Step, data
from pipeline.reference import CLS
from rivals import states

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8  # torch.optim.Adam's defaults


def _norm(p: dict, name: str, x: jax.Array) -> jax.Array:
    centred = x - x.mean(-1, keepdims=True)
    scale = jax.lax.rsqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
    return centred * scale * p[f"{name}.weight"] + p[f"{name}.bias"]


def _linear(p: dict, name: str, x: jax.Array) -> jax.Array:
    return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]


def _attention(p: dict, name: str, x: jax.Array) -> jax.Array:
    """[n, L, d] -> [n, d], from the first query."""

    def heads(y: jax.Array) -> jax.Array:
        return y.reshape(*y.shape[:-1], ARCHITECTURE["heads"], -1)

    query = heads(_linear(p, f"{name}.query", x[:, 0]))
    key, value = (heads(_linear(p, f"{name}.{part}", x)) for part in ("key", "value"))
    scores = jnp.einsum("nhc,nlhc->nhl", query, key) / jnp.sqrt(query.shape[-1])
    attended = jnp.einsum("nhl,nlhc->nhc", jax.nn.softmax(scores), value)
    return _linear(p, f"{name}.out", attended.reshape(len(x), -1))


def _loss(p: dict, bits: jax.Array, labels: jax.Array) -> jax.Array:
    """Mean cross-entropy of one run: bits [n, T], labels [n]."""
    tokens = jnp.pad(bits.astype(int), ((0, 0), (1, 0)), constant_values=CLS)
    x = p["token.weight"][tokens] + p["position"]
    residual = x[:, 0] + _attention(p, "layers.0.attention", _norm(p, "layers.0.attention_norm", x))
    hidden = _linear(p, "layers.0.mlp_in", _norm(p, "layers.0.mlp_norm", residual))
    residual += _linear(p, "layers.0.mlp_out", jax.nn.gelu(hidden, approximate=False))
    logits = _linear(p, "readout", _norm(p, "final_norm", residual))[:, 0]
    return (jax.nn.softplus(logits) - labels * logits).mean()


@partial(jax.jit, donate_argnums=(0, 1, 2, 3))
def _train(p: dict, mean: dict, square: dict, count: jax.Array, bits: jax.Array, labels: jax.Array) -> tuple:
    """One step of every run with Adam: the new parameters, moments and count of steps, and the losses before."""
    losses, gradients = jax.vmap(jax.value_and_grad(_loss))(p, bits, labels)
    count += 1

    def moment(old: dict, new: dict, beta: float) -> dict:
        return jax.tree.map(lambda old, new: beta * old + (1 - beta) * new, old, new)

    def update(p: jax.Array, mean: jax.Array, square: jax.Array) -> jax.Array:
        scale = jnp.sqrt(square / (1 - BETA2**count)) + EPSILON
        return p - PROTOCOL.learning_rate * mean / (1 - BETA1**count) / scale

    gradients = jax.tree.map(lambda gradient, p: gradient + PROTOCOL.weight_decay * p, gradients, p)
    mean = moment(mean, gradients, BETA1)
    square = moment(square, jax.tree.map(jnp.square, gradients), BETA2)
    return jax.tree.map(update, p, mean, square), mean, square, count, losses


def jax_vmapped(context_length: int, n: int, runs: int, dtype: torch.dtype = torch.float32) -> Step:
    """The step of a stack of runs; losses as a JAX array. float64 needs jax.enable_x64."""
    bits, labels = data(context_length, n, runs)
    bits, labels = jnp.asarray(bits.numpy()), jnp.asarray(labels.to(dtype).numpy())
    of_runs = states(context_length, runs, dtype)
    parameters = {name: jnp.stack([state[name].numpy() for state in of_runs]) for name in of_runs[0]}
    mean, square = (jax.tree.map(jnp.zeros_like, parameters) for _ in range(2))
    state = parameters, mean, square, jnp.zeros((), labels.dtype)

    def step() -> jax.Array:
        nonlocal state
        *state, losses = jax.block_until_ready(_train(*state, bits, labels))
        return losses

    return step
