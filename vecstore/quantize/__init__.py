"""Maps from vectors to codes with an estimated distance. They know kernels and transforms, never ids or segments."""
