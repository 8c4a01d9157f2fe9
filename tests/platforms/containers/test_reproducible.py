"""The same sources give the same layers. Long: the image is built a second time, from nothing."""

from __future__ import annotations

from dataclasses import replace

import docker
import images
from built import Built


def test_a_second_build_gives_the_same_layers(client: docker.DockerClient, image: Built) -> None:
    first = client.images.get(image.tag)
    second = images.build(client, replace(image.recipe, cache=False))
    client.images.get(first.id).tag(image.tag)
    assert second.attrs["RootFS"]["Layers"] == first.attrs["RootFS"]["Layers"]
