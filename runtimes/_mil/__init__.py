"""Core ML's ML Programs, read from a saved package and evaluated operator by operator, without Apple's runtime."""
