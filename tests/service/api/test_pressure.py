"""Calls are refused early when there is no time for them, and taken again at once when there is."""

from service.api.pressure import LAG_MAX_SECONDS, Room


def lagged(room: Room, *lags: float) -> int:
    for seconds in lags:
        room.note_lag(seconds)
    return room.allowed


def test_all_that_the_settings_allow_are_taken_while_the_event_loop_keeps_up():
    assert lagged(Room(1000), 0.0, LAG_MAX_SECONDS / 2, LAG_MAX_SECONDS) == 1000


def test_a_lag_leaves_less_room_the_longer_it_is_and_never_none():
    assert 1000 > lagged(Room(1000), 2 * LAG_MAX_SECONDS) > lagged(Room(1000), 3 * LAG_MAX_SECONDS)
    assert lagged(Room(1000), *[10.0] * 100) > 0
    assert lagged(Room(5), *[10.0] * 100) == 5


def test_the_room_is_whole_again_within_seconds_when_the_lag_is_over():
    room = Room(1000)
    lagged(room, *[10.0] * 100)

    assert lagged(room, *[0.0] * 100) == 1000
