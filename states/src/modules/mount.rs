//! `mount.mounted` and `mount.unmounted`: what is mounted now, and by fstab at every boot.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::engine::step::{Applied, Call, Diff, Failure, StateFn};
use crate::fsys::{self, Kind};
use crate::modules::args::{Args, scalar};
use crate::modules::cmd::tool;
use crate::modules::fstab::{self, Active, By, Entry, escape};
use crate::modules::textfile::{TextFile, one_line, place, roots};
use crate::value::{Map, Value};

pub(crate) const MOUNTED: &[&str] = &[
    "device",
    "fstype",
    "mkmnt",
    "opts",
    "dump",
    "pass_num",
    "config",
    "persist",
    "mount",
    "user",
    "match_on",
    "extra_mount_invisible_options",
    "extra_mount_invisible_keys",
    "hidden_opts",
];
pub(crate) const IGNORED: &[&str] = &[
    "device_name_regex",
    "extra_mount_ignore_fs_keys",
    "extra_mount_translate_options",
    "bind_mount_copy_active_opts",
];
pub(crate) const UNMOUNTED: &[&str] = &["device", "config", "persist"];

/// A server that does not answer must still end.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(120);
/// mountinfo of a machine with very many mounts.
pub(crate) const INFO_LIMIT: usize = 16 << 20;

/// Options that the kernel does not show.
const INVISIBLE: &[&str] = &[
    "_netdev",
    "actimeo",
    "auto",
    "backup-volfile-servers",
    "bg",
    "bind",
    "comment",
    "defaults",
    "delay_connect",
    "direct-io-mode",
    "intr",
    "loop",
    "noauto",
    "nobootwait",
    "nofail",
    "nointr",
    "nonempty",
    "port",
    "reconnect",
    "retry",
    "soft",
    "transform_symlinks",
    "user",
    "users",
];
/// The same, with a value; and those that only systemd reads.
const INVISIBLE_KEYS: &[&str] = &[
    "actimeo",
    "comment",
    "credentials",
    "direct-io-mode",
    "port",
    "retry",
    "secretfile",
    "size",
    "uid",
    "gid",
    "x-systemd",
    "offset",
    "tcp",
    "udp",
];

/// The declaration.
pub(crate) struct Want {
    name: String,
    path: PathBuf,
    device: String,
    fstype: String,
    opts: Vec<String>,
    hidden: Vec<String>,
    entry: Entry,
    by: By,
    config: String,
    mkmnt: bool,
    mount: bool,
    persist: bool,
}

/// What is mounted there, and fstab.
pub(crate) struct Observed {
    active: Option<Active>,
    /// The device that is wanted is the one that is mounted.
    same_device: bool,
    there: bool,
    fstab: TextFile,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Mount,
    Remount,
    /// First unmount what is there.
    Exchange,
}

/// What is to be done.
pub(crate) struct Plan {
    make: bool,
    act: Option<Act>,
    fstab: Option<(TextFile, String)>,
}

fn words(key: &str, args: &Args<'_>) -> Result<Vec<String>, Failure> {
    let list = args.list(key)?.unwrap_or_default();
    Ok(list
        .iter()
        .flat_map(|o| o.split(','))
        .map(|o| o.trim().to_owned())
        .filter(|o| !o.is_empty())
        .collect())
}

/// Everybody on the machine can read arguments, fstab and mountinfo.
fn no_password(opts: &[String]) -> Result<(), Failure> {
    let key = |opt: &String| opt.split_once('=').map(|(key, _)| key.trim().to_lowercase());
    let known = ["pass", "password", "password2", "passwd"];
    match opts.iter().filter_map(key).find(|key| known.contains(&key.as_str())) {
        Some(key) => Err(Failure::declaration(format!(
            "`{key}` in `opts` could be read by everybody on the machine; put it into a file of root's and name \
             that with `credentials=FILE`"
        ))),
        None => Ok(()),
    }
}

fn needed(key: &str, args: &Args<'_>) -> Result<String, Failure> {
    let text = args.text(key)?.filter(|t| !t.is_empty());
    let text = one_line(key, text.ok_or_else(|| Failure::declaration(format!("`{key}` is needed")))?)?;
    match text.starts_with('-') {
        true => Err(Failure::declaration(format!("`{key}` cannot be {text:?}"))),
        false => Ok(text),
    }
}

fn matching(args: &Args<'_>, fstype: &str) -> Result<By, Failure> {
    match args.list("match_on")?.unwrap_or_default().iter().map(String::as_str).collect::<Vec<_>>().as_slice()
    {
        [] | ["auto"] => Ok(By::auto(fstype)),
        ["name"] => Ok(By::Name),
        ["device"] => Ok(By::Device),
        ["name", "device"] | ["device", "name"] => Ok(By::Both),
        _ => Err(Failure::declaration("`match_on` can be auto, name and device")),
    }
}

fn mount_point(call: &Call<'_>) -> Result<(String, PathBuf), Failure> {
    let name = match call.chunk.name.trim_end_matches('/') {
        "" => "/".to_owned(),
        name => name.to_owned(),
    };
    let path = place(&name, call)?.path;
    Ok((name, path))
}

pub(crate) fn config(args: &Args<'_>) -> Result<String, Failure> {
    Ok(args.text("config")?.unwrap_or_else(|| "/etc/fstab".to_owned()))
}

fn number(key: &str, args: &Args<'_>) -> String {
    args.get(key).and_then(scalar).unwrap_or_else(|| "0".to_owned())
}

/// mountinfo of the machine; below another root there is none.
fn mountinfo(call: &Call<'_>) -> Result<String, Failure> {
    if call.context.host.root() != Path::new("/") {
        return Ok(String::new());
    }
    Ok(fsys::read_text(Path::new("/proc/thread-self/mountinfo"), INFO_LIMIT)?)
}

pub(crate) fn only_here(call: &Call<'_>) -> Result<(), Failure> {
    match call.context.host.root() == Path::new("/") {
        true => Ok(()),
        false => {
            Err(Failure::machine("nothing is mounted below another root; `mount: False` leaves it to fstab"))
        }
    }
}

/// `mount.mounted`.
pub(crate) struct Mounted;

impl StateFn for Mounted {
    type Want = Want;
    type Observed = Observed;
    type Plan = Plan;

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
        let (name, path) = mount_point(call)?;
        let (device, fstype) = (needed("device", args)?, needed("fstype", args)?);
        let mut opts = words("opts", args)?;
        no_password(&opts)?;
        if opts.is_empty() {
            opts.push("defaults".to_owned());
        }
        let hidden = ["extra_mount_invisible_options", "extra_mount_invisible_keys", "hidden_opts"];
        let hidden = hidden.iter().map(|k| words(k, args)).collect::<Result<Vec<_>, _>>()?.concat();
        let entry = Entry {
            device: device.replace(' ', "\\040"),
            name: escape(&name),
            fstype: fstype.clone(),
            opts: one_line("opts", opts.join(","))?.replace(' ', "\\040"),
            dump: number("dump", args),
            pass: number("pass_num", args),
        };
        Ok(Want {
            by: matching(args, &fstype)?,
            config: config(args)?,
            mkmnt: args.flag("mkmnt", false)?,
            mount: args.flag("mount", true)?,
            persist: args.flag("persist", true)?,
            name,
            path,
            device,
            fstype,
            opts,
            hidden,
            entry,
        })
    }

    fn observe(want: &Want, call: &Call<'_>) -> Result<Observed, Failure> {
        if want.mount {
            only_here(call)?;
        }
        let there = fsys::stat(&want.path)?.kind != Kind::Missing;
        let real = if there { fsys::canonical(&want.path)?.display().to_string() } else { want.name.clone() };
        let active = fstab::active(&mountinfo(call)?, &real);
        let same_device = active.as_ref().is_some_and(|a| same_device(want, a));
        let fstab = TextFile::read(&want.config, roots(0o644), call)?;
        Ok(Observed { active, same_device, there, fstab })
    }

    fn diff(want: &Want, now: &Observed) -> Diff<Plan> {
        let mut changes = Map::new();
        let (act, why) = act(want, now);
        if act == Some(Act::Mount) && !now.there && !want.mkmnt {
            return Diff::Refuse(format!("Mount directory {} is not present", want.name));
        }
        if let Some(why) = why {
            changes.insert("umount".to_owned(), Value::Str(why));
        }
        if matches!(act, Some(Act::Mount | Act::Exchange)) {
            changes.insert("mount".to_owned(), Value::Bool(true));
        }
        let mut fstab = None;
        if let Some((text, found)) =
            fstab::with(&now.fstab.text, &want.entry, want.by).filter(|_| want.persist)
        {
            let word = if found { "update" } else { "new" };
            changes.insert("persist".to_owned(), Value::Str(word.to_owned()));
            fstab = Some((now.fstab.clone(), text));
        }
        let make = !now.there && want.mkmnt && (act.is_some() || !want.mount);
        if make && !want.mount {
            changes.insert("mkmnt".to_owned(), Value::Bool(true));
        }
        if changes.is_empty() {
            return Diff::Same(match now.active {
                Some(_) => "Target was already mounted. Entry already exists in the fstab.".to_owned(),
                None => format!("{} is as asked", want.name),
            });
        }
        let would = format!("{} would be mounted on {} as asked", want.device, want.name);
        Diff::Change { plan: Plan { make, act, fstab }, changes, would }
    }

    fn apply(want: &Want, plan: Plan, call: &Call<'_>) -> Result<Applied, Failure> {
        if plan.make {
            fsys::make_dirs(&want.path, roots(0o755))?;
        }
        match plan.act {
            Some(Act::Mount) => mount(want, None, call)?,
            Some(Act::Remount) => mount(want, Some("remount"), call)?,
            Some(Act::Exchange) => {
                umount(&want.name, call)?;
                mount(want, None, call)?;
            }
            None => {}
        }
        if let Some((file, text)) = plan.fstab {
            file.write(&text)?;
        }
        Ok(Applied::done(match plan.act {
            Some(_) => "Target was successfully mounted",
            None => "The fstab was changed",
        }))
    }
}

/// A device by any of its names; what is no path is compared as it is. A bind mount shows the device below, which
/// says nothing.
fn same_device(want: &Want, active: &Active) -> bool {
    if want.opts.iter().any(|o| o == "bind" || o == "rbind") {
        return true;
    }
    let by = |dir: &str, id: &str| PathBuf::from(format!("/dev/disk/{dir}/{}", id.trim_matches('"')));
    let path = match want.device.split_once('=') {
        Some(("UUID" | "uuid", id)) => by("by-uuid", &id.to_lowercase()),
        Some(("LABEL" | "label", id)) => by("by-label", id),
        Some(("PARTUUID", id)) => by("by-partuuid", id),
        _ => PathBuf::from(&want.device),
    };
    let real = |p: &Path| fsys::canonical(p).unwrap_or_else(|_| p.to_owned());
    let bare = want.device.split_once('#').map_or(want.device.as_str(), |(_, d)| d);
    let loops = active.source.starts_with("/dev/loop") && want.opts.iter().any(|o| o == "loop");
    loops || active.source == bare || real(&path) == real(Path::new(&active.source))
}

fn act(want: &Want, now: &Observed) -> (Option<Act>, Option<String>) {
    let Some(active) = &now.active else { return (want.mount.then_some(Act::Mount), None) };
    if !want.mount {
        return (None, None);
    }
    if !now.same_device {
        let why = format!(
            "Forced unmount because devices don't match. Wanted: {}, current: {}",
            want.device, active.source
        );
        return (Some(Act::Exchange), Some(why));
    }
    let lacking = lacking(want, active);
    if lacking.is_empty() {
        return (None, None);
    }
    let exchange = matches!(want.fstype.as_str(), "nfs" | "cvfs") || want.fstype.starts_with("fuse");
    let (act, word) =
        if exchange { (Act::Exchange, "Forced unmount and mount") } else { (Act::Remount, "Forced remount") };
    (Some(act), Some(format!("{word} because options ({}) changed", lacking.join(","))))
}

/// Options that are wanted and that the kernel should show and does not.
fn lacking(want: &Want, active: &Active) -> Vec<String> {
    let seen = |opt: &&String| {
        let key = opt.split(['=', '.']).next().unwrap_or_default();
        active.opts.contains(opt)
            || INVISIBLE.contains(&opt.as_str())
            || INVISIBLE_KEYS.contains(&key)
            || want.hidden.iter().any(|h| h == *opt || h == key)
            || is_default(opt)
    };
    let mut all: Vec<String> = want.opts.iter().filter(|o| !seen(o)).cloned().collect();
    all.sort();
    all
}

/// What the kernel does not show because nothing else was asked.
fn is_default(opt: &str) -> bool {
    matches!(opt, "exec" | "suid" | "dev" | "async" | "nouser" | "diratime" | "nostrictatime" | "norelatime")
}

fn mount(want: &Want, first: Option<&str>, call: &Call<'_>) -> Result<(), Failure> {
    only_here(call)?;
    let opts: Vec<&str> = first.into_iter().chain(want.opts.iter().map(String::as_str)).collect();
    let argv = ["mount", "-t", &want.fstype, "-o", &opts.join(","), "--", &want.device, &want.name];
    tool(call, &argv.map(str::to_owned), TIMEOUT).map(drop)
}

fn umount(name: &str, call: &Call<'_>) -> Result<(), Failure> {
    only_here(call)?;
    tool(call, &["umount", "--", name].map(str::to_owned), TIMEOUT).map(drop)
}

/// mod_watch of `mount.mounted`: mount again with its options.
pub(crate) struct Remount;

impl StateFn for Remount {
    type Want = Want;
    type Observed = ();
    type Plan = ();

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
        Mounted::want(args, call)
    }

    fn observe(_: &Want, _: &Call<'_>) -> Result<(), Failure> {
        Ok(())
    }

    fn diff(want: &Want, (): &()) -> Diff<()> {
        Diff::Change { plan: (), changes: Map::new(), would: format!("{} would be remounted", want.name) }
    }

    fn apply(want: &Want, (): (), call: &Call<'_>) -> Result<Applied, Failure> {
        mount(want, Some("remount"), call)?;
        Ok(Applied::done(format!("{} remounted", want.name)))
    }
}

/// What is not to be mounted.
pub(crate) struct Unwanted {
    name: String,
    device: Option<String>,
    config: String,
    persist: bool,
}

/// `mount.unmounted`.
pub(crate) struct Unmounted;

impl StateFn for Unmounted {
    type Want = Unwanted;
    type Observed = (bool, TextFile);
    type Plan = (bool, Option<(TextFile, String)>);

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Unwanted, Failure> {
        let (name, _) = mount_point(call)?;
        let (device, config) = (args.text("device")?, config(args)?);
        Ok(Unwanted { name, device, config, persist: args.flag("persist", false)? })
    }

    fn observe(want: &Unwanted, call: &Call<'_>) -> Result<Self::Observed, Failure> {
        let active = fstab::active(&mountinfo(call)?, &want.name).is_some();
        Ok((active, TextFile::read(&want.config, roots(0o644), call)?))
    }

    fn diff(want: &Unwanted, (active, file): &Self::Observed) -> Diff<Self::Plan> {
        let less = fstab::without(&file.text, &want.name, want.device.as_deref()).filter(|_| want.persist);
        let mut changes = Map::new();
        if *active {
            changes.insert("umount".to_owned(), Value::Bool(true));
        }
        if less.is_some() {
            changes.insert("persist".to_owned(), Value::Str("purged".to_owned()));
        }
        if changes.is_empty() {
            return Diff::Same("Target was already unmounted".to_owned());
        }
        let plan = (*active, less.map(|text| (file.clone(), text)));
        Diff::Change { plan, changes, would: format!("{} would be unmounted", want.name) }
    }

    fn apply(want: &Unwanted, (active, fstab): Self::Plan, call: &Call<'_>) -> Result<Applied, Failure> {
        if active {
            umount(&want.name, call)?;
        }
        if let Some((file, text)) = fstab {
            file.write(&text)?;
        }
        Ok(Applied::done("Target was successfully unmounted"))
    }
}
