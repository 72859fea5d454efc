//! Who gets how much: the turns of a listener's pools by weight, and the growing share of a backend in slow start.
use crate::world::{Route, SlowStart, Timestamp};

/// The least share: some requests must reach a new backend from the beginning.
const LEAST: f64 = 0.01;

/// Whose turn it is among the pools of one listener.
#[derive(Debug, Default)]
pub(super) struct Turns {
    routes: Vec<(Route, i64)>,
}

impl Turns {
    /// Takes over other weights; a pool that stays keeps its place.
    pub(super) fn apply(&mut self, routes: &[Route]) {
        let credit = |route: &Route| {
            self.routes.iter().find(|(known, _)| known == route).map_or(0, |(_, credit)| *credit)
        };
        self.routes = routes.iter().map(|route| (route.clone(), credit(route))).collect();
    }

    /// The pool of the next request. Over a whole round each has its weight, spread evenly.
    pub(super) fn next(&mut self) -> Option<String> {
        let total: i64 = self.routes.iter().map(|(route, _)| i64::from(route.weight)).sum();
        for (route, credit) in &mut self.routes {
            *credit += i64::from(route.weight);
        }
        let able = self.routes.iter_mut().filter(|(route, _)| route.weight > 0);
        let (route, credit) = able.reduce(|best, other| if other.1 > best.1 { other } else { best })?;
        *credit -= total;
        Some(route.pool.clone())
    }
}

/// The part of a full share that a backend has now.
pub(super) fn share(now: Timestamp, slow_start: Option<SlowStart>) -> f64 {
    let Some(SlowStart { since, until }) = slow_start else { return 1.0 };
    let whole = (until - since).as_seconds_f64();
    if whole <= 0.0 {
        return 1.0;
    }
    ((now - since).as_seconds_f64() / whole).clamp(LEAST, 1.0)
}
