//! A primary that fails: with `FAILOVER`, traffic goes to burst until primary is well again.

use super::*;

const fn flow(rate: f64, failing: f64) -> Flow {
    Flow { rate, failing }
}

const IDLE: Flow = flow(0.0, 0.0);

/// All of primary's requests fail, and are counted as its own.
const PRIMARY_FAILS: Clusters = Clusters { primary: flow(5.0, 5.0), burst: IDLE, elsewhere: IDLE };

/// Primary has no worker: its requests are counted for no cluster.
const PRIMARY_GONE: Clusters = Clusters { primary: IDLE, burst: IDLE, elsewhere: flow(5.0, 5.0) };

const BURST_ANSWERS: Clusters = Clusters { primary: IDLE, burst: flow(5.0, 0.0), elsewhere: IDLE };

fn played(arguments: &[&str], clusters: Clusters) -> Played {
    let mut played = Played::new(arguments, HOME);
    played.clusters = Some(Clusters { primary: flow(5.0, 0.0), ..Clusters::default() });
    assert_eq!(played.seconds(100, Ok(5.0)).reason.name(), "Settled");
    played.clusters = Some(clusters);
    played
}

#[test]
fn traffic_goes_to_burst_and_primary_is_tried_again_gently() {
    for fails in [PRIMARY_FAILS, PRIMARY_GONE] {
        let mut played = played(&["--failover=true"], fails);
        played.expect(1, 5.0, "PrimaryFails", BURST);
        played.clusters = Some(BURST_ANSWERS);
        played.expect(59, 5.0, "PrimaryRests", BURST);
        played.expect(2, 5.0, "PrimaryTried", spilt(90));
        // It fails still: it is left alone for twice as long.
        played.clusters = Some(Clusters { primary: flow(0.5, 0.5), ..BURST_ANSWERS });
        played.expect(1, 5.0, "PrimaryFails", BURST);
        played.clusters = Some(BURST_ANSWERS);
        played.expect(119, 5.0, "PrimaryRests", BURST);
        played.expect(2, 5.0, "PrimaryTried", spilt(90));
        // It is well: after a window it has what it is due.
        played.clusters = Some(Clusters { primary: flow(0.5, 0.0), ..BURST_ANSWERS });
        played.expect(29, 5.0, "PrimaryTried", spilt(90));
        played.seconds(120, Ok(5.0));
        assert_eq!(played.in_force, HOME);
    }
}

#[test]
fn spill_brings_traffic_back_to_a_primary_that_is_well_again() {
    let mut played = played(&["--failover=true", "--policy=spill"], PRIMARY_GONE);
    played.expect(1, 5.0, "PrimaryFails", BURST);
    played.clusters = Some(Clusters { primary: flow(0.5, 0.0), ..BURST_ANSWERS });
    played.expect(59, 5.0, "PrimaryRests", BURST);
    played.seconds(240, Ok(5.0));
    assert_eq!(played.in_force, spilt(1), "but for the probe");
}

#[test]
fn without_the_setting_traffic_stays_at_home() {
    let mut played = played(&[], PRIMARY_GONE);
    played.expect(600, 5.0, "Settled", HOME);
}

#[test]
fn where_both_fail_traffic_is_at_home() {
    let mut played = played(&["--failover=true"], PRIMARY_GONE);
    played.expect(1, 5.0, "PrimaryFails", BURST);
    played.clusters = Some(Clusters { burst: flow(5.0, 5.0), ..Clusters::default() });
    played.expect(1, 5.0, "BurstFails", HOME);
    played.clusters = Some(PRIMARY_GONE);
    played.expect(30, 5.0, "BurstRests", HOME);
}

#[test]
fn orders_come_before_it() {
    let mut played = played(&["--failover=true"], PRIMARY_GONE);
    played.orders.force = Some(Cluster::Primary);
    played.expect(5, 5.0, "Forced", HOME);
    played.orders = Orders { pause: true, ..Orders::default() };
    played.expect(5, 5.0, "Paused", HOME);
    played.orders = Orders::default();
    played.expect(1, 5.0, "PrimaryRests", BURST);
}

#[test]
fn a_burst_that_failed_long_ago_is_good_enough() {
    let mut played = Played::new(&["--failover=true"], BURST);
    played.clusters = Some(Clusters { burst: flow(20.0, 20.0), ..Clusters::default() });
    played.expect(1, 20.0, "BurstFails", HOME);
    played.clusters = Some(Clusters { primary: flow(5.0, 0.0), ..Clusters::default() });
    played.seconds(120, Ok(5.0));
    assert_eq!(played.in_force, HOME);
    played.clusters = Some(PRIMARY_FAILS);
    played.expect(1, 5.0, "PrimaryFails", BURST);
    // And it is judged again.
    played.clusters = Some(Clusters { burst: flow(5.0, 5.0), ..Clusters::default() });
    played.expect(1, 5.0, "BurstFails", HOME);
}
