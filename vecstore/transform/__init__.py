"""Maps from vectors to vectors, fitted on a sample and stored with the index. They know numpy, nothing else."""
