//! `cron.present`, `cron.absent` and `cron.file`: the crontabs of users.
//!
//! A crontab is written where the daemon looks for it, whole or not at all; the daemon sees that its directory changed.

use rand::RngExt as _;

use crate::engine::step::{Call, Failure};
use crate::fsys::{self, Kind, Owner};
use crate::modules::accounts;
use crate::modules::args::{Args, joined};
use crate::modules::crontab::{Crontab, Job, When};
use crate::modules::file::difference;
use crate::modules::file::source::{Check, Source};
use crate::modules::textfile::{Edited, Editor, TextFile, one_line, roots};
use crate::value::{Map, Value};

pub(crate) const PRESENT: &[&str] = &[
    "user",
    "minute",
    "hour",
    "daymonth",
    "month",
    "dayweek",
    "comment",
    "commented",
    "identifier",
    "special",
];
pub(crate) const ABSENT: &[&str] = &["user", "identifier", "special"];
pub(crate) const ABSENT_IGNORED: &[&str] =
    &["minute", "hour", "daymonth", "month", "dayweek", "comment", "commented"];
pub(crate) const FILE: &[&str] = &["user", "source_hash", "template", "context", "defaults", "replace"];
pub(crate) const FILE_IGNORED: &[&str] = &["backup", "source_hash_name"];

/// Where crontabs are: with Debian's cron, and with the others'.
const SPOOLS: [&str; 2] = ["/var/spool/cron/crontabs", "/var/spool/cron"];

pub(crate) fn user(args: &Args<'_>) -> Result<String, Failure> {
    let user = args.text("user")?.unwrap_or_else(|| "root".to_owned());
    crate::modules::group::account_name(&user, "user")
}

/// The user's crontab; its directory is made when there is none.
pub(crate) fn tab(user: &str, call: &Call<'_>) -> Result<TextFile, Failure> {
    let root = call.context.host.root();
    let failed = |e: std::io::Error| Failure::machine(format!("cannot look up accounts: {e}"));
    let account = accounts::account(root, user).map_err(failed)?;
    let account =
        account.ok_or_else(|| Failure::machine(format!("there is no user `{user}` on this machine")))?;
    let group = accounts::gid(root, "crontab").map_err(failed)?;
    let mut spool = SPOOLS[0];
    for dir in SPOOLS {
        if fsys::stat(&call.context.host.path(dir))?.kind == Kind::Directory {
            spool = dir;
            break;
        }
    }
    let fresh = match nix::unistd::geteuid().is_root() {
        true => Owner { mode: 0o600, uid: account.uid, gid: group.unwrap_or(account.gid) },
        false => roots(0o600),
    };
    let parents = Owner { gid: group.unwrap_or(0), ..roots(if group.is_some() { 0o1730 } else { 0o700 }) };
    let parents = if nix::unistd::geteuid().is_root() { parents } else { roots(0o700) };
    Ok(TextFile::read(&format!("{spool}/{user}"), fresh, call)?.with_parents(parents))
}

/// A field of a job: as it is, or any number of a range.
#[derive(Debug, Clone, PartialEq)]
enum Field {
    Is(String),
    Within { low: u32, high: u32, pick: u32 },
}

impl Field {
    fn read(key: &str, args: &Args<'_>, low: u32, high: u32) -> Result<Self, Failure> {
        let text = args.text(key)?.unwrap_or_else(|| "*".to_owned()).trim().to_lowercase();
        if text == "random" {
            return Ok(Self::within(low, high));
        }
        if let Some((a, b)) = text.split_once(':')
            && let (Ok(a), Ok(b)) = (a.parse::<u32>(), b.parse::<u32>())
        {
            return Ok(Self::within(a.min(b), a.max(b)));
        }
        let fits = |c: char| c.is_ascii_alphanumeric() || "*,-/~".contains(c);
        match !text.is_empty() && text.chars().all(fits) {
            true => Ok(Self::Is(text)),
            false => Err(Failure::declaration(format!("`{key}` cannot be {text:?}"))),
        }
    }

    fn within(low: u32, high: u32) -> Self {
        Field::Within { low, high, pick: rand::rng().random_range(low..=high) }
    }

    fn met(&self, now: &str) -> bool {
        match self {
            Field::Is(text) => text == now,
            Field::Within { low, high, .. } => now.parse().is_ok_and(|n: u32| (*low..=*high).contains(&n)),
        }
    }

    fn text(&self) -> String {
        match self {
            Field::Is(text) => text.clone(),
            Field::Within { pick, .. } => pick.to_string(),
        }
    }
}

/// When the job is to run.
#[derive(Debug, Clone, PartialEq)]
enum Time {
    Fields([Field; 5]),
    Special(String),
}

impl Time {
    fn read(args: &Args<'_>) -> Result<Self, Failure> {
        if let Some(special) = args.text("special")? {
            let fits =
                special.strip_prefix('@').is_some_and(|s| s.chars().all(|c| c.is_ascii_alphanumeric()));
            return match fits {
                true => Ok(Time::Special(special)),
                false => Err(Failure::declaration(format!(
                    "`special` must be such as '@daily', but is {special:?}"
                ))),
            };
        }
        Ok(Time::Fields([
            Field::read("minute", args, 0, 59)?,
            Field::read("hour", args, 0, 23)?,
            // Every month has this many days.
            Field::read("daymonth", args, 1, 28)?,
            Field::read("month", args, 1, 12)?,
            Field::read("dayweek", args, 0, 6)?,
        ]))
    }

    fn met(&self, now: &When) -> bool {
        match (self, now) {
            (Time::Fields(wanted), When::Fields(now)) => wanted.iter().zip(now).all(|(w, n)| w.met(n)),
            (Time::Special(wanted), When::Special(now)) => wanted == now,
            _ => false,
        }
    }

    /// Fields that fit already stay as they are.
    fn set(&self, now: Option<&When>) -> When {
        let Time::Fields(wanted) = self else {
            return When::Special(match self {
                Time::Special(special) => special.clone(),
                Time::Fields(_) => String::new(),
            });
        };
        let mut fields = wanted.each_ref().map(Field::text);
        if let Some(When::Fields(now)) = now {
            for ((field, wanted), now) in fields.iter_mut().zip(wanted).zip(now) {
                if wanted.met(now) {
                    field.clone_from(now);
                }
            }
        }
        When::Fields(fields)
    }
}

/// A job that is asked for.
pub(crate) struct Want {
    user: String,
    cmd: String,
    time: Option<Time>,
    comment: Option<String>,
    commented: bool,
    identifier: Option<String>,
}

/// The identifier is the command unless given.
fn identifier(args: &Args<'_>, cmd: &str) -> Result<Option<String>, Failure> {
    let own = match args.get("identifier") {
        None | Some(Value::Bool(false)) => Some(cmd.to_owned()),
        Some(_) => args.text("identifier")?,
    };
    own.map(|id| one_line("identifier", id)).transpose()
}

fn command(call: &Call<'_>) -> Result<String, Failure> {
    let cmd = one_line("name", call.chunk.name.trim().to_owned())?;
    match cmd.is_empty() {
        true => Err(Failure::declaration("`name` must be the command of the job")),
        false => Ok(cmd),
    }
}

pub(crate) fn told(user: &str, what: &str) -> Map {
    Map::from([(user.to_owned(), Value::Str(what.to_owned()))])
}

/// `cron.present`.
pub(crate) struct Present;

impl Editor for Present {
    type Want = Want;

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
        let cmd = command(call)?;
        Ok(Want {
            user: user(args)?,
            time: Some(Time::read(args)?),
            comment: args.text("comment")?.map(|c| c.trim_end().to_owned()),
            commented: args.flag("commented", false)?,
            identifier: identifier(args, &cmd)?,
            cmd,
        })
    }

    fn file(want: &Want, call: &Call<'_>) -> Result<TextFile, Failure> {
        tab(&want.user, call)
    }

    fn edit(want: &Want, text: &str) -> Edited {
        let mut tab = Crontab::parse(text);
        let own = |job: &Job| job.is(&want.cmd, want.identifier.as_deref());
        let now = tab.jobs.iter().chain(&tab.special).find(|j| own(j)).cloned();
        if now.as_ref().is_some_and(|job| met(want, job)) {
            return Edited::Same(format!("Cron {} already present", want.cmd));
        }
        tab.jobs.retain(|j| Some(j) != now.as_ref());
        tab.special.retain(|j| Some(j) != now.as_ref());
        let job = wanted(want, now.as_ref());
        match job.when {
            When::Fields(_) => tab.jobs.push(job),
            When::Special(_) => tab.special.push(job),
        }
        let done = match now {
            None => format!("Cron {} added to {}'s crontab", want.cmd, want.user),
            Some(_) => format!("Cron {} updated", want.cmd),
        };
        Edited::To {
            text: tab.render(),
            changes: told(&want.user, &want.cmd),
            would: format!("Cron {} would be set in {}'s crontab", want.cmd, want.user),
            done,
        }
    }
}

fn met(want: &Want, job: &Job) -> bool {
    let same_id = want.identifier.is_none() || want.identifier == job.identifier;
    let same_comment = want.comment.is_none() || want.comment == job.comment;
    let same_time = want.time.as_ref().is_none_or(|t| t.met(&job.when));
    same_id && same_comment && same_time && want.commented == job.commented && want.cmd == job.cmd
}

fn wanted(want: &Want, now: Option<&Job>) -> Job {
    let when = want.time.as_ref().map(|t| t.set(now.map(|j| &j.when)));
    Job {
        when: when.unwrap_or(When::Special(String::new())),
        cmd: want.cmd.clone(),
        identifier: want.identifier.clone().or_else(|| now?.identifier.clone()),
        comment: want.comment.clone().or_else(|| now?.comment.clone()),
        commented: want.commented,
    }
}

/// `cron.absent`.
pub(crate) struct Absent;

impl Editor for Absent {
    type Want = Want;

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
        let cmd = command(call)?;
        let special = args.text("special")?.map(Time::Special);
        let identifier = identifier(args, &cmd)?;
        Ok(Want { user: user(args)?, cmd, time: special, comment: None, commented: false, identifier })
    }

    fn file(want: &Want, call: &Call<'_>) -> Result<TextFile, Failure> {
        tab(&want.user, call)
    }

    fn edit(want: &Want, text: &str) -> Edited {
        let mut tab = Crontab::parse(text);
        let own = |job: &Job| job.is(&want.cmd, want.identifier.as_deref());
        let list = if want.time.is_some() { &mut tab.special } else { &mut tab.jobs };
        let same = |job: &Job| want.time.as_ref().is_none_or(|t| t.met(&job.when));
        let Some(at) = list.iter().position(|j| own(j) && same(j)) else {
            return Edited::Same(format!("Cron {} already absent", want.cmd));
        };
        list.remove(at);
        Edited::To {
            text: tab.render(),
            changes: told(&want.user, &want.cmd),
            would: format!("Cron {} would be removed from {}'s crontab", want.cmd, want.user),
            done: format!("Cron {} removed from {}'s crontab", want.cmd, want.user),
        }
    }
}

/// A whole crontab that is asked for.
pub(crate) struct Whole {
    user: String,
    text: String,
    replace: bool,
}

/// `cron.file`.
pub(crate) struct File;

impl Editor for File {
    type Want = Whole;

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Whole, Failure> {
        let context = match args.text("template")?.as_deref() {
            None => None,
            Some("jinja") => Some(context(args)?),
            Some(other) => {
                return Err(Failure::declaration(format!("there is no template engine {other:?}")));
            }
        };
        let check = Check::read(args)?;
        let ready = Source::file(call.chunk.name.clone()).ready(context.as_ref(), &check, call)?;
        let bytes = ready.and_then(|r| r.content.into_bytes());
        let text = bytes.and_then(|b| String::from_utf8(b).ok());
        let text = text.ok_or_else(|| {
            Failure::declaration(format!("{} is no text", crate::redact::url(&call.chunk.name)))
        })?;
        Ok(Whole { user: user(args)?, text, replace: args.flag("replace", true)? })
    }

    fn file(want: &Whole, call: &Call<'_>) -> Result<TextFile, Failure> {
        tab(&want.user, call)
    }

    fn edit(want: &Whole, text: &str) -> Edited {
        if text == want.text {
            return Edited::Same(format!("Crontab for user {} is in the correct state", want.user));
        }
        if !want.replace && !text.is_empty() {
            return Edited::Same(format!("User {} already has a crontab. No changes made", want.user));
        }
        let diff = difference::describe(&content(text), &content(&want.text));
        Edited::To {
            text: want.text.clone(),
            changes: Map::from([("diff".to_owned(), Value::Str(diff))]),
            would: format!("Crontab for user {} would be updated", want.user),
            done: format!("Crontab for user {} was updated", want.user),
        }
    }
}

fn content(text: &str) -> fsys::Content {
    fsys::Content::of(text.as_bytes().to_vec())
}

/// `defaults` with `context` over them.
fn context(args: &Args<'_>) -> Result<Map, Failure> {
    let mut all = Map::new();
    for key in ["defaults", "context"] {
        let bad = || Failure::declaration(format!("`{key}` must be a mapping"));
        if let Some(value) = args.get(key) {
            all.extend(joined(value).ok_or_else(bad)?);
        }
    }
    Ok(all)
}
