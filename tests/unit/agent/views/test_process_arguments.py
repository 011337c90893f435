"""Command lines without secrets: what is replaced, what stays, and that no control character gets through."""

import pytest

from kubestrace_agent.views.processes.arguments import arguments, redacted
from kubestrace_agent.views.processes.values import Words


def told(*words: str, cut: int = 0) -> list[str]:
    """Return what is told of a command line, of which the kernel read all but `cut` bytes."""
    text = b"\0".join(word.encode() for word in words) + b"\0"
    return list(arguments(Words(text[: len(text) - cut], len(text))))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["python3", "app.py", "--password=hunter2", "--port", "80"], ["app.py", "--password=***", "--port", "80"]),
        (["app", "--db-password", "hunter2", "-v"], ["--db-password", "***", "-v"]),
        (["app", "--client_secret", "abc"], ["--client_secret", "***"]),
        (["app", "password=my secret words"], ["password=***"]),
        (["env", "API_KEY=xyz", "node", "server.js"], ["API_KEY=***", "node", "server.js"]),
        (["java", "-Da.keyStorePassword=changeit", "-jar", "x.jar"], ["-Da.keyStorePassword=***", "-jar", "x.jar"]),
        (["/usr/bin/mysql", "-uroot", "-phunter2", "shop"], ["-uroot", "-p***", "shop"]),
        (["mkdir", "-p", "/a/b"], ["-p", "/a/b"]),
        (["curl", "-u", "me:pw", "https://x"], ["-u", "***", "https://x"]),
        (["curl", "-H", "Authorization: Bearer abc.def"], ["-H", "Authorization:***"]),
        (["sshpass", "-psecret", "ssh", "host"], ["-p***", "ssh", "host"]),
        (["redis-cli", "-a", "pw", "ping"], ["-a", "***", "ping"]),
        (["psql", "postgres://user:p@ss/w@db:5432/shop"], ["postgres://user:***@db:5432/shop"]),
        (["app", "mongodb+srv://u:p@h/db?x=1"], ["mongodb+srv://u:***@h/db?x=1"]),
        (["app", "user:pass@host"], ["user:***@host"]),
        (["ssh", "git@github.com:org/repo"], ["git@github.com:org/repo"]),
        (["sh", "-c", "mysql --password hunter2 -e x"], ["-c", "mysql --password *** -e x"]),
        (["sh", "-c", "a; PGPASSWORD='a b' psql; curl x?token=abc&y"],
         ["-c", "a; PGPASSWORD=*** psql; curl x?token=***&y"]),
        (["app", '{"password": "x y", "n": 1}'], ['{\\"password\\": ***, \\"n\\": 1}']),
        (["app", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc"], ["***"]),
        (["app", "AKIAIOSFODNN7EXAMPLE", "ghp_abcdefgh12345678"], ["***", "***"]),
        (["app", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"], ["***"]),
        (["app", "0123456789abcdef0123456789abcdef"], ["***"]),
        (["app", "--id=123e4567-e89b-12d3-a456-426614174000"], ["--id=***"]),
        (["java", "-cp", "/usr/lib/jvm/java-17-openjdk-amd64/lib", "com.example.Main"],
         ["-cp", "/usr/lib/jvm/java-17-openjdk-amd64/lib", "com.example.Main"]),
        (["app", "--author", "me", "--tokenizer=bpe"], ["--author", "me", "--tokenizer=bpe"]),
        (["nginx", "-g", "daemon off;"], ["-g", "daemon off;"]),
    ],
    ids=lambda value: " ".join(value)[:40],
)  # fmt: skip
def test_rules(words: list[str], expected: list[str]) -> None:
    """The name of an option or variable stays, its value does not."""
    assert told(*words) == expected


def test_control_characters_and_bounds() -> None:
    """Escapes are shown as such; a long line ends in `...`."""
    assert told("app", "\x1b[31m\n") == ["\\x1b[31m\\x0a"]
    assert told("app", *("w" * 10 for _ in range(100)))[-1] == "..."
    assert sum(len(word) for word in told("app", *("w " * 90 for _ in range(100)))) < 700
    assert told("app") == []


@pytest.mark.parametrize(
    "words", [["app", "--x", "postgres://user:passw@db"], ["sh", "-c", "curl postgres://u:passw@db"]]
)
@pytest.mark.parametrize("cut", range(1, 12))
def test_what_is_cut_is_no_half_of_a_secret(words: list[str], cut: int) -> None:
    """The rest of a word that was cut is dropped, as no rule would know it."""
    found = told(*words, cut=cut)

    assert found[-1] == "..." or cut == 1
    assert not any("pass" in word for word in found)


def test_titles() -> None:
    """By the same rules."""
    assert redacted(b"gunicorn: master [app:app]") == b"gunicorn: master [app:app]"
    assert redacted(b"worker amqp://guest:guest@mq") == b"worker amqp://guest:***@mq"


@pytest.mark.parametrize("part", ["a", "a:", "-", "'", "--a.", "eyJ", "://:", "password", "sk-", "x@", "\xff"])
def test_hostile_words_are_bounded_and_plain(part: str) -> None:
    """Whatever they are made of: the longest that the kernel reads."""
    (word, *rest) = told("app", (part * 1000)[:1000])

    assert rest in ([], ["..."])
    assert len(word) <= 4 * 200 + 3
    assert all(0x20 <= ord(sign) < 0x7F for sign in word)
