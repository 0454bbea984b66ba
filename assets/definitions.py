"""The one `Definitions` of this project: everything that the declaration files of this folder declare."""

from penstock.graph.definitions import build

defs = build(__file__)
