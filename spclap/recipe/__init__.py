"""Which trainings there are, and what files each is made of."""
