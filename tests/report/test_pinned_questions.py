from tests.report.pinned_questions import GOLDEN, questions


def test_the_questions_and_their_answers_are_those_that_were_pinned():
    told, pinned = questions().split("\n\n\n"), GOLDEN.read_text().split("\n\n\n")
    for one, other in zip(told, pinned, strict=True):
        assert one == other
