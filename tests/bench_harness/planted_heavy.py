"""A package that takes a hundred megabytes while it is imported, and gives them back."""

_ = len(b"x" * (100 << 20))
