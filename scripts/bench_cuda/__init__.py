"""scripts/bench-cuda: the five families on an NVIDIA GPU, in pieces that fit into short leases of one."""
