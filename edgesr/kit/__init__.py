"""Packages for apps around an artifact. They are generated on any machine, and need neither PyTorch nor the app's build tools."""
