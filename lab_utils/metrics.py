"""How good a latent space is."""

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor


def linear_probe(train: Tensor, train_labels: NDArray[np.int64], test: Tensor, test_labels: NDArray[np.int64]) -> float:
    """Return the accuracy (0..1) with which a linear classifier reads the digit of held-out latent means.

    `train` and `test` are latent means (N, D); multinomial logistic regression on standardised dimensions (Alain and
    Bengio 2016).
    """
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    classifier.fit(train.detach().cpu().numpy(), train_labels)
    return float(classifier.score(test.detach().cpu().numpy(), test_labels))
