"""Machine learning in small: points are made, models are trained side by side, and the best one is kept.

Training computes, so its programs are of kind ``process``: they use as many cores as a worker has. Points and
weights are files, which travel as blobs (``FLOWER_BLOBS``; ``flower run`` and ``flower up`` have a store).
"""

import math
import random
from array import array
from collections.abc import Iterator

import msgspec

from flower_engine import CONTEXT, Blob, Context, program, workflow

RATES = (0.001, 0.05, 0.5)
FEATURES = 3
_REPORTS = 10

Point = tuple[float, ...]
"""A one (for the constant), the features, and at the end the class: 0 or 1."""


class Model(msgspec.Struct):
    """Weights of a logistic regression, as an array of doubles, and how they were found."""

    weights: Blob
    rate: float
    loss: float


class Score(msgspec.Struct):
    points: int
    right: int


@program(kind="process")
def make_points(count: int, seed: int) -> Blob:
    """Points of two classes that mostly lie apart; in real life read from where they are."""
    chance, made = random.Random(seed), array("d")
    for _ in range(count):
        label = chance.randrange(2)
        made.extend([1.0, *(chance.gauss(2.0 * label - 1.0, 1.0) for _ in range(FEATURES)), float(label)])
    return Blob(made.tobytes())


@program(kind="process")
def train(points: Blob, rate: float, rounds: int = 5, context: Context = CONTEXT) -> Model:
    """Gradient descent; ``rate`` is the size of its steps."""
    known, weights = list(_points(points)), [0.0] * (FEATURES + 1)
    for round_ in range(rounds):
        for *features, label in known:
            error = _chance(weights, features) - label
            weights = [weight - rate * error * x for weight, x in zip(weights, features, strict=True)]
        if round_ % max(1, rounds // _REPORTS) == 0:
            context.progress((round_ + 1) / rounds, f"round {round_ + 1}")
    return Model(Blob(array("d", weights).tobytes()), rate, _loss(weights, known))


@program
def choose(models: list[Model]) -> Model:
    """The one that fits best. The files of weights stay where they are: only their names are handed on."""
    return min(models, key=lambda model: model.loss)


@program(kind="process")
def score(weights: Blob, points: Blob) -> Score:
    """How many points a model sorts into the right class."""
    found, known = array("d"), list(_points(points))
    found.frombytes(weights.read())
    right = sum((_chance(found, features) > 0.5) == bool(label) for *features, label in known)
    return Score(len(known), right)


@workflow("train_model", timeout="2h", labels={"team": "research"})
def train_model(count: int = 2000, seed: int = 1) -> dict[str, object]:
    """Trains with several rates of learning, and scores the best on points that it has not seen."""
    points = make_points.step(count, seed)
    unseen = make_points.step(count, -1)
    models: list[Model] = []
    for number, rate in enumerate(RATES, start=1):
        models.append(train.having(name=f"model_{number}", timeout="30m").step(points, rate))
    best = choose.step(models)
    result = score.step(best.weights, unseen)
    return {"rate": best.rate, "weights": best.weights, "score": result}


def _points(file: Blob) -> Iterator[Point]:
    values = array("d")
    values.frombytes(file.read())
    size = FEATURES + 2
    for start in range(0, len(values), size):
        yield tuple(values[start : start + size])


def _chance(weights: "list[float] | array[float]", features: list[float]) -> float:
    """That a point is of class 1, between 0 and 1."""
    total = sum(weight * x for weight, x in zip(weights, features, strict=True))
    return 1.0 / (1.0 + math.exp(-max(-500.0, min(500.0, total))))


def _loss(weights: list[float], points: list[Point]) -> float:
    least = 1e-12
    logs = 0.0
    for *features, label in points:
        chance = _chance(weights, features)
        logs += math.log(max(least, chance if label else 1.0 - chance))
    return -logs / len(points)
