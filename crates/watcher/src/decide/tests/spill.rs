//! Spill, in tables.

use super::*;

const SPILL: [&str; 1] = ["--policy=spill"];

#[test]
fn spill_keeps_primary_just_full() {
    let mut played = Played::new(&SPILL, HOME);
    played.expect(1, 8.0, "Probe", spilt(1));
    played.expect(60, 14.0, "Settled", spilt(1));
    // 1 - 0.98 * 15 / 20 = 26.5 %, and some more for a rate that may still be rising.
    played.expect(60, 20.0, "Settled", spilt(34));
    played.expect(60, 40.0, "Settled", spilt(69));
    // A minute of less before it comes home, in steps.
    played.expect(59, 20.0, "SpareCapacityNotForLong", spilt(69));
    played.expect(10, 20.0, "Settled", spilt(29));
    // 27 would do, which is within the dead band.
    played.expect(60, 20.0, "Settled", spilt(29));
    played.expect(59, 8.0, "SpareCapacityNotForLong", spilt(29));
    played.expect(30, 8.0, "Settled", spilt(1));
}

#[test]
fn spill_comes_home_ever_later_when_it_does_so_in_vain() {
    let home_after = |arguments: &[&str]| {
        let mut played = Played::new(&[&SPILL, arguments].concat(), spilt(1));
        let mut times = Vec::new();
        for _ in 0..3 {
            played.seconds(60, Ok(20.0));
            let start = played.now;
            while played.in_force != spilt(1) {
                played.second(Ok(8.0));
            }
            times.push((played.now - start) / 60);
        }
        times
    };
    assert_eq!(home_after(&[]), [1, 8, 50]);
    assert_eq!(home_after(&["--spill-flap-budget=60"]), [1, 1, 1]);
}

#[test]
fn traffic_that_somebody_else_has_sent_home_was_not_there_in_vain() {
    let mut played = Played::new(&SPILL, spilt(1));
    played.seconds(60, Ok(20.0));
    for _ in 0..2 {
        played.in_force = HOME;
        played.changed_by = Some("kubectl".to_owned());
        played.seconds(10, Ok(20.0));
    }
    played.expect(80, 8.0, "Settled", spilt(1));
}
