//! A plan for people and for programs.

use super::Plan;
use serde_json::{Value, json};
use std::fmt;

impl Plan {
    /// The plan as one JSON object: what is launched, what goes, and the steps with their undo.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "service": self.service,
            "environment": self.environment,
            "deployment": self.identity.deployment,
            "commit": self.identity.commit,
            "image": self.template.image,
            "count": self.count(),
            "instance_types": self.instance_types,
            "balancer": self.balancer.as_ref().map(|balancer| &balancer.name),
            "old": self.old.iter().map(|old| &old.id).collect::<Vec<_>>(),
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
            .map_or("the branch's newest", |commit| &commit[..commit.len().min(12)]);
        writeln!(f, "{} in {}: deployment {}", self.service, self.environment, self.identity.deployment)?;
        writeln!(f, "  states {commit}, image {}", self.template.image)?;
        for (number, step) in self.steps.iter().enumerate() {
            writeln!(f, "{:>4}. {:<15} {}", number + 1, step.action.name(), step.what)?;
        }
        for note in &self.notes {
            writeln!(f, "  note: {note}")?;
        }
        Ok(())
    }
}
