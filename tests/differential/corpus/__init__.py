"""Requests that both servers are sent: every route, valid ones, invalid ones and odd ones."""

from __future__ import annotations

from corpus.bodies import binary, chunks, compression
from corpus.documents import datatypes, documents
from corpus.exchange import Exchange
from corpus.generation import generate
from corpus.inference import inference, outputs, parameters, statistics
from corpus.reads import methods, reads
from corpus.repository import failures, index, loads, unloads
from corpus.services import cuda, logging, shared_memory, traces

EXCHANGES: list[Exchange] = [
    *reads(),
    *methods(),
    *inference(),
    *statistics(),
    *documents(),
    *datatypes(),
    *binary(),
    *chunks(),
    *compression(),
    *outputs(),
    *parameters(),
    *generate(),
    *shared_memory(),
    *cuda(),
    *traces(),
    *logging(),
    *index(),
    *loads(),
    *unloads(),
    *failures(),
]
"""In the order in which they are to be sent: the last ones change what is served."""
