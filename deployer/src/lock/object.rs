//! The lock as an object in S3: written only where there is none, taken over only from the very content that was read.

use super::{Held, Holder, LockError, Place, Request, TRIES, until};
use crate::cloud::{Answer, Cloud, CloudError, Condition, Kind, ObjectRef, Tags};
use chrono::{DateTime, Utc};
use std::time::Duration;

pub(super) async fn acquire(
    cloud: &dyn Cloud,
    object: &ObjectRef,
    request: &Request<'_>,
) -> Result<Held, LockError> {
    let mut pause = Duration::from_millis(200);
    let mut condition = Condition::Absent;
    for _ in 0..TRIES {
        match cloud.write_object(object, &write(request.me), &condition).await {
            Ok(_) => return Ok(won(object, request.me.clone())),
            Err(error) if matches!(error.kind, Kind::Duplicate | Kind::Ambiguous | Kind::Throttled) => {}
            Err(error) => return Err(error.into()),
        }
        condition = match cloud.read_object(object).await? {
            None => Condition::Absent,
            Some(found) => {
                let holder = read(&found.body).ok_or_else(|| LockError::Foreign(name(object)))?;
                if holder.token == request.me.token {
                    return Ok(won(object, holder));
                }
                if !holder.is_stale(request.me, (request.now)(), request.alive) {
                    return Err(LockError::Taken(Box::new(holder)));
                }
                Condition::Is(found.etag)
            }
        };
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
    let message = format!("the lock {} comes and goes; try again", name(object));
    Err(CloudError::new("PutObject", Kind::Ambiguous, message).into())
}

pub(super) async fn holder(cloud: &dyn Cloud, object: &ObjectRef) -> Result<Option<Held>, LockError> {
    let Some(found) = cloud.read_object(object).await? else { return Ok(None) };
    match read(&found.body) {
        Some(holder) => Ok(Some(won(object, holder))),
        None => Err(LockError::Foreign(name(object))),
    }
}

pub(super) async fn verify(cloud: &dyn Cloud, object: &ObjectRef, held: &Held) -> Result<(), LockError> {
    let lost = |now: String| LockError::Lost { name: held.name.clone(), now };
    match holder(cloud, object).await {
        Ok(Some(found)) if found.holder.token == held.holder.token => Ok(()),
        Ok(Some(found)) => Err(lost(found.holder.to_string())),
        Ok(None) => Err(lost("it was removed".to_owned())),
        Err(LockError::Foreign(_)) => Err(lost("taken by something else".to_owned())),
        Err(error) => Err(error),
    }
}

/// Written over the very content that was read, so that a lock that was taken over meanwhile stays its taker's.
pub(super) async fn renew(
    cloud: &dyn Cloud,
    object: &ObjectRef,
    held: &Held,
    now: DateTime<Utc>,
) -> Answer<()> {
    let Some(found) = cloud.read_object(object).await? else { return Ok(()) };
    match read(&found.body) {
        Some(holder) if holder.token == held.holder.token => {
            let renewed = Holder { until: until(now), ..holder };
            cloud.write_object(object, &write(&renewed), &Condition::Is(found.etag)).await.map(|_| ())
        }
        _ => Ok(()),
    }
}

pub(super) async fn release(cloud: &dyn Cloud, object: &ObjectRef, held: &Held) -> Answer<()> {
    let Some(found) = cloud.read_object(object).await? else { return Ok(()) };
    match read(&found.body) {
        Some(holder) if holder.token == held.holder.token => cloud.delete_object(object, &found.etag).await,
        _ => Ok(()),
    }
}

fn won(object: &ObjectRef, holder: Holder) -> Held {
    Held { id: holder.token.clone(), name: name(object), place: Place::Object(object.clone()), holder }
}

fn name(object: &ObjectRef) -> String {
    format!("s3://{}/{}", object.bucket, object.key)
}

fn write(holder: &Holder) -> String {
    serde_json::json!(holder.tags()).to_string()
}

fn read(body: &str) -> Option<Holder> {
    let tags: Tags = serde_json::from_str(body).ok()?;
    Holder::read(&tags)
}
