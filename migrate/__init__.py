"""What crosses from one framework to the other: conventions, maps, and pairs of models."""
