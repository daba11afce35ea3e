"""The agenda: deadlines in, jobs out."""

from controls.agenda import FAST, NORMAL, SLOW, Agenda, Job, rate_of

FLOOR, PLANT = Job("floor", FAST), Job("plant", NORMAL)


def test_the_earliest_deadline_goes_first_and_nothing_is_taken_twice():
    agenda = Agenda({PLANT: 30, FLOOR: 5}, 0)
    assert agenda.take(0) == [FLOOR, PLANT]
    assert agenda.take(1) == []
    agenda.done(FLOOR, 1)
    agenda.done(PLANT, 2)
    assert (agenda.take(4), agenda.take(5), agenda.take(30)) == ([], [FLOOR], [PLANT])


def test_a_turn_that_takes_too_long_is_counted_and_never_made_up():
    agenda = Agenda({FLOOR: 5}, 0)
    agenda.take(0)
    assert agenda.done(FLOOR, 17) == ""
    assert (agenda.overruns, agenda.take(17)) == (2, [FLOOR])


def test_being_late_for_good_is_told_once_and_so_is_being_on_time_again():
    agenda, told = Agenda({FLOOR: 5}, 0), []
    for now in (11, 22, 33, 44, 46, 51):
        agenda.take(now)
        told.append(agenda.done(FLOOR, now))
        agenda.take(now)
    assert told == ["", "", "late", "", "on_time", ""]


def test_who_has_returned_is_asked_at_once_and_nobody_is_made_to_wait_longer():
    agenda = Agenda({FLOOR: 5, PLANT: 30}, 0)
    for job in agenda.take(0):
        agenda.done(job, 1)
    agenda.hurry("plant", 3)
    agenda.hurry("floor", 99)
    assert (agenda.take(2), agenda.take(3), agenda.take(5)) == ([], [PLANT], [FLOOR])


def test_each_class_has_its_rate_and_an_unknown_one_is_normal():
    assert [rate_of(c) for c in ("Electric_Power_Sensor", "Outside_Air_Temperature_Sensor", "Nothing_Known")] == [FAST, SLOW, NORMAL]
