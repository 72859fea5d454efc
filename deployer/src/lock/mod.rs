//! One winner without a server: a launch template whose name can exist once, or an object in S3 that is written only
//! where there is none. It says who holds the lock and until when.
//!
//! EC2 itself knows nothing of the lock, so a holder asks again before each destructive step whether it still has it.
//! Deleting goes by id: a holder that lost the lock cannot remove its successor's.

mod object;

use crate::cloud::{Answer, Cloud, CloudError, Kind, ObjectRef, Tags, Template, TemplateData};
use crate::naming;
use crate::spec::{LockPlace, Spec};
use chrono::{DateTime, SecondsFormat, Utc};
use std::fmt;
use std::time::Duration;

/// How long a lock holds without being renewed.
pub const LEASE: Duration = Duration::from_secs(600);
/// Clocks of two machines may differ by this much before a lease counts as run out.
const SKEW: Duration = Duration::from_secs(60);
const TRIES: u32 = 6;

/// One process that holds, or wants, the lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Random; tells two holders apart whatever else is equal.
    pub token: String,
    /// `user@host`.
    pub who: String,
    /// The kernel and process namespace it runs in. Only within the same place does a dead process prove anything.
    pub place: String,
    /// Process id and its start time in clock ticks, `123/456`.
    pub process: String,
    /// Address of the CI job, if any.
    pub job: Option<String>,
    /// Since when it holds the lock.
    pub since: DateTime<Utc>,
    /// Until when.
    pub until: DateTime<Utc>,
}

/// A lock that was won.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The launch template's id; of an object, the holder's token.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Where it is kept.
    pub place: Place,
    /// Who took it.
    pub holder: Holder,
}

/// Where a lock is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Place {
    /// A launch template.
    #[default]
    Template,
    /// An object in S3.
    Object(ObjectRef),
}

impl Place {
    /// Where the spec wants it.
    #[must_use]
    pub fn of(spec: &Spec) -> Self {
        match &spec.lock {
            LockPlace::Template => Self::Template,
            LockPlace::Bucket { bucket, prefix } => {
                let key = format!("{prefix}{}", naming::lock(&spec.service, &spec.environment));
                Self::Object(ObjectRef { bucket: bucket.clone(), key })
            }
        }
    }
}

/// Why the lock was not won.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LockError {
    /// Somebody else has it.
    #[error("{0}")]
    Taken(Box<Holder>),
    /// It was lost after it had been won.
    #[error("the lock {name} is no longer held by this process: {now}")]
    Lost {
        /// The lock.
        name: String,
        /// Who has it now.
        now: String,
    },
    /// The launch template is no lock.
    #[error("the launch template {0} is in the way: it has the lock's name, but not its tags")]
    Foreign(String),
    /// The cloud did not answer.
    #[error(transparent)]
    Cloud(#[from] CloudError),
}

const TOKEN: &str = "mayfly:lock-token";
const WHO: &str = "mayfly:lock-who";
const PLACE: &str = "mayfly:lock-place";
const PROCESS: &str = "mayfly:lock-process";
const JOB: &str = "mayfly:lock-job";
const SINCE: &str = "mayfly:lock-since";
const UNTIL: &str = "mayfly:lock-until";

impl Holder {
    fn tags(&self) -> Tags {
        let mut tags = Tags::from([
            (TOKEN.to_owned(), self.token.clone()),
            (WHO.to_owned(), clip(&self.who)),
            (PLACE.to_owned(), clip(&self.place)),
            (PROCESS.to_owned(), self.process.clone()),
            (SINCE.to_owned(), time(self.since)),
            (UNTIL.to_owned(), time(self.until)),
        ]);
        if let Some(job) = &self.job {
            tags.insert(JOB.to_owned(), clip(job));
        }
        tags
    }

    fn read(tags: &Tags) -> Option<Self> {
        let text = |key: &str| tags.get(key).cloned();
        let when = |key: &str| {
            tags.get(key).and_then(|text| DateTime::parse_from_rfc3339(text).ok()).map(|time| time.to_utc())
        };
        Some(Self {
            token: text(TOKEN)?,
            who: text(WHO)?,
            place: text(PLACE).unwrap_or_default(),
            process: text(PROCESS).unwrap_or_default(),
            job: text(JOB),
            since: when(SINCE)?,
            until: when(UNTIL)?,
        })
    }

    /// Whether this holder is provably gone: its lease ran out, or its process is dead in the place where we look.
    #[must_use]
    pub fn is_stale(&self, me: &Self, now: DateTime<Utc>, alive: &dyn Fn(&str) -> bool) -> bool {
        let lapsed = now.signed_duration_since(self.until).to_std().is_ok_and(|over| over > SKEW);
        let dead = !self.place.is_empty() && self.place == me.place && !alive(&self.process);
        lapsed || dead
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pid = self.process.split('/').next().unwrap_or_default();
        write!(f, "locked by {} (process {pid}) since {}", self.who, time(self.since))?;
        if let Some(job) = &self.job {
            write!(f, ", job {job}")?;
        }
        write!(f, "; its lease runs until {} and is renewed while it works", time(self.until))
    }
}

/// What acquiring needs besides the cloud.
pub struct Request<'a> {
    /// The service.
    pub service: &'a str,
    /// The environment.
    pub environment: &'a str,
    /// Where it is kept.
    pub place: Place,
    /// Who wants it.
    pub me: &'a Holder,
    /// What time it is.
    pub now: &'a (dyn Fn() -> DateTime<Utc> + Send + Sync),
    /// Whether a process (as [`Holder::process`]) of our own place lives.
    pub alive: &'a (dyn Fn(&str) -> bool + Send + Sync),
}

/// Takes the lock, or says who has it. A stale one is taken over.
///
/// # Errors
/// [`LockError::Taken`] with the holder; [`LockError::Cloud`] when the cloud does not answer.
pub async fn acquire(cloud: &dyn Cloud, request: &Request<'_>) -> Result<Held, LockError> {
    if let Place::Object(object) = &request.place {
        return object::acquire(cloud, object, request).await;
    }
    let name = naming::lock(request.service, request.environment);
    let mut pause = Duration::from_millis(200);
    for _ in 0..TRIES {
        match try_create(cloud, &name, request).await {
            Ok(held) => return Ok(held),
            Err(error) if matches!(error.kind, Kind::Duplicate | Kind::Ambiguous | Kind::Throttled) => {}
            Err(error) => return Err(error.into()),
        }
        if let Some(held) = examine(cloud, &name, request).await? {
            return Ok(held);
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
    let message = format!("the lock {name} comes and goes; try again");
    Err(CloudError::new("CreateLaunchTemplate", Kind::Ambiguous, message).into())
}

async fn try_create(cloud: &dyn Cloud, name: &str, request: &Request<'_>) -> Answer<Held> {
    let mut tags = naming::ownership(request.service, request.environment);
    tags.extend(request.me.tags());
    // A launch template has to say something; nothing is ever launched from this one.
    let data = TemplateData { instance_type: "t3.nano".to_owned(), ..TemplateData::default() };
    let template = cloud.create_template(name, &tags, "the lock of a running deployment", &data).await?;
    let place = Place::Template;
    Ok(Held { id: template.id, name: name.to_owned(), place, holder: request.me.clone() })
}

/// Looks at the lock that is in the way: ours after all (a lost answer), somebody's, or stale and then removed.
async fn examine(cloud: &dyn Cloud, name: &str, request: &Request<'_>) -> Result<Option<Held>, LockError> {
    let Some(template) = cloud.template(name).await? else { return Ok(None) };
    let Some(holder) = Holder::read(&template.tags) else { return Err(LockError::Foreign(name.to_owned())) };
    if holder.token == request.me.token {
        let place = Place::Template;
        return Ok(Some(Held { id: template.id, name: name.to_owned(), place, holder }));
    }
    if holder.is_stale(request.me, (request.now)(), request.alive) {
        delete(cloud, &template.id).await?;
        return Ok(None);
    }
    Err(LockError::Taken(Box::new(holder)))
}

/// Who holds a lock, with the launch template's id.
///
/// # Errors
/// [`LockError::Foreign`] when the name is taken by something else; [`LockError::Cloud`].
pub async fn holder(cloud: &dyn Cloud, service: &str, environment: &str) -> Result<Option<Held>, LockError> {
    let name = naming::lock(service, environment);
    let Some(Template { id, tags, .. }) = cloud.template(&name).await? else { return Ok(None) };
    match Holder::read(&tags) {
        Some(holder) => Ok(Some(Held { id, name, place: Place::Template, holder })),
        None => Err(LockError::Foreign(name)),
    }
}

/// Who holds the lock of a spec's service and environment, wherever the spec keeps it.
///
/// # Errors
/// [`LockError::Foreign`] when the name is taken by something else; [`LockError::Cloud`].
pub async fn holder_of(cloud: &dyn Cloud, spec: &Spec) -> Result<Option<Held>, LockError> {
    match Place::of(spec) {
        Place::Template => holder(cloud, &spec.service, &spec.environment).await,
        Place::Object(object) => object::holder(cloud, &object).await,
    }
}

/// Asks again whether the lock is still ours.
///
/// # Errors
/// [`LockError::Lost`] when it is not; [`LockError::Cloud`] when nobody can say.
pub async fn verify(cloud: &dyn Cloud, held: &Held) -> Result<(), LockError> {
    if let Place::Object(object) = &held.place {
        return object::verify(cloud, object, held).await;
    }
    let lost = |now: String| LockError::Lost { name: held.name.clone(), now };
    match cloud.template(&held.name).await? {
        Some(template) if template.id == held.id => Ok(()),
        Some(template) => {
            let who = Holder::read(&template.tags)
                .map_or_else(|| "taken by something else".to_owned(), |h| h.to_string());
            Err(lost(who))
        }
        None => Err(lost("it was removed".to_owned())),
    }
}

/// Pushes the end of the lease out.
///
/// # Errors
/// [`CloudError`] of the call.
pub async fn renew(cloud: &dyn Cloud, held: &Held, now: DateTime<Utc>) -> Answer<()> {
    if let Place::Object(object) = &held.place {
        return object::renew(cloud, object, held, now).await;
    }
    cloud.tag(&held.id, &Tags::from([(UNTIL.to_owned(), time(until(now)))])).await
}

/// Gives the lock back.
///
/// # Errors
/// [`CloudError`] of the call; that it was gone already is none.
pub async fn release(cloud: &dyn Cloud, held: &Held) -> Answer<()> {
    match &held.place {
        Place::Template => delete(cloud, &held.id).await,
        Place::Object(object) => object::release(cloud, object, held).await,
    }
}

/// When a lease that starts or is renewed now runs out.
#[must_use]
pub fn until(now: DateTime<Utc>) -> DateTime<Utc> {
    now + LEASE
}

async fn delete(cloud: &dyn Cloud, id: &str) -> Answer<()> {
    match cloud.delete_template(id).await {
        Err(error) if error.kind == Kind::NotFound => Ok(()),
        other => other,
    }
}

fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// A tag's value holds 256 characters.
fn clip(text: &str) -> String {
    text.chars().take(256).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::memory::Memory;
    use chrono::TimeDelta;

    fn start() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).expect("a time")
    }

    fn holder(token: &str, place: &str) -> Holder {
        Holder {
            token: token.into(),
            who: "ann@laptop".into(),
            place: place.into(),
            process: "7/70".into(),
            job: Some("https://ci.example/1".into()),
            since: start(),
            until: until(start()),
        }
    }

    async fn take(cloud: &Memory, me: &Holder, now: DateTime<Utc>, alive: bool) -> Result<Held, LockError> {
        take_at(cloud, Place::Template, me, now, alive).await
    }

    async fn take_at(
        cloud: &Memory,
        place: Place,
        me: &Holder,
        now: DateTime<Utc>,
        alive: bool,
    ) -> Result<Held, LockError> {
        let now = &move || now;
        let request = Request { service: "s", environment: "e", place, me, now, alive: &move |_| alive };
        acquire(cloud, &request).await
    }

    fn bucket() -> Place {
        Place::Object(ObjectRef { bucket: "locks".into(), key: "mayfly/mayfly-lock-s-e".into() })
    }

    #[tokio::test(start_paused = true)]
    async fn an_object_has_one_winner_and_says_who_it_is() {
        let cloud = Memory::new();
        let one = take_at(&cloud, bucket(), &holder("one", "here"), start(), true).await.expect("won");
        let refused = take_at(&cloud, bucket(), &holder("two", "here"), start(), true).await;
        assert!(matches!(refused, Err(LockError::Taken(who)) if who.token == "one"));
        verify(&cloud, &one).await.expect("still ours");
        release(&cloud, &one).await.expect("given back");
        take_at(&cloud, bucket(), &holder("two", "here"), start(), true).await.expect("won");
    }

    #[tokio::test(start_paused = true)]
    async fn a_stale_object_is_taken_over_and_neither_renewed_nor_released_by_its_former_holder() {
        let cloud = Memory::new();
        let first = take_at(&cloud, bucket(), &holder("one", "here"), start(), true).await.expect("won");
        let second = take_at(&cloud, bucket(), &holder("two", "here"), start(), false).await.expect("stale");
        assert!(matches!(verify(&cloud, &first).await, Err(LockError::Lost { .. })));
        renew(&cloud, &first, start()).await.expect("harmless");
        release(&cloud, &first).await.expect("harmless");
        verify(&cloud, &second).await.expect("still ours");
        renew(&cloud, &second, start() + TimeDelta::minutes(5)).await.expect("renewed");
        let later = start() + LEASE + TimeDelta::minutes(2);
        let refused = take_at(&cloud, bucket(), &holder("three", "there"), later, true).await;
        assert!(matches!(refused, Err(LockError::Taken(_))), "{refused:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_object_whose_answer_was_lost_is_still_won() {
        let cloud = Memory::new();
        cloud.fail_after("PutObject", 1, Kind::Ambiguous);
        take_at(&cloud, bucket(), &holder("one", "here"), start(), true).await.expect("won");
    }

    #[tokio::test(start_paused = true)]
    async fn the_second_is_told_who_the_first_is() {
        let cloud = Memory::new();
        take(&cloud, &holder("one", "here"), start(), true).await.expect("won");
        let refused = take(&cloud, &holder("two", "here"), start(), true).await.expect_err("lost");
        assert_eq!(
            refused.to_string(),
            "locked by ann@laptop (process 7) since 2027-01-15T08:00:00Z, job https://ci.example/1; \
             its lease runs until 2027-01-15T08:10:00Z and is renewed while it works"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_dead_process_proves_nothing_about_another_place() {
        let cloud = Memory::new();
        let first = take(&cloud, &holder("one", "here"), start(), true).await.expect("won");
        assert!(matches!(
            take(&cloud, &holder("two", "there"), start(), false).await,
            Err(LockError::Taken(_))
        ));
        let second = take(&cloud, &holder("two", "here"), start(), false).await.expect("taken over");
        assert!(matches!(verify(&cloud, &first).await, Err(LockError::Lost { .. })));
        release(&cloud, &first).await.expect("harmless");
        verify(&cloud, &second).await.expect("still ours");
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_that_ran_out_is_taken_over_and_a_renewed_one_is_not() {
        let cloud = Memory::new();
        let first = take(&cloud, &holder("one", "here"), start(), true).await.expect("won");
        let later = start() + LEASE + TimeDelta::minutes(2);
        renew(&cloud, &first, start() + TimeDelta::minutes(5)).await.expect("renewed");
        assert!(matches!(take(&cloud, &holder("two", "there"), later, true).await, Err(LockError::Taken(_))));
        let later = later + TimeDelta::minutes(5);
        take(&cloud, &holder("two", "there"), later, true).await.expect("taken over");
    }

    #[tokio::test(start_paused = true)]
    async fn a_lock_whose_answer_was_lost_is_still_won() {
        let cloud = Memory::new();
        cloud.fail_after("CreateLaunchTemplate", 1, Kind::Ambiguous);
        take(&cloud, &holder("one", "here"), start(), true).await.expect("won");
    }
}
