"""The whole lambda on real parts: one pipeline in its own namespace, looked at from many sides."""
