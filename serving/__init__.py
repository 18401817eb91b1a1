"""The FastAPI app: recommendations that personalise within seconds and degrade instead of failing."""
