"""The learners: the models of the engine, trained by steps, and baselines, fitted at once."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from pipeline.config.sections import Count, ListOf, Rate, Section, divisor_of, setting, show

Activation = Literal["gelu", "relu"]


class Dropout(Section):
    """Dropout rates of a Transformer; sources say 0.1 everywhere, or none."""

    attention: Rate = setting(0.0, "unresolved", "Share of the attention weights dropped after the softmax.")
    residual: Rate = setting(0.0, "unresolved", "Share dropped of what attention and MLP add to the residual stream.")
    mlp: Rate = setting(0.0, "unresolved", "Share of the MLP's hidden units dropped after the activation.")
    embedding: Rate = setting(
        0.0, "unresolved", "Share dropped of the summed token and position embeddings; above 0, training is slower."
    )


class Transformer(Section):
    """Pre-LN Transformer encoder with trainable positions, read out at [CLS]."""

    kind: Literal["transformer"] = setting("transformer", "read", "The architecture.")
    layers: Count = setting(1, "peer", "Number of layers; more than one train much more slowly.")
    width: Count = setting(64, "peer", "Embedding size, in units.")
    heads: Annotated[Count, divisor_of("width")] = setting(
        16, "peer", "Number of attention heads; must divide `width`."
    )
    mlp_width: Count = setting(64, "unresolved", "Hidden size of the MLP, in units; the sources say 64 or 128.")
    activation: Activation = setting("gelu", "peer", "Activation of the MLP.")
    init_std: Annotated[float, Field(gt=0)] = setting(
        0.02, "peer", "Standard deviation of the initial weights and embeddings."
    )
    dropout: Dropout = Field(Dropout(), description="Dropout rates.")


class Mlp(Section):
    """Multilayer perceptron on the bits as ±1, with the initialisation of torch.nn.Linear."""

    kind: Literal["mlp"] = Field(description="The architecture.")
    widths: Annotated[tuple[Count, ...], Field(strict=False)] = setting(
        (128,), "ours", "Sizes of the hidden layers, in units; none: logistic regression."
    )
    activation: Activation = setting("relu", "ours", "Activation of the hidden layers.")
    dropout: Rate = setting(0.0, "ours", "Share of the hidden units dropped after the activation.")


class Lstm(Section):
    """LSTM that reads the bits as ±1 and is read out at the last, with the initialisation of torch.nn.LSTM."""

    kind: Literal["lstm"] = Field(description="The architecture.")
    width: Count = setting(64, "ours", "Size of the hidden state, in units.")
    layers: Count = setting(1, "ours", "Number of layers.")


Folds = Annotated[int, Field(ge=2)]


class LogisticRegression(Section):
    """L1-regularised logistic regression on the bits (scikit-learn); the penalty is chosen by cross-validation."""

    kind: Literal["logistic_regression"] = Field(description="The learner.")
    inverse_penalties: ListOf[Annotated[float, Field(gt=0)]] = setting(
        (0.01, 0.1, 1.0, 10.0, 100.0),
        "ours",
        "Values of scikit-learn's C to choose from: that of the best accuracy, of equals the smallest.",
    )
    folds: Folds = setting(5, "ours", "Folds of the cross-validation on the training set.")


class DecisionTree(Section):
    """Binary decision tree on the bits (scikit-learn); how far it is pruned is chosen by cross-validation."""

    kind: Literal["decision_tree"] = Field(description="The learner.")
    criterion: Literal["gini", "entropy"] = setting("gini", "ours", "Impurity that a split reduces.")
    prunings: ListOf[Annotated[float, Field(ge=0)]] = setting(
        (0.0, 0.01, 0.02, 0.05, 0.1),
        "ours",
        "Cost-complexity parameters to choose from: that of the best accuracy, of equals the largest.",
    )
    folds: Folds = setting(5, "ours", "Folds of the cross-validation on the training set.")


class Consistent(Section):
    """The learner that outputs a hypothesis consistent with the sample; use it on data without `reject_ambiguous`.

    For AND (and OR, its mirror image) the classical elimination algorithm, which does not know k; for every other
    function an exact search among the k-subsets, which knows k and the truth table. Data that has ambiguous samples
    rejected would do the search's work, and is refused unless it has noise. T and k for which the search is too large
    are refused.
    """

    kind: Literal["consistent"] = Field(description="The learner.")


TRAINED: dict[str, type[Section]] = {"transformer": Transformer, "mlp": Mlp, "lstm": Lstm}
FITTED: dict[str, type[Section]] = {
    "logistic_regression": LogisticRegression,
    "decision_tree": DecisionTree,
    "consistent": Consistent,
}
KINDS = TRAINED | FITTED


def _kind_of(model: Any) -> str:
    """The kind of a model, in a config or validated; that of the default model if it is not given."""
    kind = model.get("kind", "transformer") if isinstance(model, dict) else getattr(model, "kind", "transformer")
    return kind if isinstance(kind, str) else show(kind)


Model = Annotated[
    Annotated[Transformer, Tag("transformer")]
    | Annotated[Mlp, Tag("mlp")]
    | Annotated[Lstm, Tag("lstm")]
    | Annotated[LogisticRegression, Tag("logistic_regression")]
    | Annotated[DecisionTree, Tag("decision_tree")]
    | Annotated[Consistent, Tag("consistent")],
    Discriminator(_kind_of),
]
