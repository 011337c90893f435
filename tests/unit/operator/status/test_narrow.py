"""Tables on terminals that have fewer columns."""

from kubestrace_operator.status import narrow

TABLE = """\
% time     seconds  usecs/call     calls    errors       p50       p99       max syscall
------ ----------- ----------- --------- --------- --------- --------- --------- ----------------
 80.00    0.004447        1111         4             753.7us     1.9ms     1.9ms execve
 20.00    0.001940           1      1217      1217     1.6us     1.9us    20.3us lgetxattr
------ ----------- ----------- --------- --------- --------- --------- --------- ----------------
100.00    0.006387           2      1221      1217                         1.9ms total
------ ----------- ----------- --------- --------- --------- --------- --------- ----------------
  wait    0.100077      100077         1             100.1ms   100.1ms   100.1ms {waited}
------ ----------- ----------- --------- --------- --------- --------- --------- ----------------
  wait    0.100077      100077         1                                 100.1ms total
1 wait4 was interrupted by a signal: restarted, ended with EINTR, or the program was killed\
"""


def test_a_terminal_that_is_wide_enough_changes_nothing() -> None:
    """As it stands in the status."""
    text = TABLE.format(waited="wait4 (waited)")

    assert narrow.fitted(text, 120) == text


def test_sentences_without_a_table_are_wrapped_too() -> None:
    """Where no call was counted there is none, and views have their say all the same."""
    assert narrow.fitted("No system call was made.", 24) == "No system call was made."
    assert narrow.fitted("No system call was made.", 15) == "No system call\nwas made."


def test_cells_are_as_wide_as_they_need_to_be() -> None:
    """All columns are there in 80; the sentence below goes on in the next line."""
    assert narrow.fitted(TABLE.format(waited="wait4 (waited)"), 80).splitlines() == [
        "% time  seconds usecs/call calls errors     p50     p99     max syscall",
        "------ -------- ---------- ----- ------ ------- ------- ------- --------------",
        " 80.00 0.004447       1111     4        753.7us   1.9ms   1.9ms execve",
        " 20.00 0.001940          1  1217   1217   1.6us   1.9us  20.3us lgetxattr",
        "------ -------- ---------- ----- ------ ------- ------- ------- --------------",
        "100.00 0.006387          2  1221   1217                   1.9ms total",
        "------ -------- ---------- ----- ------ ------- ------- ------- --------------",
        "  wait 0.100077     100077     1        100.1ms 100.1ms 100.1ms wait4 (waited)",
        "------ -------- ---------- ----- ------ ------- ------- ------- --------------",
        "  wait 0.100077     100077     1                        100.1ms total",
        "1 wait4 was interrupted by a signal: restarted, ended with EINTR, or the program",
        "was killed",
    ]


def test_a_column_that_has_no_room_is_left_out_and_named() -> None:
    """The others say as much."""
    lines = narrow.fitted(TABLE.format(waited="clock_nanosleep (waited)"), 80).splitlines()

    assert lines[0] == "% time  seconds calls errors     p50     p99     max syscall"
    assert lines[7] == "  wait 0.100077     1        100.1ms 100.1ms 100.1ms clock_nanosleep (waited)"
    assert lines[10] == "(not shown, as the terminal is narrow: usecs/call)"
    assert max(map(len, lines)) <= 80


def test_a_terminal_of_a_few_columns_gets_what_must_be_shown() -> None:
    """Seconds, calls, errors, the longest and the name."""
    lines = narrow.fitted(TABLE.format(waited="clock_nanosleep (waited)"), 20).splitlines()

    assert lines[0] == " seconds calls errors     max syscall"
    assert lines[2] == "0.004447     4          1.9ms execve"


def test_bytes_stay_where_the_average_and_the_median_have_no_room() -> None:
    """What calls moved says more."""
    lines = TABLE.format(waited="clock_nanosleep (waited)").splitlines()[:-1]
    cells = {lines[0]: "     bytes", lines[1]: " ---------"}
    wider = [
        line[:50] + cells.get(line, "    1.0GiB" if line[0] != "-" else " ---------") + line[50:] for line in lines
    ]
    shown = narrow.fitted("\n".join(wider), 80).splitlines()

    assert shown[0] == "% time  seconds calls errors  bytes     p99     max syscall"
    assert shown[-1] == "(not shown, as the terminal is narrow: usecs/call, p50)"


def test_words_are_not_broken() -> None:
    """A path stays whole."""
    assert list(narrow.wrapped(["one /a/path/of/some-length two", ""], 10)) == [
        "one", "/a/path/of/some-length", "two", ""
    ]  # fmt: skip


def test_rows_of_a_views_table_below_it_stay_rows() -> None:
    """Their columns would be lost; sentences are wrapped."""
    rule = "------ ------ ----"
    rows = "    time      max  file\n    7.7s  120.7ms  /a/path/that/is/longer/than/the/terminal"
    sentence = "Many words that find no room in one line of it."
    text = f"% time  calls call\n{rule}\n100.00      1 read\n{rule}\n100.00      1 total\n{rows}\n{sentence}"

    lines = narrow.fitted(text, 30).splitlines()

    assert [line for line in lines if line in rows.splitlines()] == rows.splitlines()
    assert lines[-2:] == ["Many words that find no room", "in one line of it."]


def test_where_a_row_was_seen_stands_below_before_its_arguments_are_parted() -> None:
    """A call is read as one."""
    row = "  0.048 nap  clock_nanosleep(CLOCK_REALTIME, 0, ..., ...)  (waited)  in shop-1/app"

    assert list(narrow.wrapped([row], 78)) == [row.removesuffix("  in shop-1/app"), "        in shop-1/app"]


def test_a_list_in_a_row_goes_on_below() -> None:
    """So that a row is no longer than the terminal where it need not be."""
    row = " 94.9  waiting  | wait4 102.5ms, clock_nanosleep 100.1ms, vfork 1us"

    assert list(narrow.wrapped([row], 40)) == [
        " 94.9  waiting  | wait4 102.5ms,",
        "        clock_nanosleep 100.1ms,",
        "        vfork 1us",
    ]


def test_a_list_whose_first_has_no_room_begins_below() -> None:
    """As of a chart's row in which a call with a long name takes most of the time."""
    row = " 90.17    0.201115 waiting  |##################  | clock_nanosleep (waited) 100.1ms, wait4 (waited) 99.4ms"

    assert list(narrow.wrapped([row], 80)) == [
        " 90.17    0.201115 waiting  |##################  |",
        "        clock_nanosleep (waited) 100.1ms, wait4 (waited) 99.4ms",
    ]
