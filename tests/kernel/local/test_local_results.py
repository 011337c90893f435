"""The document of local mode has the shape of the cluster's resource, and a session's file is kept to."""

import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from local_runs import Known, counted, kubestrace

CRD = Path(__file__).parents[3] / "charts/kubestrace/templates/crd.yaml"
SESSION = """\
apiVersion: kubestrace.io/v1alpha1
kind: TraceSession
metadata: {name: slow-checkout, namespace: shop}
spec:
  target: {podName: checkout-6d5f}
  durationSeconds: 60
  syscalls: ["getppid", "close"]
"""


def schema() -> Mapping[str, Any]:
    """Read the resource's schema: the chart's template without its template lines is plain YAML."""
    text = "\n".join(line for line in CRD.read_text().splitlines() if "{{" not in line)
    [version] = yaml.safe_load(text)["spec"]["versions"]
    properties: Mapping[str, Any] = version["schema"]["openAPIV3Schema"]["properties"]
    return properties


def misfits(value: Any, wanted: Mapping[str, Any], path: str) -> Iterator[str]:
    """List where a value is not as the schema says: what the API server would prune or refuse."""
    types = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "boolean": bool}
    if not isinstance(value, types[wanted["type"]]):
        yield f"{path} is {value!r}, no {wanted['type']}"
    elif isinstance(value, dict) and "properties" in wanted:
        yield from (f"{path}.{name} is missing" for name in wanted.get("required", []) if name not in value)
        for name, each in value.items():
            if name in wanted["properties"]:
                yield from misfits(each, wanted["properties"][name], f"{path}.{name}")
            else:
                yield f"{path}.{name} is no field"
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from misfits(each, wanted["items"], f"{path}[{index}]")
    elif value not in wanted.get("enum", [value]):
        yield f"{path} is {value!r}, none of {wanted['enum']}"


@pytest.mark.parametrize("output", ["json", "yaml"])
def test_the_status_has_the_shape_that_a_cluster_would_hold(known: Known, tmp_path: Path, output: str) -> None:
    """Every field of the status is one of the resource's schema, with its type."""
    to = tmp_path / "result"
    kubestrace("local", "-o", output, "--to", str(to), "--", known.path)

    document = json.loads(to.read_text()) if output == "json" else yaml.safe_load(to.read_text())

    assert list(misfits(document["status"], schema()["status"], "status")) == []
    assert set(document) == {"apiVersion", "kind", "metadata", "spec", "status"}
    assert document["status"]["targets"] == {"matched": 1, "tracing": 0, "finished": 1, "failed": 0, "skipped": 0}
    assert document["status"]["truncated"] is False


def test_yaml_holds_the_table_as_a_block_that_can_be_read(known: Known) -> None:
    """The table's lines are lines of the document."""
    done = kubestrace("local", "-o", "yaml", "--", known.path)

    assert "  table: |" in done.stdout
    assert "getppid\n" in done.stdout


def test_a_sessions_syscalls_hold_and_its_metadata_is_kept(known: Known, tmp_path: Path) -> None:
    """With -f the file decides what is counted; the command line's target stands in an annotation."""
    session, to = tmp_path / "session.yaml", tmp_path / "result"
    session.write_text(SESSION)

    kubestrace("local", "-f", str(session), "-o", "json", "--to", str(to), "--", known.path)

    document = json.loads(to.read_text())
    assert counted(document) == {"getppid": 1000, "close": 200}
    annotation = document["metadata"].pop("annotations")["kubestrace.io/local-target"]
    assert json.loads(annotation) == {"command": [known.path]}
    assert document["metadata"] == {"name": "slow-checkout", "namespace": "shop"}
    assert document["spec"] == yaml.safe_load(SESSION)["spec"]


def test_a_result_that_cannot_be_written_is_told_before_anything_runs(tmp_path: Path) -> None:
    """A wrong --to ends with 1 and COMMAND has not run."""
    mark = tmp_path / "mark"

    done = kubestrace("local", "--to", "/no/such/folder/result", "--", "touch", str(mark))

    assert done.returncode == 1
    assert "cannot write the result to /no/such/folder/result: No such file or directory" in done.stderr
    assert not mark.exists()


def test_slow_calls_are_listed_with_their_arguments(tmp_path: Path) -> None:
    """Of a program that sleeps and waits for a pipe's writer; each field is one of the schema's."""
    fifo = tmp_path / "fifo"
    script = f"mkfifo {fifo}; (sleep 0.05; echo x >{fifo}) & read word <{fifo}"
    done = kubestrace("local", "--slow", "20", "-o", "json", "--", "sh", "-c", script)
    document = json.loads(done.stdout)
    known = schema()["status"]["properties"]["slowCalls"]["items"]["properties"]
    slow = {row["syscall"]: row for row in document["status"]["slowCalls"]}

    assert slow["openat"]["arguments"].startswith(f'AT_FDCWD, "{fifo}", O_RDONLY')
    assert slow["openat"]["nanoseconds"] >= 20_000_000
    assert slow["clock_nanosleep"]["wait"]
    assert all(row.keys() <= known.keys() for row in slow.values())
    assert document["status"]["trust"]["losses"]["slowCalls"] == 0
    assert document["spec"]["views"] == {"slowCalls": {"thresholdMilliseconds": 20, "limit": 50}}


def test_stacks_stand_with_slow_calls(tmp_path: Path) -> None:
    """Of a program whose functions have names, run until after it was read; each field is one of the schema's."""
    source = tmp_path / "naps.c"
    source.write_text(
        "#include <unistd.h>\n"
        "__attribute__((noinline)) int nap(void) { return usleep(30000) + 1; }\n"
        "int main(void) { int done = nap(); return usleep(500000) + done != 1; }\n"
    )
    subprocess.run(["gcc", "-O1", "-o", tmp_path / "naps", source], check=True, timeout=200)
    words = ("local", "--slow", "20", "--stacks", "-e", "clock_nanosleep", "-o")

    document = json.loads(kubestrace(*words, "json", "--", str(tmp_path / "naps")).stdout)
    known = schema()["status"]["properties"]["slowCalls"]["items"]["properties"]
    nap = next(row for row in document["status"]["slowCalls"] if row["nanoseconds"] < 400_000_000)
    names = [word.partition("+")[0] for word in nap["userStack"]]

    assert nap.keys() <= known.keys()
    assert names[0] == "clock_nanosleep", nap
    assert names.index("usleep") < names.index("nap") < names.index("main")
    assert "hrtimer_nanosleep" in nap["kernelStack"]
    assert document["status"]["trust"]["losses"]["stacks"] == 0
    assert document["spec"]["views"] == {"slowCalls": {"thresholdMilliseconds": 20, "limit": 50, "stacks": True}}
