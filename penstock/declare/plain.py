"""All that the declarations of a model are made of which `penstock new` writes, in one import."""

from penstock.declare.estimators import boosting
from penstock.declare.lookup_tables import lookup_tables
from penstock.declare.model import GateRule, Model

__all__ = ["GateRule", "Model", "boosting", "lookup_tables"]
