"""How estimators over estimators are packed: votes, stacks, bags, boosted and calibrated ones."""
