//! Writing down how a deployment ended: tags of the record, and its default version.

use super::{Failure, Run, persist};
use crate::cloud::{Kind, Tags};
use crate::naming::{self, Times};
use crate::plan::Ending;

impl Run<'_> {
    /// The default version is the last that succeeded; the tags keep the older successes apart from the failures.
    pub(super) async fn mark_default(&self) -> Result<(), Failure> {
        self.still_ours().await?;
        self.journal().marking = true;
        self.remove_strays().await?;
        let Some((template, version)) = self.journal().record.clone() else { return Ok(()) };
        let mut tags = self.with_version(naming::SUCCEEDED, version).await?;
        tags.insert(naming::CURRENT.to_owned(), self.deployment());
        let cloud = &self.context.cloud;
        persist(async || cloud.set_default(&template, version).await).await?;
        Ok(persist(async || cloud.tag(&template, &tags).await).await?)
    }

    /// A part of the deployment serves, and is let be.
    pub(super) async fn mark_held(&self) -> Result<(), Failure> {
        let Some((template, version)) = self.journal().record.clone() else { return Ok(()) };
        let key = match self.current_plan()?.ending {
            Ending::Canary => naming::CANARY,
            _ => naming::PARTIAL,
        };
        self.still_ours().await?;
        let tags = self.with_version(key, version).await?;
        Ok(persist(async || self.context.cloud.tag(&template, &tags).await).await?)
    }

    /// The deployment that is taken back is marked, before anything is done about it.
    pub(super) async fn mark_aborted(&self) -> Result<(), Failure> {
        let Ending::Aborted(version) = self.current_plan()?.ending else { return Ok(()) };
        let name = naming::record(&self.order.spec.service, &self.order.spec.environment);
        let cloud = &self.context.cloud;
        let Some(record) = persist(async || cloud.template(&name).await).await? else { return Ok(()) };
        self.still_ours().await?;
        let failed = record.tags.get(naming::FAILED).map(|text| naming::read_ranges(text));
        let key = if failed.is_some_and(|failed| failed.contains(&version)) {
            naming::FAILED
        } else {
            naming::ABORTED
        };
        let tags = self.with_version(key, version).await?;
        Ok(persist(async || cloud.tag(&record.id, &tags).await).await?)
    }

    /// Best effort: history shows the failure; and a run that is killed while it undoes is undone, not completed.
    pub(super) async fn note_failure(&self) {
        let Some((template, version)) = self.journal().record.clone() else { return };
        let Ok(tags) = self.with_version(naming::FAILED, version).await else { return };
        if let Err(error) = self.context.cloud.tag(&template, &tags).await
            && error.kind != Kind::NotFound
        {
            self.note(format!("the failure could not be recorded: {error}"));
        }
    }

    /// A tag of the record that lists versions, with one more, and when that one ended.
    async fn with_version(&self, key: &str, number: i64) -> Result<Tags, Failure> {
        let name = naming::record(&self.order.spec.service, &self.order.spec.environment);
        let cloud = &self.context.cloud;
        let record = persist(async || cloud.template(&name).await).await?;
        let text = |key: &str| {
            let found = record.as_ref().and_then(|record| record.tags.get(key));
            found.cloned().unwrap_or_default()
        };
        let mut versions = naming::read_ranges(&text(key));
        versions.push(number);
        let mut times = naming::read_times(&text(naming::TIMES));
        times.retain(|times| times.number != number);
        let seconds = u32::try_from(self.began.elapsed().as_secs()).unwrap_or(u32::MAX);
        times.push(Times { number, ended: (self.context.now)(), seconds });
        Ok(Tags::from([
            (key.to_owned(), naming::write_ranges(&versions)),
            (naming::TIMES.to_owned(), naming::write_times(&times)),
        ]))
    }
}
