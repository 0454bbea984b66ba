"""Why a model said so: what each feature contributes to a raw score."""
