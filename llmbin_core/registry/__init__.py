"""Prebuilt encoders and gLMs: bundled, installed in a folder of the user, listed in registries.

`find` gives the path behind what a user writes for an encoder or a gLM. Nothing here uses the
network except `fetch` and `read_registry` of a URL.
"""

from __future__ import annotations

from llmbin_core.registry.contents import encoder_card
from llmbin_core.registry.entries import ENCODER, GLM, KINDS, Entry, Needs, Registry, document
from llmbin_core.registry.names import bundled_models, find, known_model, known_models
from llmbin_core.registry.remote import fetch, lookup, read_registry
from llmbin_core.registry.store import (
    Model,
    export,
    install,
    installed_models,
    installed_names,
    user_folder,
    verify,
)

__all__ = [
    "ENCODER",
    "GLM",
    "KINDS",
    "Entry",
    "Model",
    "Needs",
    "Registry",
    "bundled_models",
    "document",
    "encoder_card",
    "export",
    "fetch",
    "find",
    "install",
    "installed_models",
    "installed_names",
    "known_model",
    "known_models",
    "lookup",
    "read_registry",
    "user_folder",
    "verify",
]
