"""Training of the demo weights, vapsr-s ×4, on public-domain photographs, rendered text and shapes: `scripts/train-demo`."""
