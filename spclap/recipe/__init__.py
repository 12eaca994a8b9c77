"""What a training is made from, and where."""

MODEL = "valid.score.ave.pth"  # average of the best epochs: what is scored, and what later trainings start from
