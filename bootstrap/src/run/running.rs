//! The steps of a converge that run now, and which of them have run for so long that people should know.

use super::status::Step;
use mayfly_states::low::{Lines, Origin};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// After these a step is told of.
const MARKS: [(Duration, &str); 4] = [
    (Duration::from_secs(10), "10s"),
    (Duration::from_secs(60), "1m"),
    (Duration::from_secs(600), "10m"),
    (Duration::from_secs(3600), "1h"),
];
/// A name may be a whole script.
const NAME: usize = 1000;

struct Begun {
    step: Step,
    /// In the rendered text.
    origin: Origin,
    at: Instant,
    /// How many of the marks it was told of at.
    told: usize,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Running {
    begun: Mutex<BTreeMap<usize, Begun>>,
    lines: Mutex<Lines>,
}

impl Running {
    /// None runs, and those that come are of a tree with these lines.
    pub(crate) fn start(&self, lines: &Lines) {
        self.lock().clear();
        lines.clone_into(&mut self.lines.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// A step begins.
    pub(crate) fn begin(&self, mut step: Step, origin: &Origin, at: Instant) {
        if let Some((cut, _)) = step.name.char_indices().nth(NAME) {
            step.name.truncate(cut);
        }
        self.lock().insert(step.index, Begun { step, origin: origin.clone(), at, told: 0 });
    }

    /// The step of that number has ended.
    pub(crate) fn end(&self, index: usize) {
        self.lock().remove(&index);
    }

    /// The one that has run for the longest.
    pub(crate) fn oldest(&self) -> Option<Step> {
        let (step, origin) = {
            let all = self.lock();
            let oldest = all.values().min_by_key(|begun| begun.at)?;
            (Step { beside: all.len() - 1, ..oldest.step.clone() }, oldest.origin.clone())
        };
        Some(self.placed(step, &origin))
    }

    /// Those that have passed another mark, and which.
    pub(crate) fn overdue(&self, now: Instant) -> Vec<(Step, &'static str)> {
        let mut overdue = Vec::new();
        for begun in self.lock().values_mut() {
            let took = now.saturating_duration_since(begun.at);
            let passed = MARKS.iter().take_while(|(mark, _)| took >= *mark).count();
            if let Some((_, name)) = passed.checked_sub(1).filter(|_| passed > begun.told).map(|n| MARKS[n]) {
                overdue.push((begun.step.clone(), begun.origin.clone(), name));
            }
            begun.told = passed;
        }
        overdue.into_iter().map(|(step, origin, name)| (self.placed(step, &origin), name)).collect()
    }

    /// With its place in the file as it is written, which takes a comparison: no step waits for that.
    fn placed(&self, step: Step, origin: &Origin) -> Step {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Step { origin: lines.origin(origin).to_string(), ..step }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<usize, Begun>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(index: usize) -> Step {
        let text = || "x".repeat(2000);
        Step {
            index,
            total: 9,
            function: "cmd.run".into(),
            name: text(),
            origin: String::new(),
            since: 0.0,
            beside: 0,
        }
    }

    #[test]
    #[allow(clippy::disallowed_methods)] // There is no other way to an `Instant`.
    fn a_step_is_told_of_once_at_each_mark_until_it_ends() {
        let (running, start) = (Running::default(), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        running.begin(step(1), &Origin::default(), start);
        running.begin(step(2), &Origin::default(), after(5));
        let told = |seconds| {
            let overdue = running.overdue(after(seconds));
            overdue.iter().map(|(step, mark)| format!("{} {mark}", step.index)).collect::<Vec<_>>()
        };
        assert_eq!(told(9), [""; 0]);
        assert_eq!(told(10), ["1 10s"]);
        assert_eq!(told(16), ["2 10s"]);
        assert_eq!(told(59), [""; 0]);
        let oldest = running.oldest().unwrap();
        assert_eq!((oldest.index, oldest.beside, oldest.name.len()), (1, 1, NAME));
        running.end(1);
        assert_eq!(told(700), ["2 10m"], "the marks between are passed over");
        assert_eq!(told(4000), ["2 1h"]);
        running.start(&Lines::default());
        assert_eq!(running.oldest(), None);
    }
}
