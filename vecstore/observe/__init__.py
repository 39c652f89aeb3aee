"""How a server is watched: metrics for Prometheus, health and readiness pages, logs, traces. For every door alike.

The engine tells what it does through `engine.probes` and is asked for its state; it knows nothing of what is here.
"""
