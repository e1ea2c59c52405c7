"""Other ways to train the same runs: the plain module, with and without torch.func.vmap.

A rival is a function of T, n and the number of runs that gives their training step. It begins where the engine begins
and follows the same trajectory.
"""

import torch
import torch._dynamo  # torch.optim imports it late, and its memory is no rival's
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call, grad_and_value, vmap

from engine import ARCHITECTURE, CPU, PROTOCOL, Step, data, initial
from pipeline.reference import ReferenceTransformer, reference_state


def states(context_length: int, runs: int, dtype: torch.dtype, device: torch.device = CPU) -> list[dict[str, Tensor]]:
    """The runs' initial parameters as the reference module names them."""
    parameters = initial(context_length, runs, dtype, device)
    return [reference_state(parameters, run) for run in range(runs)]


def plain(
    context_length: int, n: int, runs: int, dtype: torch.dtype = torch.float32, device: torch.device = CPU, **options
) -> Step:
    """The reference module, one run after the other, with options of its constructor."""
    bits, labels = data(context_length, n, runs, device)
    labels = labels.to(dtype)
    modules = [ReferenceTransformer(context_length, **ARCHITECTURE, **options).to(device, dtype) for _ in range(runs)]
    for module, state in zip(modules, states(context_length, runs, dtype, device), strict=True):
        module.load_state_dict(state)
    optimisers = [_adam(module.parameters()) for module in modules]

    def train(run: int) -> Tensor:
        loss = F.binary_cross_entropy_with_logits(modules[run](bits[run]), labels[run])
        optimisers[run].zero_grad()
        loss.backward()
        optimisers[run].step()
        return loss.detach()

    return lambda: torch.stack([train(run) for run in range(runs)])


def vmapped(
    context_length: int, n: int, runs: int, dtype: torch.dtype = torch.float32, device: torch.device = CPU, **options
) -> Step:
    """The reference module under torch.func.vmap, all runs at once."""
    bits, labels = data(context_length, n, runs, device)
    labels = labels.to(dtype)
    module = ReferenceTransformer(context_length, **ARCHITECTURE, **options).to(device)
    of_runs = states(context_length, runs, dtype, device)
    parameters = {name: torch.stack([state[name] for state in of_runs]) for name in of_runs[0]}
    optimiser = _adam(parameters.values())

    def loss(parameters: dict[str, Tensor], bits: Tensor, labels: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(functional_call(module, parameters, (bits,)), labels)

    gradients_and_losses = vmap(grad_and_value(loss))

    def step() -> Tensor:
        gradients, losses = gradients_and_losses(parameters, bits, labels)
        for name, parameter in parameters.items():
            parameter.grad = gradients[name]
        optimiser.step()
        return losses

    return step


def _adam(parameters) -> torch.optim.Adam:
    return torch.optim.Adam(parameters, PROTOCOL.learning_rate, weight_decay=PROTOCOL.weight_decay, fused=True)
