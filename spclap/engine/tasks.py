"""What can be trained."""

from spclap.engine.captions import CaptionTask
from spclap.engine.clap import ClapTask
from spclap.engine.masks import MaskTask
from spclap.engine.seld import SeldTask

TASKS = {"seld": SeldTask, "masks": MaskTask, "clap": ClapTask, "caption": CaptionTask}
