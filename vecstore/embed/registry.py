"""Kinds of embedders: the settings of a kind, and the class that they make. A new kind is one file and two lines."""

from __future__ import annotations

from typing import Any

from vecstore.embed.base import Embedder
from vecstore.embed.cache import Cached
from vecstore.embed.fastembed import FastEmbedder
from vecstore.embed.onnx import OnnxEmbedder
from vecstore.embed.openai import OpenAIEmbedder
from vecstore.embed.sentence import SentenceEmbedder
from vecstore.embed.static import StaticEmbedder
from vecstore.embedder_settings import EmbedderSettings, FastEmbed, Onnx, OpenAI, SentenceTransformers, Static

KINDS: dict[type[EmbedderSettings], Any] = {
    FastEmbed: FastEmbedder,
    Onnx: OnnxEmbedder,
    OpenAI: OpenAIEmbedder,
    SentenceTransformers: SentenceEmbedder,
    Static: StaticEmbedder,
}


def make_embedder(name: str, settings: EmbedderSettings) -> Embedder:
    """The embedder that settings describe; a model is loaded when it is first used.

    Raises InvalidArgument (BAD_CONFIG) and FailedPrecondition (EXTRA_MISSING)."""
    embedder: Embedder = KINDS[type(settings)](name, settings)
    return Cached(embedder, settings.cache_bytes) if settings.cache_bytes else embedder
