"""Training: the one place that wires models, policies, data and counters together."""
