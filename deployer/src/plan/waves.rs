//! Cuts a deployment into waves: how many come and how many go in each, and from where.

use super::{Batch, Existing, Wave};
use crate::cloud::Subnet;
use crate::spec::{Promote, Share, Strategy};
use std::time::Duration;

/// Most instances in one request; more go in several, side by side.
const BATCH: u32 = 200;

/// How one wave is cut, before anybody is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Cut {
    pub(super) launches: u32,
    pub(super) retires: u32,
    pub(super) soak: Option<Duration>,
}

/// What is to be cut.
#[derive(Debug, Clone, Copy)]
pub(super) struct Whole {
    pub(super) strategy: Strategy,
    /// How many instances there are in the end.
    pub(super) count: u32,
    /// How many of them are there already.
    pub(super) have: u32,
    pub(super) old: u32,
    /// Only this part.
    pub(super) only: Option<Share>,
}

/// The waves of a strategy, and whether it ends as a canary that waits for a word.
pub(super) fn cuts(whole: &Whole) -> (Vec<Cut>, bool) {
    let need = whole.count.saturating_sub(whole.have);
    if let Some(only) = whole.only {
        let part = only.of(whole.count).saturating_sub(whole.have);
        return (part_cuts(whole.strategy, part, only.of(whole.old).min(part).min(whole.old)), false);
    }
    match whole.strategy {
        Strategy::BlueGreen => (vec![Cut { launches: need, retires: whole.old, soak: None }], false),
        Strategy::Rolling { batch, .. } => (rolling(batch.of(whole.count), need, whole.old), false),
        Strategy::Canary { size, promote } => canary(whole, size.of(whole.count), need, promote),
    }
}

fn part_cuts(strategy: Strategy, part: u32, old: u32) -> Vec<Cut> {
    match strategy {
        Strategy::Rolling { batch: Share::Count(batch), .. } => rolling(batch.max(1), part, old),
        Strategy::Rolling { batch, .. } => rolling(batch.of(part), part, old),
        _ => vec![Cut { launches: part, retires: old, soak: None }],
    }
}

/// As many waves as the longer of the two sides needs. Whichever side is over first, the other goes on alone: so a
/// rolling deployment can grow and shrink a service. The first deployment of a service has nothing to be careful of.
fn rolling(batch: u32, need: u32, old: u32) -> Vec<Cut> {
    if old == 0 {
        return vec![Cut { launches: need, ..Cut::default() }];
    }
    let waves = need.div_ceil(batch).max(old.div_ceil(batch)).max(1);
    (0..waves)
        .map(|wave| Cut {
            launches: need.saturating_sub(wave * batch).min(batch),
            retires: old.saturating_sub(wave * batch).min(batch),
            soak: None,
        })
        .collect()
}

/// The canary stands beside all of the old, so that taking it back needs no launch.
fn canary(whole: &Whole, size: u32, need: u32, promote: Promote) -> (Vec<Cut>, bool) {
    let rest = |launches| Cut { launches, retires: whole.old, soak: None };
    if whole.have > 0 || whole.old == 0 {
        return (vec![rest(need)], false);
    }
    let size = size.min(need);
    match promote {
        Promote::Manual => (vec![Cut { launches: size, retires: 0, soak: None }], true),
        Promote::Soak(soak) => {
            let first = Cut { launches: size, retires: 0, soak: Some(soak) };
            (vec![first, rest(need - size)], false)
        }
    }
}

/// Names who comes and who goes. Adopted instances come with the first wave.
pub(super) fn waves(
    cuts: &[Cut],
    adopted: Vec<Existing>,
    old: &[Existing],
    subnets: &[Subnet],
    first_slot: u32,
) -> Vec<Wave> {
    let mut waves = Vec::new();
    let (mut retired, mut launched, mut slot, mut adopted) = (0, 0, first_slot, Some(adopted));
    for (cut, number) in cuts.iter().zip(1..) {
        let batches = batches(cut.launches, subnets, launched, slot);
        let end = (retired + cut.retires as usize).min(old.len());
        slot += u32::try_from(batches.len()).unwrap_or(u32::MAX);
        launched += cut.launches;
        waves.push(Wave {
            number,
            batches,
            adopted: adopted.take().unwrap_or_default(),
            old: old.get(retired..end).unwrap_or_default().to_vec(),
            soak: cut.soak,
        });
        retired = end;
    }
    waves
}

/// Spreads the count evenly over the subnets, going on where the wave before stopped. Each batch tries its own subnet
/// first and then the others.
fn batches(count: u32, subnets: &[Subnet], launched: u32, first_slot: u32) -> Vec<Batch> {
    let ids: Vec<String> = subnets.iter().map(|subnet| subnet.id.clone()).collect();
    let spread = u32::try_from(ids.len().max(1)).unwrap_or(1);
    let mut batches = Vec::new();
    for step in 0..spread {
        let mut rest = count / spread + u32::from(step < count % spread);
        let mut order = ids.clone();
        let place = (launched + step) % spread;
        order.rotate_left(if ids.is_empty() { 0 } else { place as usize });
        while rest > 0 {
            let count = rest.min(BATCH);
            let slot = first_slot + u32::try_from(batches.len()).unwrap_or(u32::MAX);
            batches.push(Batch { slot, count, subnets: order.clone() });
            rest -= count;
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(strategy: Strategy, count: u32, have: u32, old: u32, only: Option<&str>) -> Vec<(u32, u32)> {
        let only = only.map(|text| text.parse().expect("a share"));
        let (cuts, _) = cuts(&Whole { strategy, count, have, old, only });
        cuts.iter().map(|cut| (cut.launches, cut.retires)).collect()
    }

    fn rolling(batch: u32) -> Strategy {
        Strategy::Rolling { batch: Share::Count(batch), minimum: None }
    }

    #[test]
    fn each_strategy_is_a_list_of_waves() {
        assert_eq!(pairs(Strategy::BlueGreen, 6, 0, 4, None), [(6, 4)]);
        assert_eq!(pairs(rolling(4), 6, 0, 6, None), [(4, 4), (2, 2)]);
        assert_eq!(pairs(rolling(4), 6, 0, 0, None), [(6, 0)]);
        let canary = |promote| Strategy::Canary { size: Share::Part(25, 100), promote };
        assert_eq!(pairs(canary(Promote::Soak(Duration::ZERO)), 6, 0, 6, None), [(2, 0), (4, 6)]);
        assert_eq!(pairs(canary(Promote::Manual), 6, 0, 6, None), [(2, 0)]);
        assert_eq!(pairs(canary(Promote::Manual), 6, 2, 6, None), [(4, 6)], "promoted");
        assert_eq!(
            pairs(canary(Promote::Manual), 6, 0, 0, None),
            [(6, 0)],
            "the first deployment has no canary"
        );
    }

    #[test]
    fn a_rolling_deployment_grows_and_shrinks_a_service() {
        assert_eq!(pairs(rolling(2), 6, 0, 2, None), [(2, 2), (2, 0), (2, 0)]);
        assert_eq!(pairs(rolling(2), 3, 0, 6, None), [(2, 2), (1, 2), (0, 2)]);
    }

    #[test]
    fn a_part_replaces_as_many_as_it_brings() {
        assert_eq!(pairs(Strategy::BlueGreen, 6, 0, 6, Some("1/4")), [(2, 2)]);
        assert_eq!(pairs(rolling(1), 6, 0, 6, Some("50%")), [(1, 1), (1, 1), (1, 1)]);
        assert_eq!(pairs(Strategy::BlueGreen, 6, 2, 4, None), [(4, 4)], "the rest of it");
    }

    #[test]
    fn whatever_is_cut_adds_up() {
        proptest::proptest!(|(count in 1u32..40, old in 0u32..40, batch in 1u32..12, have in 0u32..40)| {
            let have = have.min(count);
            for strategy in [rolling(batch), Strategy::BlueGreen] {
                let cuts = pairs(strategy, count, have, old, None);
                assert_eq!(cuts.iter().map(|cut| cut.0).sum::<u32>(), count - have);
                assert_eq!(cuts.iter().map(|cut| cut.1).sum::<u32>(), old);
                // However far it got, no more went than came, but for those beyond the count.
                let (mut serving, floor) = (old + have, (old + have).min(count));
                for (launches, retires) in cuts {
                    serving = serving + launches - retires;
                    assert!(serving >= floor.min(count), "{serving} of {floor}");
                }
            }
        });
    }

    #[test]
    fn small_waves_go_round_the_subnets_and_no_slot_is_used_twice() {
        let subnets = ["a", "b"].map(|id| Subnet { id: id.into(), zone: id.into() });
        let cuts = [1, 1, 3].map(|launches| Cut { launches, retires: 0, soak: None });
        let waves = waves(&cuts, Vec::new(), &[], &subnets, 7);
        let said: Vec<(u32, u32, &str)> = waves
            .iter()
            .flat_map(|wave| &wave.batches)
            .map(|batch| (batch.slot, batch.count, batch.subnets[0].as_str()))
            .collect();
        assert_eq!(said, [(7, 1, "a"), (8, 1, "b"), (9, 2, "a"), (10, 1, "b")]);
    }
}
