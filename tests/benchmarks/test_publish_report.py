"""What the comparison of publishing says: medians, and each ratio beside its aim."""

from benchmarks.publish.report import DLT, EXTRACTED, LIMIT, PUBLISHED, TO_SQL, VERIFIED, WHOLE, Comparison

SECONDS = {
    LIMIT: [10.0, 9.0, 30.0],
    PUBLISHED: [12.0, 12.0],
    VERIFIED: [19.0],
    EXTRACTED: [15.0],
    WHOLE: [22.0],
    TO_SQL: [170.0],
}


def found(compared: Comparison) -> list[tuple[float, bool]]:
    return [(round(aim.found, 2), aim.met) for aim in compared.aims()]


def test_ratios_of_medians_stand_beside_their_aims() -> None:
    compared = Comparison("t", 100, SECONDS, 300.0, ["a note"])
    assert found(compared) == [(1.2, True), (1.9, False), (11.33, True), (7.73, False), (300, True)]
    assert "MISSED penstock with verify, times the limit" in compared.text()
    assert "a note" in compared.text()


def test_who_took_no_part_has_no_aim_and_who_did_has() -> None:
    with_dlt = Comparison("t", 100, {**SECONDS, DLT: [60.0]}, 401.0, [], larger=400, larger_rss_mb=441.1)
    assert found(with_dlt)[4:] == [(4.0, True), (2.73, False), (401, False), (1.1, False)]
