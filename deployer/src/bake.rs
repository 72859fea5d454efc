//! Runs the plan that `mayfly_ami::bake` makes: a builder converges, powers off, is imaged, and goes.

use crate::cloud::{Answer, BuilderLaunch, Cloud, ImageFilter, Instance, InstanceState, Kind, Tags};
use crate::naming;
use crate::run::{Cancel, Event, Failure, Look, Sink, Wait, persist, poll};
use base64::Engine;
use mayfly_ami::bake::{
    BAKE, Plan, Step, UNTIL, Verdict, image_tags, is_abandoned, last_words, launch_token, verdict,
};
use std::time::Duration;

#[cfg(test)]
mod tests;

/// Lines of the console that a failure shows.
const CONSOLE_LINES: usize = 40;

/// What the caller decides besides the plan.
#[derive(Debug, Clone, Default)]
pub struct Place {
    /// Subnet of the builder, if not a default one.
    pub subnet: Option<String>,
    /// Its security groups.
    pub security_groups: Vec<String>,
    /// Its instance profile.
    pub instance_profile: Option<String>,
    /// How long it may take to converge.
    pub deadline: Duration,
    /// A builder that failed stays, to be looked at.
    pub keep_failed: bool,
}

/// How long a bake may take beyond its builder's deadline: the console's delay, the making of the image, and clocks that
/// differ.
pub const SLACK: Duration = Duration::from_secs(120 + 3_600 + 600);
/// A builder that was just launched is not seen at once, and what is not seen cannot be ended.
const UNSEEN: Duration = Duration::from_secs(60);
/// How long an image may take until it can be launched from.
const IMAGE_DEADLINE: Duration = Duration::from_secs(3_600);

/// The outer world of a bake.
pub struct Baker<'a> {
    /// The cloud.
    pub cloud: &'a dyn Cloud,
    /// Where progress goes.
    pub sink: &'a dyn Sink,
    /// Asked to stop.
    pub cancel: &'a Cancel,
}

/// Why there is no image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BakeError {
    /// There was never a builder.
    #[error("{0}; there is no builder and no image")]
    Unlaunched(Failure),
    /// It failed, and nothing is left.
    #[error("{0}; the builder is gone and there is no image")]
    Undone(Failure),
    /// It failed, and the builder was to stay then.
    #[error("{cause}; the builder {builder} stays, as was asked for, until the first bake after {until}")]
    Kept {
        /// Why.
        cause: Failure,
        /// Its id.
        builder: String,
        /// When another bake or `mayfly images gc` removes it.
        until: String,
    },
    /// It failed, and this is left.
    #[error("{cause}; left over: {left}")]
    Dirty {
        /// Why.
        cause: Failure,
        /// What is left, and how it can be found.
        left: String,
    },
}

impl BakeError {
    /// Why, and with which evidence.
    #[must_use]
    pub fn cause(&self) -> &Failure {
        match self {
            Self::Unlaunched(cause)
            | Self::Undone(cause)
            | Self::Kept { cause, .. }
            | Self::Dirty { cause, .. } => cause,
        }
    }
}

impl Baker<'_> {
    /// Bakes and answers the image's id. Whatever happens the builder is terminated; an unfinished image is removed.
    /// A second request to stop cuts even that short.
    ///
    /// # Errors
    /// [`BakeError`] with the cause; its evidence ends with the builder's console.
    pub async fn bake(&self, plan: &Plan, place: &Place) -> Result<String, BakeError> {
        tokio::select! {
            biased;
            () = self.cancel.stop() => {
                Err(BakeError::Dirty { cause: Failure::Interrupted, left: format!("whatever is {}", tagged(plan)) })
            }
            baked = self.whole(plan, place) => baked,
        }
    }

    async fn whole(&self, plan: &Plan, place: &Place) -> Result<String, BakeError> {
        let mut image = None;
        let builder = match self.launch(plan, place).await {
            Ok(builder) => builder,
            Err(error) if error.code.is_none() => {
                let left = format!("perhaps a builder {}", tagged(plan));
                return Err(BakeError::Dirty { cause: error.into(), left });
            }
            Err(error) => return Err(BakeError::Unlaunched(error.into())),
        };
        let made = self.make(plan, place, &builder, &mut image).await;
        if let (Err(cause), true, None) = (&made, place.keep_failed, &image)
            && *cause != Failure::Interrupted
        {
            return Err(BakeError::Kept { cause: cause.clone(), builder, until: plan.until.clone() });
        }
        let cleaned = self.clean(&builder, image.filter(|_| made.is_err())).await;
        match (made, cleaned) {
            (Ok(id), Ok(())) => Ok(id),
            (Err(cause), Ok(())) => Err(BakeError::Undone(cause)),
            (Ok(id), Err(error)) => Err(BakeError::Dirty {
                cause: error,
                left: format!("the builder {builder}, beside the good image {id}"),
            }),
            (Err(cause), Err(error)) => {
                let left = format!("the builder {builder}, {} ({})", tagged(plan), error.summary());
                Err(BakeError::Dirty { cause, left })
            }
        }
    }

    async fn launch(&self, plan: &Plan, place: &Place) -> Answer<String> {
        self.say(format!("{}: boot a {} from {}", Step::Launch.name(), plan.instance_type, plan.base_image));
        let mut tags: Tags = plan.tags.iter().cloned().collect();
        tags.insert("Name".to_owned(), format!("{}-builder", plan.image_name));
        tags.insert(UNTIL.to_owned(), plan.until.clone());
        let launch = BuilderLaunch {
            image: plan.base_image.clone(),
            instance_type: plan.instance_type.clone(),
            subnet: place.subnet.clone(),
            security_groups: place.security_groups.clone(),
            instance_profile: place.instance_profile.clone(),
            user_data: base64::engine::general_purpose::STANDARD.encode(&plan.user_data),
            token: launch_token(&plan.image_name),
            tags,
        };
        // The token makes repeating harmless.
        persist(async || self.cloud.launch_builder(&launch).await.map(|builder| builder.id)).await
    }

    async fn make(
        &self,
        plan: &Plan,
        place: &Place,
        builder: &str,
        image: &mut Option<String>,
    ) -> Result<String, Failure> {
        let tags = match self.sealed(plan, place, builder).await {
            Ok(tags) => tags,
            Err(Failure::Interrupted) => return Err(Failure::Interrupted),
            Err(mut failure) => {
                failure.add_evidence(self.console(builder).await);
                return Err(failure);
            }
        };
        self.say(format!("{}: {}", Step::CreateImage.name(), plan.image_name));
        let id = self.create_image(builder, &plan.image_name, &tags).await?;
        *image = Some(id.clone());
        self.wait_available(&id).await?;
        Ok(id)
    }

    /// Waits until the builder is fit to be an image; the image's tags.
    async fn sealed(&self, plan: &Plan, place: &Place, builder: &str) -> Result<Tags, Failure> {
        self.wait_stopped(builder, place.deadline).await?;
        let contents = self.check_console(builder).await?;
        let tags = image_tags(plan, contents);
        let tags = tags.map_err(|what| Failure::Hopeless { what, evidence: Vec::new() })?;
        Ok(tags.into_iter().collect())
    }

    /// The name is this bake's own: that it is taken means that an answer was lost, and the image is there.
    async fn create_image(&self, builder: &str, name: &str, tags: &Tags) -> Answer<String> {
        let lost = match self.cloud.create_image(builder, name, tags).await {
            Err(error) if matches!(error.kind, Kind::Duplicate | Kind::Ambiguous) => error,
            answer => return answer,
        };
        let filter = ImageFilter::Named { name: name.to_owned(), owner: "self".to_owned() };
        let mut pause = Duration::from_millis(500);
        for _ in 0..6 {
            tokio::time::sleep(pause).await;
            pause *= 2;
            if let Some(image) = persist(async || self.cloud.images(&filter).await).await?.pop() {
                return Ok(image.id);
            }
        }
        Err(lost)
    }

    async fn wait_stopped(&self, builder: &str, deadline: Duration) -> Result<(), Failure> {
        self.say(format!("{}: wait until {builder} has converged and powered off", Step::WaitStopped.name()));
        let wait = self.wait(format!("{builder} to converge and power off"), deadline);
        let ids = [builder.to_owned()];
        poll(wait, async || {
            let instances = self.cloud.instances(&ids).await?;
            let Some(instance) = instances.first() else { return Ok(not_yet("not visible yet")) };
            match instance.state {
                InstanceState::Stopped => Ok(Look::Done(())),
                state if state.is_ending() => {
                    let reason = instance.reason.clone().unwrap_or_else(|| "no reason given".to_owned());
                    let what = format!("{builder} is {}: {reason}", state.word());
                    Err(Failure::Hopeless { what, evidence: Vec::new() })
                }
                state => {
                    let says = self.check_alive(builder).await?;
                    let says = says.map_or_else(String::new, |line| format!("; it says `{line}`"));
                    Ok(not_yet(format!("{builder} is {}{says}", state.word())))
                }
            }
        })
        .await
    }

    /// A builder that did not converge stays up for its console to be read: no use in waiting out the deadline, and none
    /// where nobody may read the console, without which there is no image. What it said last is for who waits.
    async fn check_alive(&self, builder: &str) -> Result<Option<String>, Failure> {
        let console = match self.cloud.console(builder).await {
            Err(error) if error.kind == Kind::Denied => return Err(error.into()),
            console => console.unwrap_or_default(),
        };
        match verdict(&console) {
            Verdict::Failed(line) => Err(unconverged(&line)),
            Verdict::Sealed(_) | Verdict::Ready | Verdict::Unproven => Ok(last_words(&console)),
        }
    }

    /// The builder's own word that it converged and is fit to be an image, and what is in it; a console can be late, so it is
    /// asked for a while.
    async fn check_console(&self, builder: &str) -> Result<Vec<(&'static str, String)>, Failure> {
        let wait = self.wait(
            format!("the console of {builder} to say `{}`", mayfly_ami::bake::SEALED),
            Duration::from_secs(120),
        );
        poll(wait, async || match verdict(&self.cloud.console(builder).await?) {
            Verdict::Sealed(contents) => Ok(Look::Done(contents)),
            Verdict::Failed(line) => Err(unconverged(&line)),
            Verdict::Ready | Verdict::Unproven => Ok(not_yet("the console says nothing of it yet")),
        })
        .await
    }

    /// Waits until an image can be launched from.
    ///
    /// # Errors
    /// [`Failure`] when it never can, or it takes too long.
    pub async fn wait_available(&self, image: &str) -> Result<(), Failure> {
        self.say(format!("{}: wait until {image} can be launched from", Step::WaitAvailable.name()));
        let wait = self.wait(format!("{image} to be available"), IMAGE_DEADLINE);
        let filter = ImageFilter::Id(image.to_owned());
        poll(wait, async || {
            let images = self.cloud.images(&filter).await?;
            let Some(found) = images.first() else { return Ok(not_yet("not visible yet")) };
            match found.state.as_str() {
                "available" => Ok(Look::Done(())),
                "pending" => Ok(not_yet("pending")),
                other => {
                    let reason = found.reason.clone().unwrap_or_default();
                    let what = format!("the image {image} is {other}: {reason}");
                    Err(Failure::Hopeless { what, evidence: Vec::new() })
                }
            }
        })
        .await
    }

    async fn clean(&self, builder: &str, image: Option<String>) -> Result<(), Failure> {
        self.say(format!("{}: {builder}", Step::Terminate.name()));
        let terminated = self.end(builder).await;
        if let Some(image) = image {
            persist(async || self.cloud.delete_image(&image).await).await?;
        }
        terminated
    }

    /// Terminates the builder, and looks that it is so. Who asked to stop waits for that too.
    async fn end(&self, builder: &str) -> Result<(), Failure> {
        let ids = [builder.to_owned()];
        let interval = (Duration::from_millis(250), Duration::from_secs(5));
        let what = format!("{builder} to end");
        let wait = Wait { what, deadline: UNSEEN, interval, cancel: None, sink: self.sink };
        poll(wait, async || {
            self.cloud.terminate(&ids).await?;
            let state = self.cloud.instances(&ids).await?.first().map(|instance| instance.state);
            Ok(match state {
                Some(state) if state.is_ending() => Look::Done(()),
                Some(state) => not_yet(format!("{builder} is {}", state.word())),
                None => not_yet(format!("{builder} was launched and is not seen")),
            })
        })
        .await
    }

    async fn console(&self, builder: &str) -> Vec<String> {
        let console = match self.cloud.console(builder).await {
            Ok(console) => console,
            Err(error) => return vec![format!("console: cannot be read: {error}")],
        };
        let mut tail: Vec<String> = console
            .lines()
            .rev()
            .take(CONSOLE_LINES)
            .map(|line| format!("console: {}", line.trim_end()))
            .collect();
        tail.reverse();
        tail
    }

    fn say(&self, text: String) {
        self.sink.event(&Event::Note { text });
    }

    fn wait<'w>(&'w self, what: String, deadline: Duration) -> Wait<'w> {
        let interval = (Duration::from_millis(500), Duration::from_secs(10));
        Wait { what, deadline, interval, cancel: Some(self.cancel), sink: self.sink }
    }
}

/// Builders of a service that nobody waits for any more: their bakes were killed, or kept them. Tags alone make no instance
/// a builder: its launch must have been a bake's.
///
/// # Errors
/// [`CloudError`] of the call that failed.
pub async fn abandoned(cloud: &dyn Cloud, service: &str, now: &str) -> Answer<Vec<String>> {
    let tags = Tags::from([(naming::SERVICE.to_owned(), service.to_owned())]);
    let lost = |instance: &Instance| {
        let until = instance.tags.get(UNTIL).map(String::as_str);
        is_builder(instance) && !instance.state.is_ending() && is_abandoned(until, now)
    };
    let all = cloud.instances_tagged(&tags).await?;
    Ok(all.into_iter().filter(lost).map(|instance| instance.id).collect())
}

fn is_builder(instance: &Instance) -> bool {
    let token = naming::bake_of(&instance.tags).map(launch_token);
    token.is_some() && token == instance.client_token && !instance.tags.contains_key(naming::ENVIRONMENT)
}

/// Of the one thing that is waited for.
fn not_yet<T>(evidence: impl Into<String>) -> Look<T> {
    Look::NotYet { done: 0, total: 1, evidence: evidence.into() }
}

fn unconverged(line: &str) -> Failure {
    Failure::Hopeless { what: format!("the builder did not converge: {line}"), evidence: Vec::new() }
}

/// How what a bake leaves can be found.
fn tagged(plan: &Plan) -> String {
    format!("tagged {BAKE}={}", plan.image_name)
}
