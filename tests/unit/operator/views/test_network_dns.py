"""Queries of DNS: added up over containers, as a document and as text; what a search list did."""

from hypothesis import given
from hypothesis import strategies as st

from kubestrace_operator.views.network import Network, Settings
from kubestrace_operator.views.network_dns import MAX_SERVERS, Dns, QuestionKey
from kubestrace_operator.views.network_search import Asked, search
from kubestrace_operator.views.view import Span
from kubestrace_protos.v1.histograms import bucket_index
from kubestrace_protos.v1.views import network_pb2

MS = 1_000_000
SERVER = "10.96.0.10"


def row(name: str = "db.shop", server: str = SERVER, **numbers: int) -> network_pb2.DnsQuestion:
    """Return a row whose answers all took a millisecond."""
    answers = numbers.get("answers", 0)
    times = network_pb2.NetworkTimes(
        buckets=[bucket_index(MS)] if answers else [],
        counts=[answers] if answers else [],
        total_nanoseconds=answers * MS,
        max_nanoseconds=MS if answers else 0,
    )
    return network_pb2.DnsQuestion(name=name, type="A", server=server, times=times, **numbers)


def of(*rows: network_pb2.DnsQuestion, **fields: object) -> Dns:
    """Return what containers with these rows come to."""
    dns = Dns()
    dns.merge(network_pb2.NetworkResult(questions=rows, **fields))  # type: ignore[arg-type]
    return dns


def test_containers_are_added_up_by_question() -> None:
    """Numbers and histograms are sums; the parts stay as they are."""
    one = of(row(queries=3, answers=2, nxdomain=1), odd_messages=network_pb2.DnsOddMessages(malformed=2))
    other = of(row(queries=1, answers=1), row("cache.shop", queries=5, unanswered=5))
    whole = Dns()

    for each in (one, other):
        whole.add(each)

    db = whole.questions[QuestionKey("db.shop", "A", SERVER)]
    assert (db.numbers["queries"], db.numbers["answers"], db.times.histogram) == (4, 3, {bucket_index(MS): 3})
    assert whole.document()["dnsMessages"] == {"malformed": 2, "unmatched": 0, "unread": 0}
    assert one.questions[QuestionKey("db.shop", "A", SERVER)].numbers["queries"] == 3


def test_the_worst_come_first_and_the_sums_stay_right() -> None:
    """What came to nothing before what was asked often; the rest, and what had no row, in otherDns."""
    dns = of(
        row(queries=9, answers=9),
        row("silent.shop", queries=2, unanswered=2),
        row("gone.shop", queries=3, answers=3, nxdomain=3),
        network_pb2.DnsQuestion(other=True, queries=7, unanswered=7),
    )

    section = dns.section(2, 1)

    assert [each["name"] for each in section.rows] == ["gone.shop", "silent.shop"]
    assert "p50Nanoseconds" not in section.rows[1]
    told = section.document(1)["network"]
    assert (told["otherDns"]["rows"], told["otherDns"]["queries"], told["otherDns"]["unanswered"]) == (2, 18, 9)
    assert dns.document()["dnsTotal"]["queries"] == 21


def test_servers_have_their_own_sums() -> None:
    """The busiest first, with the 95th percentile of all their answers."""
    rows = [row(server=f"10.0.0.{number}", queries=number, answers=number) for number in range(1, MAX_SERVERS + 3)]

    servers = of(*rows, row("cache.shop", "10.0.0.1", queries=90, answers=90)).document()["dnsServers"]

    assert len(servers) == MAX_SERVERS
    assert (servers[0]["server"], servers[0]["queries"], servers[0]["p95Nanoseconds"]) == ("10.0.0.1", 91, MS)


def test_peers_have_the_name_that_was_asked_for() -> None:
    """Those that a container connects to; of two names the same one whatever came first."""
    names = [network_pb2.DnsName(address="10.0.0.7", name=name) for name in ("db.shop.svc.k8s", "db.shop")]
    one, other = of(names=names[:1]), of(names=names[1:])
    for first, second in ((one, other), (other, one)):
        dns = Dns()
        dns.add(first)
        dns.add(second)
        assert dns.named({"role": "client", "address": "10.0.0.7"})["name"] == "db.shop"
        assert "name" not in dns.named({"role": "server", "address": "10.0.0.7"})
        assert "name" not in dns.named({"role": "client", "address": "10.0.0.8"})


def test_the_text_for_people() -> None:
    """Aligned, with what a search list did in one line; nothing is said so."""
    dns = of(
        row("api.test.shop.search", queries=1200, answers=1200, nxdomain=1200),
        row("api.test", queries=600, answers=600),
        row("silent.test", queries=2, unanswered=2),
    )

    assert list(dns.lines()) == [
        " queries nxdomain  failed no answer      p50      p99      max question",
        f"    1200     1200       0         0    1.0ms    1.0ms    1.0ms api.test.shop.search A at {SERVER}",
        f"       2        0       0         2        -        -        - silent.test A at {SERVER}",
        f"     600        0       0         0    1.0ms    1.0ms    1.0ms api.test A at {SERVER}",
        "1200 of 1802 queries: names that a search list makes and nobody has: .shop.search",
    ]
    assert list(Dns().lines()) == ["No query of DNS was seen."]


def test_agents_are_asked_only_where_the_spec_asks() -> None:
    """And only then does the status have its parts."""
    view = Network()

    assert not view.request(Settings(), Span(0)).dns
    assert view.request(Settings(dns=True), Span(0)).dns
    assert [loss.name for loss in view.losses(Settings())] == ["network"]
    assert view.spec(Settings(dns=True)) == {"top": 20, "dns": True}


def test_what_a_search_list_did() -> None:
    """Names that there are not, made of one that there is; not what is missing anyway."""
    found = search(
        {
            "api.test": Asked(found=4),
            "api.test.shop.svc.k8s": Asked(missing=4),
            "api.test.k8s": Asked(missing=5),
            "db.data.svc.k8s": Asked(found=1),
            "db.data.shop.svc.k8s": Asked(missing=1),
            "typo.shop.svc.k8s": Asked(missing=9),
            "a.example.test": Asked(missing=9),
            "example.test": Asked(found=9),
        }
    )

    assert (found.queries, found.names, found.suffixes) == (10, {"api.test", "db.data"}, ["k8s", "shop.svc.k8s"])


@given(st.dictionaries(st.text("ab.", max_size=9), st.builds(Asked, st.integers(0, 9), st.integers(0, 9))))
def test_a_search_list_makes_no_more_than_is_missing(asked: dict[str, Asked]) -> None:
    """Whatever names there are."""
    assert 0 <= search(asked).queries <= sum(each.missing for each in asked.values())
