"""Who may speak with an agent, and what the agent may do."""

import json
import ssl

import grpc
import pytest
from kubectl import Namespace
from workloads import NODES, agent_pod

from kubestrace_protos.v1 import agent_pb2, agent_pb2_grpc


@pytest.fixture
def address(system: Namespace) -> str:
    """An agent's address as pods see it."""
    return f"{system.get('pod', agent_pod(system, NODES[0]))['status']['podIP']}:9640"


def test_an_agent_refuses_a_stranger(address: str) -> None:
    """Without the operator's certificate there is no answer, not even that it is there."""
    host, port = address.rsplit(":", 1)
    server = ssl.get_server_certificate((host, int(port)))
    credentials = grpc.ssl_channel_credentials(root_certificates=server.encode())
    options = [("grpc.ssl_target_name_override", "kubestrace-agent")]

    with grpc.secure_channel(address, credentials, options) as channel, pytest.raises(grpc.RpcError) as refused:
        agent_pb2_grpc.AgentStub(channel).Describe(agent_pb2.DescribeRequest(), timeout=5)

    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


def test_an_agent_answers_nothing_in_clear(address: str) -> None:
    """A client without TLS gets nowhere."""
    with grpc.insecure_channel(address) as channel, pytest.raises(grpc.RpcError) as refused:
        agent_pb2_grpc.AgentStub(channel).ListTraces(agent_pb2.ListTracesRequest(), timeout=5)

    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


def test_the_agent_has_no_token_and_few_rights(system: Namespace) -> None:
    """The running pod has no API credentials, no privilege and only the named capabilities."""
    pod = system.get("pod", agent_pod(system, NODES[0]))
    security = pod["spec"]["containers"][0]["securityContext"]
    mounts = json.dumps(pod["spec"]["containers"][0]["volumeMounts"])

    assert "serviceaccount" not in mounts
    assert not security.get("privileged")
    assert security["allowPrivilegeEscalation"] is False
    assert security["readOnlyRootFilesystem"] is True
    assert security["capabilities"]["drop"] == ["ALL"]
    assert set(security["capabilities"]["add"]) == {"BPF", "PERFMON"}
    assert not pod["spec"].get("hostNetwork")
