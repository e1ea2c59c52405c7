"""Time of the engine's training step with dropout, relative to that without it.

The variants take turns; medians are printed. In torch is what runs where there is no C compiler.
"""

import argparse
from functools import partial

import pandas as pd

from engine import Step, engine_step
from pipeline.engine import transformer
from pipeline.engine.dropout import NO_DROPOUT, Dropout
from workers import Mode, measure

CELLS = [(100, 50), (300, 80), (500, 80), (1100, 110)]
RUNS = 10
ATTENTION = Dropout(attention=0.1)


def in_torch(*arguments: int, dropout: Dropout) -> Step:
    """A step that does not use the C functions, nor will any other of this process."""
    transformer.kernels = lambda *_: None
    return engine_step(*arguments, dropout=dropout)


VARIANTS = {
    "none": partial(engine_step, dropout=NO_DROPOUT),
    "of attention weights": partial(engine_step, dropout=ATTENTION),
    "also of residuals and hidden units": partial(engine_step, dropout=Dropout(attention=0.1, residual=0.1, mlp=0.1)),
    "of attention weights, in torch": partial(in_torch, dropout=ATTENTION),
}


def main() -> None:
    """Prints a table: a row a cell, a column a variant."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    rows = {}
    for cell in CELLS:
        makers = {name: partial(step, *cell, RUNS) for name, step in VARIANTS.items()}
        measured = measure(makers, Mode(processes=1, threads=1), given.rounds)
        times = {name: measured[name].seconds / measured["none"].seconds for name in VARIANTS}
        rows["T = {}, n = {}".format(*cell)] = times
    print(pd.DataFrame(rows).T.to_string(float_format="%.2f"))


if __name__ == "__main__":
    main()
