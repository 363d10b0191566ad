"""Everything a person reads uses the field's own terms: a list of retired words, and where they may still be.

Read are the Markdown files, the comments of YAML files, the Makefile and JavaScript, and of Python files the comments,
docstrings and messages. Names are free: code in backquotes, flags, file names and dotted names are skipped.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

RETIRED = {
    r"pictures?|pictured": "image, spectrogram, animation",
    r"figures?(?! \d)": "metric, value, statistic",
    r"beside": "next to, with",
    r"(go|goes|going|went|gone) on": "continue, resume",
    r"(lie|lies|lay|lain|lying)": "is, is in, is stored in",
    r"(stand|stands|stood|standing)(?! for|-)": "is, is in, is listed in",
    r"(tells|told|telling)|hears? of": "log, report, print, notify",
    r"mend(s|ed|ing)?": "fix",
    r"(?<!noise )floors?": "real-vs-real baseline, lower bound",
    r"sheets?": "sample grid",
    r"latent walks?|walks? (of|between|from|through|side)": "latent interpolation, traverse",
    r"averaged generators?": "EMA generator",
    r"verdicts?|judg(e|es|ed|ing|ment)": "discriminator, critic, D output, score",
    r"start of all randomness": "random seed",
    r"wish(es|ed)?": "request",
    r"(ask|asks|asked|asking) for|wanted": "requested, enabled, needed",
    r"learn(s|t|ed)? from": "training data, trained on",
    r"(?<!instead )of (one's|your|his|our|its|their) own": "custom, user-defined",
    r"whole or not( there)?": "written atomically",
    r"(paper|deepsound)'s(?=[.,;:)]|$)": "name the thing: the PGGAN paper's generator",
    r"as (it|they) (is|are|was|were)(?=[.,;:)]|$)": "unchanged",
    r"(a|the|its|their|one|each|whose|of) shares? of": "fraction, percentage",
    r"(?<!there )(?<!here )(is|are|was|were) no(?! (longer|more|less|fewer|better|larger|smaller|other|such)\b)": (
        "is not a"
    ),
    r"most samples computed at once": "micro-batch",
    r"\w*(normal|initial|optim|standard|quant|equal|penal|minim|maxim|recogn|synchron|serial|summar|regular|organ|"
    r"real|visual|vector)is(e[ds]?|ers?|ing|ations?)": "-ize, as in normalize and optimizer",
    r"artefacts?": "artifact",
}
PATTERNS = [(re.compile(rf"\b(?:{words})(?![\w/])", re.IGNORECASE), instead) for words, instead in RETIRED.items()]

# A parameter at the start of a line, `x`, ``x``, --flag, file.ext, folder/file, Class.parameter, under_scored, 'name'.
NAMES = re.compile(r"^\s*\w+(?=: )|`+[^`]*`+|--[\w.-]+|\{[^{}]*\}|[\w*-]*[/\\._][\w*/\\._-]*\w|'[^' ]*'|https?://\S+")

# A retired word that is right where it is: path -> the phrases.
ALLOWED: dict[str, tuple[str, ...]] = {
    "pggan_framework/cli/video.py": ("(default: sheets)",),  # a flag's value
}

CLEAN = [
    "pggan_framework",
    "plugins",
    "configs",
    "benchmarks",
    "tests",
    "train.py",
    "hubconf.py",
    "Makefile",
    "docs",
    "README.md",
    "CONTRIBUTING.md",
]


def files() -> list[Path]:
    """The files that are read."""
    found: list[Path] = []
    for entry in CLEAN:
        path = ROOT / entry
        found += [path] if path.is_file() else [file for file in sorted(path.rglob("*.*")) if file.suffix in READERS]
    return [path for path in found if path.name != Path(__file__).name]


def python_prose(text: str) -> Iterator[tuple[int, str]]:
    """(line, text) of a Python file's comments, docstrings and string literals of several words."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    inside: set[ast.expr] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.JoinedStr):
            inside.update(node.values)
            parts = [str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values]
            yield node.lineno, "".join(parts)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in inside:
            yield node.lineno, node.value


def documentation(text: str) -> Iterator[tuple[int, str]]:
    """(line, text) of a test's comments and docstrings; its strings are input, or messages of the package."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, node.value.value


def comments(text: str) -> Iterator[tuple[int, str]]:
    """(line, text) of what follows a # or //."""
    for number, line in enumerate(text.splitlines(), 1):
        found = re.search(r"(?:^|\s)(?:#|//) (.*)", line)
        if found:
            yield number, found[1]


def markdown_prose(text: str) -> Iterator[tuple[int, str]]:
    """(line, text) of a page without its code blocks; of those, the comments."""
    code = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("```"):
            code = not code
        elif not code:
            yield number, re.sub(r"\]\([^)]*\)", "]", line)
        else:
            yield from ((number, comment) for _, comment in comments(line))


READERS = {
    ".py": python_prose,
    ".md": markdown_prose,
    ".yaml": comments,
    ".js": comments,
    "": comments,
}


def faults(path: str, text: str) -> list[str]:
    """``path:line: 'word' -> what to write`` for each retired word in a file's prose."""
    found = []
    reader = documentation if path.startswith("tests/") else READERS[Path(path).suffix]
    for line, prose in reader(text):
        if path.endswith(".py") and " " not in prose.strip():
            continue  # a key or a name
        for number, row in enumerate(prose.splitlines()):
            for phrase in ALLOWED.get(path, ()):
                row = row.replace(phrase, "")
            plain = NAMES.sub("`", row)
            for pattern, instead in PATTERNS:
                found += [f"{path}:{line + number}: '{word[0]}' -> {instead}" for word in pattern.finditer(plain)]
    return found


def test_retired_words_are_gone() -> None:
    found = [fault for path in files() for fault in faults(str(path.relative_to(ROOT)), path.read_text("utf-8"))]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("path", "text", "line"),
    [
        ("a.py", '"""Draws\na picture."""\n', 2),
        ("a.py", "x = 1\ny = 2  # a sheet of samples\n", 2),
        ("a.py", 'raise ValueError(f"{x} is no number")\n', 1),
        ("a.md", "one\nThe averaged generator.\n", 2),
        ("a.md", "```bash\n# goes on with the run\npggan train\n```\n", 2),
        ("a.yaml", "a: 1  # the figures\n", 1),
    ],
)
def test_a_retired_word_is_found(path: str, text: str, line: int) -> None:
    assert [fault.split(": ")[0] for fault in faults(path, text)] == [f"{path}:{line}"]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a.py", '"""Calls `os.walk`, ``picture`` and --walk of pictures/x.png."""\nkind = "picture"\n'),
        ("a.py", 'x = f"there is no {floor(y)} of noise floor"\n'),
        ("a.md", "[the docs](pictures.md), `walks`\n\n```python\nsheet = walk(picture)\n```\n"),
    ],
)
def test_names_are_free(path: str, text: str) -> None:
    assert faults(path, text) == []
