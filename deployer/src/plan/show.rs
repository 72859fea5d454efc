//! A plan for people and for programs.

use super::{Plan, Wave};
use serde_json::{Value, json};
use std::fmt;

impl Plan {
    /// The plan as one JSON object: what is launched, what goes, and the steps with their undo.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let wave = |wave: &Wave| {
            json!({
                "wave": wave.number,
                "launches": wave.launches(),
                "adopted": wave.adopted.iter().map(|own| &own.id).collect::<Vec<_>>(),
                "old": wave.old.iter().map(|old| &old.id).collect::<Vec<_>>(),
                "soak": wave.soak.map(|soak| soak.as_secs()),
            })
        };
        json!({
            "service": self.service,
            "environment": self.environment,
            "deployment": self.identity.deployment,
            "commit": self.identity.commit,
            "image": self.template.image,
            "strategy": self.strategy,
            "count": self.count,
            "instance_types": self.instance_types,
            "balancers": self.balancers.iter().map(|balancer| &balancer.name).collect::<Vec<_>>(),
            "waves": self.waves.iter().map(wave).collect::<Vec<_>>(),
            "old": self.old().iter().map(|old| &old.id).collect::<Vec<_>>(),
            "leftovers": self.leftovers.iter().map(|left| &left.id).collect::<Vec<_>>(),
            "steps": self.steps,
            "notes": self.notes,
        })
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let commit = self
            .identity
            .commit
            .as_deref()
            .map_or("the branch's newest", |commit| commit.get(..12).unwrap_or(commit));
        writeln!(f, "{} in {}: deployment {}", self.service, self.environment, self.identity.deployment)?;
        let strategy = match self.waves.len() {
            0 | 1 => String::new(),
            waves => format!(", {} in {waves} waves", self.strategy),
        };
        writeln!(f, "  states {commit}, image {}{strategy}", self.template.image)?;
        for (number, step) in self.steps.iter().enumerate() {
            writeln!(f, "{:>4}. {:<15} {}", number + 1, step.action.name(), step.what)?;
        }
        for note in &self.notes {
            writeln!(f, "  note: {note}")?;
        }
        Ok(())
    }
}
