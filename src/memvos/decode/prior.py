"""The previous mask as the model is shown it (M_{t-1} of QDMN Eq. 5)."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


class PlainPrior:
    """The aggregated object probabilities as they are."""

    def __call__(self, probabilities: Tensor, objects: int | None = None) -> Tensor:
        """(1, N + 1, H, W) probabilities, background first, to (1, N, H, W); `objects` changes nothing."""
        return probabilities[:, 1:]


class DoubleSoftmaxPrior:
    """The released YouTube-VOS prior: a softmax over probabilities that already sum to 1, which squeezes them."""

    def __call__(self, probabilities: Tensor, objects: int | None = None) -> Tensor:
        """(1, N + 1, H, W) probabilities, background first, to (1, N, H, W).

        Args:
            probabilities: of background and the N objects known so far.
            objects: number of objects in the whole video. The released code lets those that have not yet entered take
                part, with probability 0; None counts those known so far.
        """
        known = probabilities.shape[1] - 1
        unseen = max(0, (objects or known) - known)
        squeezed = F.pad(probabilities, (0, 0, 0, 0, 0, unseen)).softmax(dim=1)
        return squeezed[:, 1 : known + 1]


PRIORS = {"plain": PlainPrior, "double_softmax": DoubleSoftmaxPrior}
