"""A page on localhost that says which sound is where: what it asks of a model, its pictures, and the page itself."""
