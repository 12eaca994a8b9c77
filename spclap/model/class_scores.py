"""What a content encoder calls a sound: the classes that it was trained on, beside its embedding."""

import torch
from torch import nn
from torch.nn import functional as F

FORMER = 3  # classes that a changed content was
LOUDNESS = 10.0  # length of the block of a sound before anything is learned; what `projection` gives begins below 2
SHARPNESS = 40.0  # of the choice of classes by the cosines of their names with a caption
HEARD = 0.1  # share of the energy of a recording above which something sounds at a direction


class ClassScores(nn.Module):
    """Scores of classes, standardised twice: against the other classes of the same sound, since near silence all of
    them are far below those of anything else, and by what each is on average where something sounds, so that a general
    class such as music counts no more than others. The averages are those that `learn` was given.

    Args: weight (classes, inputs) and bias of the classifier.
    """

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor):
        super().__init__()
        self.count = len(weight)
        self.register_buffer("weight", weight.clone())
        self.register_buffer("bias", bias.clone())
        for name, value in (("seen", torch.zeros(())), ("mean", bias * 0), ("variance", bias * 0 + 1)):
            self.register_buffer(name, value)

    def vectors(self, size: int) -> nn.Linear:
        """Scores -> a block of `size`, to be learned. It begins with the directions in which the classifier tells its
        classes apart most, so that blocks are as near to each other as scores are. ValueError for too many."""
        if not size <= min(self.weight.shape):
            raise ValueError(f"blocks of {size} dimensions, the content encoder tells {self.count} classes apart")
        apart = F.normalize(self.weight - self.weight.mean(dim=0), dim=1)
        layer = nn.Linear(self.count, size, bias=False)
        with torch.no_grad():
            layer.weight.copy_(LOUDNESS * torch.linalg.svd(apart, full_matrices=False).U[:, :size].T)
        return layer

    @property
    def deviation(self) -> torch.Tensor:
        return self.variance.clamp_min(1e-6).sqrt()

    def relative(self, content: torch.Tensor) -> torch.Tensor:
        """(..., inputs) -> (..., classes), of mean 0 and deviation 1 over the classes."""
        return F.layer_norm(self._scores(content), (self.count,))

    def forward(self, content: torch.Tensor) -> torch.Tensor:
        """(..., inputs) -> (..., classes)."""
        return (self.relative(content) - self.mean) / self.deviation

    @torch.no_grad()
    def learn(self, content: torch.Tensor, share: torch.Tensor) -> None:
        """Take (N, directions, inputs) into the averages, where shares of the energy (N, directions) say that something
        sounds. What was made by `changed` must not be: deviations grow by it, and it by deviations."""
        scores = self.relative(content[share > HEARD])
        if not len(scores):
            return
        self.seen += len(scores)
        part, away = len(scores) / self.seen, scores.mean(dim=0) - self.mean
        self.variance += part * (scores.var(dim=0, correction=0) - self.variance + (1 - part) * away.square())
        self.mean += part * away

    def changed(self, content: torch.Tensor, classes: torch.Tensor, strength: torch.Tensor) -> torch.Tensor:
        """Contents (K, inputs) changed into others that are of these classes (K,), about `strength` (K,) deviations
        above average, and no more of the `FORMER` classes that they were most of."""
        for _ in range(FORMER):
            score, former = self(content).max(dim=1)
            content = self._moved(content, former, -score.clamp_min(0))
        missing = strength - self(content).gather(1, classes[:, None])[:, 0]
        return self._moved(content, classes, missing.clamp_min(0)).clamp_min(0)

    def _scores(self, content: torch.Tensor) -> torch.Tensor:
        return F.linear(content.float(), self.weight, self.bias)

    def _moved(self, content: torch.Tensor, classes: torch.Tensor, by: torch.Tensor) -> torch.Tensor:
        """Contents whose score of a class is some deviations above what it was, `by` if the spread over classes stays,
        moved along what its weights have beyond the mean of all classes."""
        way = (self.weight - self.weight.mean(dim=0))[classes]
        spread = self._scores(content).std(dim=1, correction=0)
        return content + way * (by * self.deviation[classes] * spread / way.square().sum(dim=1))[:, None]


class ChosenClasses(nn.Module):
    """Captions -> blocks, as `ClassScores.vectors` of a soft choice of classes by their names. Before anything is
    learned, captions and sounds are as near to each other as names of classes and scores make them.

    Args: scores; names (classes, inputs), unit vectors of the text encoder; size of a block.
    """

    def __init__(self, scores: ClassScores, names: torch.Tensor, size: int):
        super().__init__()
        self.choice, self.vectors = nn.Linear(names.shape[1], scores.count, bias=False), scores.vectors(size)
        with torch.no_grad():
            self.choice.weight.copy_(SHARPNESS * names)

    def forward(self, pooled: torch.Tensor) -> torch.Tensor:
        """(K, inputs) -> (K, size)."""
        chosen = self.choice(F.normalize(pooled.float(), dim=-1)).softmax(dim=-1)
        return self.vectors(F.normalize(chosen - chosen.mean(dim=-1, keepdim=True), dim=-1))
