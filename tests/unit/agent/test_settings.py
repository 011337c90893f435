"""Settings from the environment and from flags."""

from pathlib import Path

import pytest

from kubestrace_agent import settings


def test_the_environment_gives_the_defaults_and_flags_win() -> None:
    """A variable stands in for its flag, and an empty one for nothing."""
    environment = {"KUBESTRACE_NODE_NAME": "n1", "KUBESTRACE_LISTEN": "", "KUBESTRACE_LOG_LEVEL": "debug"}

    chosen = settings.parse(["--log-level", "warning"], environment)

    assert (chosen.node_name, chosen.listen, chosen.log_level) == ("n1", "[::]:9640", "WARNING")


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("10.0.0.7:9640", "10.0.0.7:9640"),
        ("fd00:10::7:9640", "[fd00:10::7]:9640"),
        ("[fd00:10::7]:9640", "[fd00:10::7]:9640"),
        (":9640", ":9640"),
    ],
)
def test_an_ipv6_address_of_a_pod_gets_its_brackets(given: str, address: str) -> None:
    """A manifest can only write $(POD_IP):9640."""
    chosen = settings.parse([], {"KUBESTRACE_LISTEN": given, "KUBESTRACE_HEALTH_LISTEN": given})

    assert (chosen.listen, chosen.health_listen) == (address, address)


def test_the_known_sockets_are_tried_unless_one_is_given() -> None:
    """Below the mounted /run of the host first."""
    assert settings.parse([], {}).cri_sockets[0] == Path("/host/run/containerd/containerd.sock")
    assert settings.parse([], {"KUBESTRACE_CRI_SOCKET": "/a.sock"}).cri_sockets == (Path("/a.sock"),)


def test_the_chart_sets_the_caps() -> None:
    """How many containers and how many sessions a node takes at one time."""
    chosen = settings.parse([], {"KUBESTRACE_MAX_CONTAINERS": "7", "KUBESTRACE_MAX_TRACES": "3"})

    assert (chosen.max_containers, chosen.max_traces) == (7, 3)


@pytest.mark.parametrize(
    "wrong",
    [
        ["--log-level", "loud"],
        ["--log-format", "xml"],
        ["--max-containers", "0"],
        ["--max-containers", "many"],
        ["--max-traces", "5000"],
        ["--listen", "10.0.0.1"],
        ["--listen", "fd00::1:http"],
        ["--health-listen", "[fd00::1]:99999"],
    ],
)
def test_a_wrong_setting_is_refused(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The message names the flag."""
    with pytest.raises(SystemExit):
        settings.parse(wrong, {})

    assert wrong[0] in capsys.readouterr().err
