"""Indexes find candidate rows of one vector field of one segment. They know kernels, never ids or payloads."""
