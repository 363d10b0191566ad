"""What the pages say that is not a command: config examples, targets of make, links."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
import yaml
from pages import PAGES, ROOT, blocks, name_of

from pggan_framework.config.discovery import load_builtin
from pggan_framework.registry import REGISTRY

LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_config_examples_are_valid_yaml(page: Path) -> None:
    for block in blocks(page):
        if block.language == "yaml":
            assert isinstance(yaml.safe_load(block.text), dict)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for named in re.findall(r"(?:^|`)make ([\w-]+)", page.read_text(encoding="utf-8"), re.MULTILINE):
        assert named in targets


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for path, anchor in LINK.findall(page.read_text(encoding="utf-8")):
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), path
        if anchor:
            headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in slugs, f"{path}#{anchor}"


def test_the_readmes_counts_are_those_of_the_registry() -> None:
    load_builtin()
    registered = Counter(component.kind for component in REGISTRY)
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    named = re.search(r"(\d+) losses, (\d+) penalties, (\d+) augmentations", text)
    metrics = re.search(r"\| (\d+) metrics for sounds and images", text)
    assert named and metrics
    kinds = ("loss", "penalty", "augmentation", "metric")
    assert [int(number) for number in (*named.groups(), metrics[1])] == [registered[kind] for kind in kinds]
