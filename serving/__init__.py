"""The FastAPI app: recommendations that follow the last click and never fail for a store."""
