"""What the compilers for the processors of phones need of a network, Apple's and Qualcomm's alike."""

FOR_NPUS = frozenset(
    {
        "channels_first",
        "constant_transforms",
        "max_rank_5",
        "no_bicubic",
        "no_run_time_kernels",
        "static_control_flow",
        "static_parts_apart",
    }
)
"""Traits by which rewrites are chosen (see `edgesr.export.rewrite.TRAITS`)."""
