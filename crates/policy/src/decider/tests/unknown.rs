//! An unknown rate moves nothing.

use super::*;

#[test]
fn while_the_rate_is_unknown_no_trial_begins_and_none_grows() {
    let mut played = Played::after_a_minute(&[], 20.0, BURST);
    played.answers[1] = Answers::Fails(1.0);
    played.until(HOME, 20.0);
    played.gap = Some("timeout");
    played.expect(600, 20.0, "RateUnknown", HOME);
    played.gap = None;
    let (seconds, reason) = played.until(spilt(10), 20.0);
    assert_eq!((seconds <= 6, reason.as_str()), (true, "ClusterOnTrial burst"));
    played.gap = Some("timeout");
    played.expect(600, 20.0, "RateUnknown", spilt(10));
    played.gap = None;
    let mut most = 0;
    while !played.in_force.has_same_split(HOME) {
        played.second(20.0);
        most = most.max(played.in_force.burst);
    }
    assert_eq!(most, 10, "the trial begins again");
}

#[test]
fn a_budget_that_becomes_free_sends_nothing_to_burst_while_the_rate_is_unknown() {
    let mut played = Played::after_a_minute(&["--burst-requests-per-hour=12000"], 20.0, BURST);
    played.until_within(1200, HOME, 20.0);
    played.gap = Some("timeout");
    played.expect(2 * 3600, 20.0, "RateUnknown", HOME);
    played.gap = None;
    played.until_within(60, BURST, 20.0);
}
