"""The documentation: links resolve, and the commands that it shows exist."""

import itertools
import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import yaml

from kubestrace_cli.local import options
from kubestrace_cli.session_file import sessions

ROOT = Path(__file__).parents[3]
CHART = ROOT / "charts" / "kubestrace"
# A command that a reader replaces: REGISTRY/kubestrace/agent, NAMESPACE.
_PLACEHOLDER = re.compile(r"\b[A-Z]{3,}\b")
_SEPARATORS = {"|", "||", "&&", ";", "&"}
_PREFIXES = {"sudo", "env", "exec", "tests/cluster/run", "--"}


def _tracked(pattern: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", pattern],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return sorted(path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file())


PAGES = _tracked("*.md")


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _without_code(text: str) -> str:
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^ *```.*?^ *```$", "", text, flags=re.DOTALL | re.MULTILINE))


def _anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    prose = re.sub(r"^ *```.*?^ *```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ +(.*)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _broken_links(page: Path) -> Iterator[str]:
    for target in re.findall(r"\[[^\]]*\]\(([^)\s]+)\)", _without_code(page.read_text())):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = unquote(target).partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists():
            yield f"{target}: no such file"
        elif anchor and anchor not in _anchors(file):
            yield f"{target}: no such heading"


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_resolve(page: Path) -> None:
    """Every relative link leads to a file of the repository, and to a heading that it has."""
    assert list(_broken_links(page)) == []


def _blocks(page: Path, *languages: str) -> list[str]:
    found = re.findall(r"^( *)```(\w+)\n(.*?)^\1```$", page.read_text(), re.DOTALL | re.MULTILINE)
    return [re.sub(rf"^{indent}", "", text, flags=re.MULTILINE) for indent, kind, text in found if kind in languages]


def _typed(page: Path) -> Iterator[str]:
    """Yield the lines that a reader types: all of a shell block, what follows "$ " in a console's."""
    for block in _blocks(page, "sh"):
        yield from re.sub(r"\\\n\s*", "", block).splitlines()
    for block in _blocks(page, "console"):
        yield from (line.removeprefix("$ ") for line in block.splitlines() if line.startswith("$ "))


def _commands(page: Path) -> Iterator[list[str]]:
    """Yield the words of each command of a page that is ours, or that uses our files."""
    for line in _typed(page):
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;")
        lexer.whitespace_split = True
        try:
            words = list(lexer)
        except ValueError:  # a part of a quoted script of several lines
            continue
        command: list[str] = []
        for word in [*words, ";"]:
            if word not in _SEPARATORS:
                command.append(word)
                continue
            if command:
                yield command
            command = []


def _own_words(command: list[str]) -> list[str]:
    while command and (command[0] in _PREFIXES or re.match(r"\w+=", command[0])):
        command = command[1:]
    return command


def _local_arguments(command: list[str]) -> list[str] | None:
    words = _own_words(command)
    if len(words) > 1 and words[0].endswith("kubestrace") and words[1] == "local":
        return words[2:]
    return None


LOCAL = [
    (_name(page), arguments)
    for page in PAGES
    for command in _commands(page)
    if (arguments := _local_arguments(command)) is not None
]


def test_local_commands_are_in_the_docs() -> None:
    """The test below has something to check."""
    assert len(LOCAL) > 10


@pytest.mark.parametrize(("page", "arguments"), LOCAL, ids=lambda value: value if isinstance(value, str) else None)
def test_local_commands_are_accepted(page: str, arguments: list[str]) -> None:
    """Each `kubestrace local` of the docs has options that the command line has, with values that it takes."""
    parsed = options.parse(["local", *_values(arguments)])

    assert parsed is not None


def _values(arguments: list[str]) -> list[str]:
    """Fill in what a reader replaces."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    return ["1" if word in {"N", "PID", "MILLISECONDS"} else word for word in arguments[:end]] + arguments[end:]


def _paths(command: list[str]) -> Iterator[str]:
    """Yield the words of a command that name files of this repository."""
    for word in command:
        path = word.split("=", 1)[-1] if word.startswith("--from-file=") else word
        if re.match(r"(scripts|tests|tools|charts|examples|operator|node_agent|docs)/\S", path) or path.endswith(
            "kind-config.yaml"
        ):
            yield path.rstrip("/")


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_files_in_commands_exist(page: Path) -> None:
    """A reader who pastes a command from the repository's folder finds the files that it names."""
    missing = [path for command in _commands(page) for path in _paths(command) if not (ROOT / path).exists()]

    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_options_of_scripts_exist(page: Path) -> None:
    """A word behind a script of ours is one that the script knows."""
    unknown = []
    for command in _commands(page):
        words = _own_words(command)
        # What stands behind "--" is another command's.
        own = words[: words.index("--")] if "--" in words else words
        if own and re.match(r"scripts/|tests/\w+/\w+$", own[0]) and (ROOT / own[0]).is_file():
            text = (ROOT / own[0]).read_text()
            unknown += [
                f"{own[0]} {word}" for word in own[1:] if not re.search(rf"(?<![\w-]){re.escape(word)}\b", text)
            ]

    assert unknown == []


def _settings(command: list[str]) -> Iterator[str]:
    for before, word in itertools.pairwise(command):
        if before in {"--set", "--set-string"}:
            yield word.split("=", 1)[0]


def _has(values: Mapping[str, Any], path: str) -> bool:
    node: Any = values
    for part in path.split("."):
        if not isinstance(node, Mapping) or part not in node:
            return False
        node = node[part]
    return True


def test_settings_of_helm_exist() -> None:
    """Each `--set` of the docs names a value of the chart, and so does each value in a table of the docs."""
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    named = [
        (_name(page), name)
        for page in PAGES
        for command in _commands(page)
        if "helm" in command
        for name in _settings(command)
    ]
    named += [
        (_name(page), name)
        for page in PAGES
        for name in re.findall(
            r"`((?:agent|operator|tls|rbac|crds|networkPolicy)\.[a-zA-Z.]+)\b(?!/)", page.read_text()
        )
        if not name.endswith((".py", ".proto"))
    ]

    assert len(named) > 10
    assert [(page, name) for page, name in named if not _has(values, name)] == []


SESSIONS = [
    (_name(page), block) for page in PAGES for block in _blocks(page, "yaml") if "kind: TraceSession\n" in block
]


@pytest.mark.parametrize(("page", "text"), SESSIONS, ids=lambda value: value if value.endswith(".md") else None)
def test_sessions_in_the_docs_are_accepted(page: str, text: str, tmp_path: Path) -> None:
    """A TraceSession that a page shows is read as strictly as the API server reads it."""
    file = tmp_path / "session.yaml"
    file.write_text(text)

    session = sessions.make(file, {"pid": 1}, duration_seconds=None, syscalls=None)

    assert session.name


def test_every_licence_has_its_text() -> None:
    """Each SPDX identifier that a file of ours carries stands in LICENSES with its text, as REUSE wants it."""
    identifiers = {
        word
        for path in _tracked("*.[ch]")
        for expression in re.findall(r"SPDX-License-Identifier: ([^*\n]+)", path.read_text())
        for word in re.findall(r"[\w.-]+", expression)
        if word not in {"OR", "AND", "WITH"}
    }

    assert sorted(identifiers - {path.stem for path in (ROOT / "LICENSES").glob("*.txt")}) == []
