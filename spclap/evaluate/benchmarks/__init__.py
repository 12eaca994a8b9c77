"""What `spclap score` can measure: each gives outcomes of scenes, which record.py keeps and tables.py shows."""
