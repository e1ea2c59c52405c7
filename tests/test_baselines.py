"""The baselines, against brute force, independent computations and known answers."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from pipeline.baselines import consistent, decision_tree, logistic_regression
from pipeline.baselines.learning import Sample
from pipeline.baselines.logistic_regression import SparseRegression
from pipeline.baselines.registry import BASELINES
from pipeline.baselines.selection import choose
from pipeline.config import FITTED
from pipeline.data.datasets import Address
from pipeline.data.functions import FUNCTIONS, evaluate
from pipeline.data.sampling import draw_holdout, draw_training_set

LOGISTIC = FITTED["logistic_regression"](kind="logistic_regression").model_dump()
TREE = FITTED["decision_tree"](kind="decision_tree").model_dump()


def sample(function="and", k=3, T=20, n=60, seed=0, labels=None) -> Sample:
    one = draw_training_set(
        Address(function, k, T, n), seed, draw_holdout(function, k, T, 10), reject_ambiguous=False, max_redraws=0
    )
    drawn = Sample.of(Address(function, k, T, n), one)
    return drawn if labels is None else Sample(drawn.address, seed, drawn.inputs, np.array(labels), drawn.truth_table)


def given_sample(function: str, inputs: np.ndarray, labels: np.ndarray, k=2) -> Sample:
    n, T = inputs.shape
    table = FUNCTIONS[function].truth_table(k, None)
    return Sample(Address(function, k, T, n), 0, inputs, labels, table)


def every_input(T: int) -> np.ndarray:
    return (np.arange(2**T)[:, None] >> np.arange(T) & 1).astype(bool)


@st.composite
def labelled_inputs(draw, least_T=2):
    inputs = draw(arrays(bool, (draw(st.integers(1, 12)), draw(st.integers(least_T, 6)))))
    return inputs, draw(arrays(bool, len(inputs)))


def test_every_baseline_of_the_config_is_there():
    assert BASELINES.keys() == FITTED.keys()


class TestConsistent:
    @given(labelled_inputs())
    def test_elimination_gives_the_most_specific_conjunction(self, drawn):
        """It accepts what every conjunction that accepts all positive samples accepts."""
        inputs, labels = drawn
        everything = every_input(inputs.shape[1])
        accepted = np.ones(len(everything), dtype=bool)
        for literals in everything:  # as subsets of the bits
            if inputs[labels][:, literals].all():
                accepted &= everything[:, literals].all(axis=1)
        predict = consistent.fit({}, given_sample("and", inputs, labels)).predict
        assert predict(everything).tolist() == accepted.tolist()

    @given(labelled_inputs())
    def test_or_is_the_mirror_image_of_and(self, drawn):
        inputs, labels = drawn
        everything = every_input(inputs.shape[1])
        disjunction = consistent.fit({}, given_sample("or", inputs, labels))
        conjunction = consistent.fit({}, given_sample("and", ~inputs, ~labels))
        assert disjunction.predict(everything).tolist() == (~conjunction.predict(~everything)).tolist()

    @pytest.mark.parametrize("function", FUNCTIONS)
    def test_many_samples_give_the_function_itself(self, function):
        drawn = sample(function, T=30, n=200, seed=4)
        one = draw_training_set(
            drawn.address, 4, draw_holdout(function, 3, 30, 500), reject_ambiguous=False, max_redraws=0
        )
        predicted = consistent.fit({}, drawn).predict(draw_holdout(function, 3, 30, 500).unpack())
        assert predicted.tolist() == one.holdout_labels.tolist()

    @pytest.mark.parametrize("function", FUNCTIONS)
    def test_few_samples_are_fitted(self, function):
        drawn = sample(function, T=30, n=8)
        assert consistent.fit({}, drawn).predict(drawn.inputs).tolist() == drawn.labels.tolist()

    @pytest.mark.parametrize(("labels", "majority"), [([1, 1, 0], True), ([1, 0, 0], False), ([0, 1], False)])
    def test_the_majority_label_where_nothing_fits(self, labels, majority):
        inputs = np.zeros((len(labels), 4), dtype=bool)  # equal inputs with different labels
        predict = consistent.fit({}, given_sample("parity", inputs, np.array(labels, dtype=bool))).predict
        assert predict(every_input(4)).tolist() == [majority] * 16


class TestLogisticRegression:
    def test_learns_a_small_and_from_many_samples(self):
        drawn = sample(T=10, n=600)
        one = draw_training_set(drawn.address, 0, draw_holdout("and", 3, 10, 10), reject_ambiguous=False, max_redraws=0)
        predict = logistic_regression.fit(LOGISTIC, drawn).predict
        everything = every_input(10)
        assert predict(everything).tolist() == everything[:, one.support].all(axis=1).tolist()

    @pytest.mark.parametrize("C", [0.3, 1.0, 10.0])
    def test_agrees_with_another_solver(self, C):
        """With saga, whose intercept is free of the penalty."""
        drawn = sample(T=15, n=40)
        signs = np.where(drawn.inputs, 1.0, -1.0)
        other = LogisticRegression(C=C, l1_ratio=1.0, solver="saga", tol=1e-7, max_iter=100_000, random_state=0)
        probabilities = other.fit(signs, drawn.labels).predict_proba(signs)
        loss = -np.log(probabilities[np.arange(40), drawn.labels.astype(int)]).mean()
        hypothesis = logistic_regression.fit({"inverse_penalties": (C,), "folds": 5}, drawn)
        assert hypothesis.train_loss == pytest.approx(loss, rel=1e-2)
        everything = every_input(15)
        agreement = hypothesis.predict(everything) == other.predict(np.where(everything, 1.0, -1.0))
        assert agreement.mean() > 0.999

    @pytest.mark.parametrize("seed", range(4))
    def test_chooses_the_c_of_an_independent_computation(self, seed):
        drawn = balanced(seed)
        correct = {C: left_out_correct(lambda C=C: regression(C), drawn) for C in (0.1, 0.3, 1.0, 3.0, 10.0)}
        expected = min(C for C in correct if correct[C] == max(correct.values()))
        chosen, only = (
            logistic_regression.fit({"inverse_penalties": penalties, "folds": 5}, drawn).train_loss
            for penalties in ((3.0, 0.3, 10.0, 0.1, 1.0), (expected,))
        )
        assert chosen == only
        assert len(set(correct.values())) > 1

    def test_does_not_depend_on_the_order_of_the_candidates(self):
        losses = {
            logistic_regression.fit({"inverse_penalties": penalties, "folds": 5}, sample(n=30)).train_loss
            for penalties in ((0.1, 1.0, 10.0), (10.0, 0.1, 1.0))
        }
        assert len(losses) == 1

    def test_the_intercept_is_hardly_penalised(self):
        """Where the penalty leaves no weight, the intercept is still the log odds of the labels."""
        drawn = sample(n=40, labels=[True] * 30 + [False] * 10)
        hypothesis = logistic_regression.fit({"inverse_penalties": (1e-2,), "folds": 5}, drawn)
        assert hypothesis.train_loss == pytest.approx(-(0.75 * np.log(0.75) + 0.25 * np.log(0.25)), rel=1e-3)
        assert hypothesis.predict(drawn.inputs).all()


class TestSparseRegression:
    @pytest.mark.parametrize("C", [0.1, 1.0, 10.0])
    @pytest.mark.parametrize("function", ["and", "majority", "parity"])
    def test_no_position_could_lower_the_objective(self, function, C):
        """The slope of the loss is the penalty's where there is a weight, and no larger where there is none."""
        drawn = sample(function, T=2000, n=80)
        fitted = SparseRegression(C, seed=0).fit(drawn.inputs, drawn.labels)
        missing = drawn.labels - 1 / (1 + np.exp(-fitted.logits(drawn.inputs)))
        slopes = C * missing @ np.where(drawn.inputs, 1.0, -1.0)
        assert slopes[fitted.positions_] == pytest.approx(np.sign(fitted.weights_), abs=0.02)
        assert np.abs(slopes).max() < 1.02
        assert abs(C * missing.sum()) < 2e-3  # the intercept's
        assert 0 < len(fitted.positions_) <= 80

    @pytest.mark.parametrize("C", [0.1, 1.0, 10.0])
    @pytest.mark.parametrize("function", ["and", "majority", "parity"])
    def test_is_as_good_as_the_regression_on_all_positions(self, function, C):
        drawn = sample(function, T=1000, n=60, seed=1)
        assert_as_good(C, drawn.inputs, drawn.labels)

    @given(labelled_inputs(least_T=1), st.sampled_from([0.1, 1.0, 10.0]))
    def test_is_as_good_on_any_small_sample(self, drawn, C):
        inputs, labels = drawn
        assume(labels.any() and not labels.all())
        assert_as_good(C, inputs, labels)

    @pytest.mark.parametrize(("C", "weights"), [(1.0, []), (2.0, [np.log(3)]), (10.0, [np.log(19)])])
    def test_one_bit_of_two_samples(self, C, weights):
        """The minimum of |w| + 2C ln(1 + exp(−w)) is at ln(2C − 1) if that is positive."""
        fitted = SparseRegression(C, seed=0).fit(np.array([[True], [False]]), np.array([True, False]))
        assert fitted.weights_ == pytest.approx(weights, rel=1e-4)
        assert fitted.intercept_ == pytest.approx(0, abs=1e-4)

    def test_without_a_weight_the_intercept_is_the_log_odds(self):
        fitted = SparseRegression(1e-3, seed=0).fit(sample(n=40).inputs, np.arange(40) < 30)
        assert len(fitted.positions_) == 0
        assert fitted.intercept_ == pytest.approx(np.log(3))

    def test_samples_are_never_all_taken_as_floats(self):
        drawn = sample(T=50_000, n=200)
        tracemalloc.start()
        logistic_regression.fit(LOGISTIC, drawn)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 3 * drawn.inputs.nbytes


def assert_as_good(C: float, inputs: np.ndarray, labels: np.ndarray) -> None:
    """Whether the objective is that of liblinear, given all positions."""
    signs = np.where(inputs, 1.0, -1.0)
    full = regression(C).fit(signs, labels)
    fitted = SparseRegression(C, seed=0).fit(inputs, labels)
    expected = objective(C, full.coef_[0], signs @ full.coef_[0] + full.intercept_[0], labels)
    assert objective(C, fitted.weights_, fitted.logits(inputs), labels) == pytest.approx(expected, rel=1e-3)


def objective(C: float, weights: np.ndarray, logits: np.ndarray, labels: np.ndarray) -> float:
    return np.abs(weights).sum() + C * np.logaddexp(0, np.where(labels, -logits, logits)).sum()


def balanced(seed: int) -> Sample:
    """A sample with ten of each label, so that each of five folds has two of each."""
    drawn = sample(T=15, n=60, seed=seed)
    kept = np.sort(np.concatenate([np.flatnonzero(drawn.labels == label)[:10] for label in (False, True)]))
    return Sample(drawn.address, seed, drawn.inputs[kept], drawn.labels[kept], drawn.truth_table)


def regression(C: float) -> LogisticRegression:
    return LogisticRegression(
        C=C, l1_ratio=1.0, solver="liblinear", intercept_scaling=1000, tol=1e-6, max_iter=10_000, random_state=1
    )


def left_out_correct(make, drawn: Sample) -> int:
    """The rule of the folds by hand: of each label, every fold leaves out the next two samples."""
    signs, fold = np.where(drawn.inputs, 1.0, -1.0), np.empty(20, dtype=int)
    for label in (False, True):
        fold[drawn.labels == label] = np.arange(10) // 2
    predictions = np.empty(20, dtype=bool)
    for left_out in range(5):
        inside = fold != left_out
        predictions[~inside] = make().fit(signs[inside], drawn.labels[inside]).predict(signs[~inside])
    return np.count_nonzero(predictions == drawn.labels)


class TestChoose:
    def test_of_equals_the_first(self):
        drawn = balanced(0)
        candidates = [DecisionTreeClassifier(ccp_alpha=pruning, random_state=0) for pruning in (1.0, 0.9)]
        assert choose(candidates, drawn.inputs, drawn.labels, folds=5) is candidates[0]
        assert choose(candidates[::-1], drawn.inputs, drawn.labels, folds=5) is candidates[1]

    def test_a_better_one_wins_wherever_it_stands(self):
        labels = np.tile([False, True], 10)
        inputs = np.column_stack([labels, np.zeros(20, dtype=bool)])
        stump, root = DecisionTreeClassifier(ccp_alpha=0.1), DecisionTreeClassifier(ccp_alpha=1.0)
        assert choose([root, stump], inputs, labels, folds=5) is stump
        assert choose([stump, root], inputs, labels, folds=5) is stump

    @pytest.mark.parametrize("positive", [2, 3])
    def test_a_rare_class_has_fewer_folds(self, positive):
        labels = np.arange(20) < positive
        inputs = labels[:, None]
        stump, root = DecisionTreeClassifier(ccp_alpha=0.01), DecisionTreeClassifier(ccp_alpha=1.0)
        assert choose([root, stump], inputs, labels, folds=5) is stump

    def test_a_single_sample_of_a_class_leaves_the_first(self):
        labels = np.arange(20) < 1
        stump, root = DecisionTreeClassifier(ccp_alpha=0.0), DecisionTreeClassifier(ccp_alpha=1.0)
        assert choose([root, stump], labels[:, None], labels, folds=5) is root


class TestDecisionTree:
    def test_learns_a_small_junta_from_many_samples(self):
        drawn = sample("junta", T=10, n=600, seed=2)
        one = draw_training_set(
            drawn.address, 2, draw_holdout("junta", 3, 10, 1), reject_ambiguous=False, max_redraws=0
        )
        everything = every_input(10)
        predicted = decision_tree.fit(TREE, drawn).predict(everything)
        assert predicted.tolist() == evaluate(drawn.truth_table, everything, one.support).tolist()

    def test_the_largest_of_equal_prunings(self):
        """A second split, on what the first leaves of one side, helps no sample that is left out."""
        labels = np.tile([True, True, False, False], 5)
        inputs = np.column_stack([labels, np.zeros(20, dtype=bool)])
        inputs[0] = [False, True]  # the only exception, which a split of its own would fit
        drawn = Sample(Address("and", 2, 2, 20), 0, inputs, labels, np.array([False] * 3 + [True]))
        exception = np.array([[False, True]])
        for prunings, label in (((0.0,), True), ((0.0, 0.2), False), ((0.2, 0.0), False)):
            assert decision_tree.fit(TREE | {"prunings": prunings}, drawn).predict(exception) == [label]

    def test_ties_of_splits_are_broken_by_the_run(self):
        """Two equal columns: which of them is the root follows from the seed alone."""
        labels = np.tile([False, True], 10)
        inputs = np.column_stack([labels, labels])
        chosen = []
        for seed in range(6):
            drawn = Sample(Address("and", 2, 2, 20), seed, inputs, labels, np.array([False] * 3 + [True]))
            probe = np.array([[False, True]])
            first, again = (decision_tree.fit(TREE, drawn).predict(probe)[0] for _ in range(2))
            assert first == again
            chosen.append(first)
        assert len(set(chosen)) == 2


@pytest.mark.parametrize("fit", [logistic_regression.fit, decision_tree.fit])
@pytest.mark.parametrize("label", [False, True])
def test_a_single_class_is_predicted_everywhere(fit, label):
    settings = LOGISTIC if fit is logistic_regression.fit else TREE
    hypothesis = fit(settings, sample(n=10, labels=[label] * 10))
    assert hypothesis.predict(every_input(20)[:50]).tolist() == [label] * 50
    assert hypothesis.train_loss == (0.0 if fit is logistic_regression.fit else None)


@pytest.mark.parametrize("fit", [logistic_regression.fit, decision_tree.fit])
def test_a_single_sample_of_a_class_gives_the_other(fit):
    settings = LOGISTIC if fit is logistic_regression.fit else TREE
    predict = fit(settings, sample(n=10, labels=[True] * 9 + [False])).predict
    assert predict(every_input(20)[:50]).all()
