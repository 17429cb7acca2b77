"""Tracks of the embedded benchmark."""

import numpy as np

from memvos.data.synthetic_motion import confine, drift, jitter, leave, meet, pulse, wander


def test_wander_has_the_deviation_asked_for_and_is_smooth():
    track = wander(np.random.default_rng(0), 4000, 30, 0.5, (40,))
    assert abs(track.std() - 0.5) < 0.03
    # the quickest sinusoid has a period of 0.7 × 30 frames: per frame it changes by at most 2π / 21 of its amplitude
    assert np.abs(np.diff(track, axis=0)).max() <= 0.5 * np.sqrt(2) * np.sqrt(3) * 2 * np.pi / 21


def test_drift_starts_at_zero():
    assert np.all(drift(np.random.default_rng(1), 20, 10, 1.0, (2,))[0] == 0)


def test_pulse_is_one_while_it_holds_and_zero_beyond_its_ramps():
    # centre 10, hold 4 (frames 8 to 12), ramp 4: half-way at frames 6 and 14, zero from 4 and 16 outwards
    track = pulse(20, 10, 4, 4)
    assert np.allclose(track[8:13], 1)
    assert np.allclose(track[[6, 14]], 0.5)
    assert np.all(track[:5] == 0)
    assert np.all(track[16:] == 0)


def test_confined_track_stays_within_its_limit_and_keeps_the_middle():
    limit = np.array([0.5, 0.3])
    track = confine(np.array([[0.01, 0.0], [9.0, -9.0]]), limit)
    assert np.allclose(track[0], [0.01, 0.0], atol=1e-4)
    assert np.all(np.abs(track) <= limit)


def test_meeting_bodies_are_at_the_same_place_at_the_centre_and_apart_before():
    first, second = np.zeros((20, 2)), np.full((20, 2), 0.4)
    met = meet(first, second, centre=10, hold=2, ramp=4, miss=np.array([0.1, 0.0]))
    assert np.allclose(met[10], [0.5, 0.4])
    assert np.allclose(met[[0, 19]], 0)


def test_body_that_leaves_over_the_right_edge_may_come_back_over_the_left():
    track = leave(np.zeros((21, 2)), centre=10, hold=4, ramp=5, edge=0.8, side=1, back=-1)
    assert np.allclose(track[[0, 20]], 0)
    assert np.allclose(track[8:10, 0], 0.8)
    assert np.allclose(track[10:13, 0], -0.8)
    assert np.all(track[:, 1] == 0)


def test_jitter_has_the_deviation_asked_for():
    assert abs(jitter(np.random.default_rng(2), 5000, 0.02).std() - 0.02) < 0.001
