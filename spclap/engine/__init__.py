"""Training through ESPnet2."""

MODEL = "valid.score.ave.pth"  # average of the best epochs: what is scored, and what later trainings start from
