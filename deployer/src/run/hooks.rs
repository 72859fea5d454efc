//! The user's own commands beside the steps of a run.

use super::{Cancel, Failure, Outcome, Run, channel};
use crate::hooks::{self, HookError};
use crate::plan::Step;
use crate::spec::keys::DEPLOYMENT;
use crate::spec::{Hook, OnFailure, When};

impl Run<'_> {
    /// A step with the hooks around it. Once the old are being ended nothing can be undone: a hook that fails from then
    /// on is only said.
    pub(super) async fn hooked(&self, step: &Step) -> Result<(), Failure> {
        self.hooks(When::Before, step).await?;
        self.act(step).await?;
        self.hooks(When::After, step).await
    }

    async fn hooks(&self, when: When, step: &Step) -> Result<(), Failure> {
        let name = step.action.name();
        let wave = step.wave.map(|wave| ("MAYFLY_WAVE", wave.to_string()));
        for hook in self.hooks_at(when, name) {
            match self.run_hook(hook, name, wave.as_slice(), self.cancel).await {
                Ok(()) => {}
                Err(HookError::Interrupted) if !self.is_past_return() => return Err(Failure::Interrupted),
                Err(error) if fails(hook) && !self.is_past_return() => {
                    return Err(Failure::Hopeless { what: error.to_string(), evidence: error.output() });
                }
                Err(error) => self.note(format!("{error}; going on")),
            }
        }
        Ok(())
    }

    /// The hooks at the end of all; they change nothing any more.
    pub(super) async fn end_hooks(&self, outcome: &Outcome) {
        if matches!(outcome, Outcome::Locked(_) | Outcome::Killed(_)) {
            return;
        }
        let told = [
            ("MAYFLY_OUTCOME", outcome.word().to_owned()),
            ("MAYFLY_CAUSE", outcome.cause().unwrap_or_default()),
        ];
        // What ended the run does not end them: their own deadline does.
        let (_asks, never) = channel();
        for hook in self.hooks_at(When::After, DEPLOYMENT) {
            if let Err(error) = self.run_hook(hook, DEPLOYMENT, &told, &never).await {
                self.note(error.to_string());
            }
        }
    }

    fn hooks_at(&self, when: When, step: &str) -> impl Iterator<Item = &Hook> {
        let hooks = self.order.spec.hooks.iter();
        hooks.filter(move |hook| hook.when == when && hook.steps.iter().any(|name| name == step))
    }

    async fn run_hook(
        &self,
        hook: &Hook,
        step: &str,
        more: &[(&'static str, String)],
        cancel: &Cancel,
    ) -> Result<(), HookError> {
        let (spec, identity) = (&self.order.spec, &self.order.identity);
        let old: Vec<String> = match self.journal().plan.as_ref() {
            Some(plan) => plan.waves.iter().flat_map(|wave| &wave.old).map(|old| old.id.clone()).collect(),
            None => Vec::new(),
        };
        let when = if hook.when == When::Before { "before" } else { "after" };
        let mut variables = vec![
            ("MAYFLY_SERVICE", spec.service.clone()),
            ("MAYFLY_ENVIRONMENT", spec.environment.clone()),
            ("MAYFLY_ROLE", spec.role.clone()),
            ("MAYFLY_DEPLOYMENT", identity.deployment.clone()),
            ("MAYFLY_COMMIT", identity.commit.clone().unwrap_or_default()),
            ("MAYFLY_STEP", step.to_owned()),
            ("MAYFLY_WHEN", when.to_owned()),
            ("MAYFLY_INSTANCES", self.new_ids().join(" ")),
            ("MAYFLY_OLD_INSTANCES", old.join(" ")),
        ];
        variables.extend(more.iter().cloned());
        hooks::run(hook, &variables, &|line| self.note(line), cancel).await
    }
}

fn fails(hook: &Hook) -> bool {
    hook.when == When::Before || hook.on_failure == OnFailure::Undo
}
