//! T
use simulator::{Load, Rule, Scenario, Trace, play, settings};
use std::time::Duration;
fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let sources: Vec<u64> = args[0].split(',').map(|s| s.parse().unwrap()).collect();
    let mut a = vec!["--policy=spill"];
    a.extend(args[1..].iter().map(String::as_str));
    let s = settings(&a);
    let mut h = vec![];
    for (n, t) in [("N", Trace::Nasa1995), ("T", Trace::Twitter2021)] {
        for sec in &sources {
            let s = s.clone();
            let sec = *sec;
            h.push(std::thread::spawn(move || {
                let mut sc = Scenario::new(&s, Duration::from_secs(86400), Load::trace(t));
                sc.step = Duration::from_secs(1);
                sc.scrape_every = Duration::from_secs(sec);
                let o = play(&sc, Rule::Watcher(s.clone()));
                format!(
                    "{n}{sec}: {:.0}s {:.1}% w{} r{} |",
                    o.late.as_secs_f64(),
                    o.burst * 100.0,
                    o.writes.len(),
                    o.reversals()
                )
            }));
        }
    }
    for x in h {
        print!("{} ", x.join().unwrap());
    }
    println!();
}
