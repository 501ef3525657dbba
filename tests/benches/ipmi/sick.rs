//! What dead and slow BMCs cost the others: phases without and with them, by turns, in one process.

use crate::Args;
use crate::fleet::{Fleet, Sick};
use crate::many::{self, Wall, percentile, target};
use outband_bmc::CipherSuite;
use outband_bmc::Target;
use outband_bmc::client::Bmc;
use outband_bmc::ipmi::hub::Hub;
use outband_bmc::redfish::knowledge::Knowledge;
use outband_schemas::Section;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::net::UdpSocket;
use std::time::Duration;

/// How often the pairs are drawn anew for the interval of the ratio.
const DRAWS: usize = 2000;

/// Times of polls in milliseconds, in order: of a phase without sick BMCs and of the one beside it with them.
struct Pair([Vec<f64>; 2]);

/// Runs the pairs and tells of each.
pub(crate) async fn run(args: &Args) {
    let sick = Sick { slow: args.number("--slow").unwrap_or(10), dead: args.number("--dead").unwrap_or(10) };
    let bmcs = args.number("--bmcs").unwrap_or(1000);
    let period = args.seconds("--every").unwrap_or(Duration::from_secs(10));
    let lasts = args.seconds("--seconds").unwrap_or(Duration::from_secs(20));
    let fleet = Fleet::bmcs(bmcs, sick);
    let hub = many::hub();
    let mut healthy = many::connect(&hub, &fleet, CipherSuite::Three, sick).await;
    // A socket that nobody reads is a BMC that is dead.
    let graves: Vec<_> = (0..bmcs).map(|n| sick.is_dead(n).then(|| UdpSocket::bind("127.0.0.1:0").unwrap())).collect();
    let at = |n: usize| match &graves[n] {
        Some(grave) => Some(grave.local_addr().unwrap()),
        None => sick.is_slow(n).then_some(fleet.at[n]),
    };
    let targets: Vec<Target> = (0..bmcs).filter_map(at).map(|at| target(at, CipherSuite::Three)).collect();
    println!(
        "{} healthy BMCs, each every {} s; {} % dead and {} % slow beside them",
        healthy.len(),
        period.as_secs_f64(),
        sick.dead,
        sick.slow
    );
    println!("| pair | p50 ms without | p99 ms without | p50 ms with | p99 ms with | p99 with / without |");
    println!("|---|---|---|---|---|---|");
    let mut pairs = Vec::new();
    for number in 1..=args.number("--rounds").unwrap_or(6) {
        let mut times = [Vec::new(), Vec::new()];
        // Each goes first in every other pair: what drifts meanwhile drifts for both.
        for with in if number % 2 == 0 { [1, 0] } else { [0, 1] } {
            let trying: Vec<_> = targets
                .iter()
                .take(if with == 1 { targets.len() } else { 0 })
                .map(|target| tokio::task::spawn_local(try_for_ever(hub.clone(), target.clone())))
                .collect();
            times[with] = many::every(&mut healthy, period, lasts).await.0;
            trying.iter().for_each(tokio::task::JoinHandle::abort);
        }
        let pair = Pair(times);
        let of = |with: usize, share| percentile(&pair.0[with], share);
        println!(
            "| {number} | {:.1} | {:.1} | {:.1} | {:.1} | {:.3} |",
            of(0, 0.5),
            of(0, 0.99),
            of(1, 0.5),
            of(1, 0.99),
            of(1, 0.99) / of(0, 0.99)
        );
        pairs.push(pair);
    }
    tell(&pairs);
}

/// What all pairs say together, and how sure that is.
fn tell(pairs: &[Pair]) {
    let all: Vec<&Pair> = pairs.iter().collect();
    let (without, with) = (pooled(&all, 0), pooled(&all, 1));
    // Pairs are drawn, not polls: those of one phase met the same moment of the machine.
    let mut random = SmallRng::seed_from_u64(7);
    let mut draw = |share: f64| -> Vec<f64> {
        let mut ratios: Vec<f64> = (0..DRAWS)
            .map(|_| {
                let drawn: Vec<&Pair> = pairs.iter().map(|_| &pairs[random.random_range(0..pairs.len())]).collect();
                percentile(&pooled(&drawn, 1), share) / percentile(&pooled(&drawn, 0), share)
            })
            .collect();
        ratios.sort_by(f64::total_cmp);
        ratios
    };
    for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
        let ratios = draw(share);
        println!(
            "all pairs, {} and {} polls: {name} {:.1} ms without, {:.1} ms with, ratio {:.3}, 95 % of the draws from {:.3} to {:.3}",
            without.len(),
            with.len(),
            percentile(&without, share),
            percentile(&with, share),
            percentile(&with, share) / percentile(&without, share),
            percentile(&ratios, 0.025),
            percentile(&ratios, 0.975)
        );
    }
}

fn pooled(pairs: &[&Pair], with: usize) -> Vec<f64> {
    let mut all: Vec<f64> = pairs.iter().flat_map(|pair| &pair.0[with]).copied().collect();
    all.sort_by(f64::total_cmp);
    all
}

/// A BMC that is dead or slow is tried again and again, without a pause: more than an agent does.
async fn try_for_ever(hub: Hub, target: Target) {
    loop {
        if let Ok(mut bmc) = Bmc::connect_through(Some(&hub), &target, &Knowledge::default()).await {
            while bmc.poll(Section::Sensors, None, &Wall).await.is_ok() {}
        }
    }
}
