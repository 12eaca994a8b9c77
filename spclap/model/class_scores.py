"""What a content encoder calls a sound: the classes that it was trained on, beside its embedding."""

import torch
from torch import nn
from torch.nn import functional as F

FORMER = 3  # classes that a changed content was
HEARD = 0.1  # share of the energy of a recording above which something sounds at a direction


class ClassScores(nn.Module):
    """Scores of classes, each standardised by what it is on average where something sounds, so that a general class
    such as music counts no more than others. The averages are those of all that is heard in training.

    Args: weight (classes, inputs) and bias of the classifier.
    """

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor):
        super().__init__()
        self.count = len(weight)
        self.register_buffer("weight", weight.clone())
        self.register_buffer("bias", bias.clone())
        for name, value in (("seen", torch.zeros(())), ("mean", bias * 0), ("variance", bias * 0 + 1)):
            self.register_buffer(name, value)

    @property
    def deviation(self) -> torch.Tensor:
        return self.variance.clamp_min(1e-6).sqrt()

    def forward(self, content: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
        """(N, directions, inputs) and shares of the energy (N, directions) -> (N, directions, classes)."""
        scores = F.linear(content.float(), self.weight, self.bias)
        if self.training:
            self.learn(scores.detach()[share > HEARD])
        standard = (scores - self.mean) / self.deviation
        return standard - standard.mean(dim=-1, keepdim=True)

    def learn(self, scores: torch.Tensor) -> None:
        """Take (K, classes) into the averages."""
        if not len(scores):
            return
        self.seen += len(scores)
        part, away = len(scores) / self.seen, scores.mean(dim=0) - self.mean
        self.variance += part * (scores.var(dim=0, correction=0) - self.variance + (1 - part) * away.square())
        self.mean += part * away

    def changed(self, content: torch.Tensor, classes: torch.Tensor, strength: torch.Tensor) -> torch.Tensor:
        """Contents (K, inputs) changed into others that are of these classes (K,), `strength` (K,) deviations above
        average, and no more of the `FORMER` classes that they were most of."""
        for _ in range(FORMER):
            standard = (F.linear(content, self.weight, self.bias) - self.mean) / self.deviation
            score, former = standard.max(dim=1)
            content = self._moved(content, former, -score.clamp_min(0))
        standard = (F.linear(content, self.weight, self.bias) - self.mean) / self.deviation
        missing = strength - standard.gather(1, classes[:, None])[:, 0]
        return self._moved(content, classes, missing.clamp_min(0)).clamp_min(0)

    def _moved(self, content: torch.Tensor, classes: torch.Tensor, by: torch.Tensor) -> torch.Tensor:
        """Contents whose score of a class is `by` deviations above what it was, moved along what its weights have
        beyond the mean of all classes."""
        centred = self.weight - self.weight.mean(dim=0)
        way, own = centred[classes], self.weight[classes]
        return content + way * (by * self.deviation[classes] / (way * own).sum(dim=1))[:, None]
