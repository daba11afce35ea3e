"""Answers are asked once, belong to whoever asked, and do not fill the memory."""

from twin.answers import Answers, rows


def test_a_question_is_answered_once_and_each_answer_is_the_callers_own() -> None:
    asked: list[str] = []

    def answer(question: str) -> list[dict[str, str]]:
        asked.append(question)
        return [{"point": "zn_t"}]

    answers = Answers()
    answers.of("points", answer)[0]["point"] = "changed by whoever asked"

    assert answers.of("points", answer) == [{"point": "zn_t"}]
    assert asked == ["points"]


def test_the_answers_kept_longest_go_when_too_many_rows_are_held() -> None:
    asked: list[str] = []

    def answer(question: str) -> list[dict[str, str]]:
        asked.append(question)
        return [{"n": str(n)} for n in range(4)]

    answers = Answers(most_rows=8)
    for question in ("a", "b", "c", "b", "a"):
        assert len(answers.of(question, answer)) == 4

    assert asked == ["a", "b", "c", "a"]


def test_one_answer_larger_than_everything_kept_is_still_given() -> None:
    assert len(Answers(most_rows=1).of("all", lambda _: [{"n": "1"}, {"n": "2"}])) == 2


def test_rows_are_sorted_and_an_unbound_cell_is_absent() -> None:
    text = '?node\t?label\n<urn:x#b>\t"B"\n<urn:x#a>\t\n'

    assert rows(["node", "label"], text, ["urn:x#"]) == [{"node": "a"}, {"node": "b", "label": "B"}]
