//! `user.present`, with useradd and usermod.

use crate::engine::step::{Applied, Call, Diff, Failure, StateFn};
use crate::fsys;
use crate::host::Command;
use crate::modules::accounts::Accounts;
use crate::modules::args::Args;
use crate::modules::cmd::{TOOL_TIMEOUT, last_words, tool};
use crate::modules::file;
use crate::modules::gecos::Gecos;
use crate::modules::group::{account_name, account_tool, read, texts};
use crate::modules::shadow::{Ageing, Shadow};
use crate::modules::user_known::Known;
use crate::value::{Map, Value};

pub(crate) const ARGS: &[&str] = &[
    "uid",
    "gid",
    "usergroup",
    "groups",
    "optional_groups",
    "remove_groups",
    "home",
    "createhome",
    "shell",
    "system",
    "fullname",
    "roomnumber",
    "workphone",
    "homephone",
    "other",
    "unique",
    "nologinit",
    "password",
    "enforce_password",
    "empty_password",
    "password_lock",
    "date",
    "mindays",
    "maxdays",
    "warndays",
    "inactdays",
    "expire",
];
pub(crate) const IGNORED: &[&str] = &["persist_home", "allow_uid_change", "allow_gid_change", "local"];

/// The declaration.
pub(crate) struct Want {
    name: String,
    uid: Option<u32>,
    gid: Option<String>,
    usergroup: Option<bool>,
    groups: Option<Vec<String>>,
    optional: Vec<String>,
    remove_groups: bool,
    home: Option<String>,
    createhome: bool,
    shell: Option<String>,
    system: bool,
    unique: bool,
    nologinit: bool,
    gecos: Gecos,
    /// A crypt(3) hash.
    password: Option<String>,
    enforce_password: bool,
    /// No password is asked of the user.
    empty_password: bool,
    lock: Option<bool>,
    ageing: Ageing,
}

/// Who is on the machine, and what is known of the user's password, where it matters.
pub(crate) struct Observed {
    accounts: Accounts,
    shadow: Option<Shadow>,
    /// The home directory of a user that exists, when it is to be there and is not.
    homeless: Option<String>,
}

/// What is to be done: the options of useradd or usermod.
#[derive(Debug, PartialEq)]
pub(crate) struct Plan {
    create: bool,
    options: Vec<String>,
    /// Set the hash.
    password: bool,
    lock: Option<bool>,
    /// The options of chage.
    ageing: Vec<String>,
    /// Make this home directory.
    home: Option<String>,
}

/// `user.present`.
pub(crate) struct Present;

impl StateFn for Present {
    type Want = Want;
    type Observed = Observed;
    type Plan = Plan;

    fn want(args: &Args<'_>, call: &Call<'_>) -> Result<Want, Failure> {
        args.refuse("hash_password", "give `password` as a hash (mkpasswd makes one)")?;
        let password = password(args)?;
        let empty_password = args.flag("empty_password", false)?;
        if empty_password && password.is_some() {
            return Err(Failure::declaration("`empty_password` and `password` cannot both be"));
        }
        let names = |key: &str| -> Result<Option<Vec<String>>, Failure> {
            let list = args.list(key)?;
            list.map(|l| l.iter().map(|n| account_name(n, "group")).collect()).transpose()
        };
        Ok(Want {
            name: account_name(&call.chunk.name, "user")?,
            uid: args.number("uid")?,
            gid: args.text("gid")?.map(|g| account_name(&g, "group")).transpose()?,
            usergroup: args.maybe_flag("usergroup")?,
            groups: names("groups")?,
            optional: names("optional_groups")?.unwrap_or_default(),
            remove_groups: args.flag("remove_groups", true)?,
            home: field("home", args)?,
            createhome: args.flag("createhome", true)?,
            shell: field("shell", args)?,
            system: args.flag("system", false)?,
            unique: args.flag("unique", true)?,
            nologinit: args.flag("nologinit", false)?,
            gecos: Gecos::read(args)?,
            password,
            enforce_password: args.flag("enforce_password", true)?,
            empty_password,
            lock: args.maybe_flag("password_lock")?,
            ageing: Ageing::read(args)?,
        })
    }

    fn observe(want: &Want, call: &Call<'_>) -> Result<Observed, Failure> {
        let shadow = if want.asks_shadow() { Shadow::of(&want.name, call)? } else { None };
        let accounts = read(call)?;
        let homeless = homeless(want, &accounts, call)?;
        Ok(Observed { accounts, shadow, homeless })
    }

    fn diff(want: &Want, observed: &Observed) -> Diff<Plan> {
        let accounts = &observed.accounts;
        let missing = missing_groups(want, accounts);
        if !missing.is_empty() {
            return Diff::Refuse(format!("these groups are not there: {}", missing.join(", ")));
        }
        let create = accounts.user(&want.name).is_none();
        let mut wishes = Wishes::default();
        identity(want, accounts, &mut wishes);
        groups(want, accounts, &mut wishes);
        if create {
            birth(want, &mut wishes);
        }
        let (password, lock) = secrets(want, observed, create, &mut wishes);
        let (ageing, changes) = want.ageing.missing(observed.shadow.as_ref().filter(|_| !create));
        wishes.changes.extend(changes);
        if let Some(home) = &observed.homeless {
            wishes.changes.insert("homeDoesNotExist".to_owned(), Value::Str(home.clone()));
        }
        if wishes.changes.is_empty() {
            return Diff::Same(format!("The user {} is as asked", want.name));
        }
        let word = if create { "added" } else { "changed" };
        let would = format!("The user {} would be {word}", want.name);
        Diff::Change {
            plan: Plan {
                create,
                options: wishes.options,
                password,
                lock,
                ageing,
                home: observed.homeless.clone(),
            },
            changes: wishes.changes,
            would,
        }
    }

    fn apply(want: &Want, plan: Plan, call: &Call<'_>) -> Result<Applied, Failure> {
        let before = Known::of(&want.name, want.asks_shadow(), call)?;
        if plan.create || !plan.options.is_empty() {
            let mut argv = account_tool(if plan.create { "useradd" } else { "usermod" }, call);
            argv.extend(plan.options.iter().cloned());
            argv.push(want.name.clone());
            tool(call, &argv, TOOL_TIMEOUT)?;
        }
        if let Some(home) = &plan.home {
            make_home(&want.name, home, call)?;
        }
        if let (true, Some(hash)) = (plan.password, &want.password) {
            set_password(&want.name, hash, call)?;
        }
        if let Some(lock) = plan.lock {
            let mut argv = account_tool("usermod", call);
            argv.extend([if lock { "-L" } else { "-U" }.to_owned(), want.name.clone()]);
            tool(call, &argv, TOOL_TIMEOUT)?;
        }
        if !plan.ageing.is_empty() {
            age(&want.name, &plan.ageing, call)?;
        }
        let word = if plan.create { "added" } else { "changed" };
        let mut changes = before.until(&Known::of(&want.name, want.asks_shadow(), call)?);
        changes.extend(plan.told(want));
        Ok(Applied { changes: Some(changes), ..Applied::done(format!("User {} {word}", want.name)) })
    }
}

impl Want {
    fn asks_shadow(&self) -> bool {
        self.password.is_some() || self.empty_password || self.lock.is_some() || self.ageing.any()
    }
}

impl Plan {
    /// What is told though the databases do not show it, or by another name.
    fn told(&self, want: &Want) -> Map {
        let mut told = if self.create { want.ageing.missing(None).1 } else { Map::new() };
        if let Some(home) = &self.home {
            told.insert("homeDoesNotExist".to_owned(), Value::Str(home.clone()));
        }
        if self.create && self.password {
            told.insert("password".to_owned(), Value::Str("<hidden>".to_owned()));
        }
        told
    }
}

/// What is to be done about the password: set the hash, and lock or unlock it.
fn secrets(want: &Want, observed: &Observed, create: bool, wishes: &mut Wishes) -> (bool, Option<bool>) {
    let now = observed.shadow.as_ref().map(|s| s.password.as_str());
    let locked = now.is_some_and(|hash| hash.starts_with('!'));
    // A hash that is locked as asked has a mark before it.
    let bare = now.map(|hash| if want.lock == Some(true) { hash.trim_start_matches('!') } else { hash });
    let set = want.password.is_some()
        && want.password.as_deref() != bare
        && (create || want.enforce_password || now.is_none());
    let empty = want.empty_password && now != Some("");
    let lock = want.lock.filter(|lock| *lock != (locked && !set) && (!create || set));
    if empty {
        wishes.options.extend(["-p".to_owned(), String::new()]);
    }
    if set || empty || lock.is_some() {
        let key = if create { "password" } else { "passwd" };
        wishes.changes.insert(key.to_owned(), Value::Str("<hidden>".to_owned()));
    }
    (set, lock)
}

/// chage knows no `--prefix`; below another root it changes into it.
fn age(user: &str, options: &[String], call: &Call<'_>) -> Result<(), Failure> {
    let mut argv = vec!["chage".to_owned()];
    let root = call.context.host.root();
    if root != std::path::Path::new("/") {
        argv.extend(["--root".to_owned(), root.to_string_lossy().into_owned()]);
    }
    argv.extend(options.iter().cloned());
    argv.push(user.to_owned());
    tool(call, &argv, TOOL_TIMEOUT).map(drop)
}

/// A run that was killed may have left a user without its home.
fn homeless(want: &Want, accounts: &Accounts, call: &Call<'_>) -> Result<Option<String>, Failure> {
    let Some(user) = accounts.user(&want.name).filter(|_| want.createhome) else { return Ok(None) };
    let home = want.home.as_ref().unwrap_or(&user.home);
    let missing =
        home.starts_with('/') && fsys::stat(&call.context.host.path(home))?.kind == fsys::Kind::Missing;
    Ok(missing.then(|| home.clone()))
}

fn make_home(name: &str, home: &str, call: &Call<'_>) -> Result<(), Failure> {
    let path = call.context.host.path(home);
    let accounts = read(call)?;
    let gone = || Failure::machine(format!("the user {name} vanished while it was changed"));
    let user = accounts.user(name).ok_or_else(gone)?;
    file::make_parents(&path, file::Ids::default().fresh(0o755))?;
    Ok(fsys::make_dirs(&path, fsys::Owner { mode: 0o755, uid: user.uid, gid: user.gid })?)
}

/// A crypt(3) hash; a password itself is refused, because it would be readable in the tree and in this process.
fn password(args: &Args<'_>) -> Result<Option<String>, Failure> {
    let Some(hash) = args.text("password")? else { return Ok(None) };
    let odd = |c: char| c == ':' || c.is_whitespace() || c.is_control();
    match hash.starts_with(['$', '*', '!', '_']) && !hash.contains(odd) {
        true => Ok(Some(hash)),
        false => Err(Failure::declaration(
            "`password` must be a crypt(3) hash such as $6$…, not the password itself",
        )),
    }
}

/// By way of chpasswd's standard input: an argument would be seen in the process list.
fn set_password(user: &str, hash: &str, call: &Call<'_>) -> Result<(), Failure> {
    let mut argv = vec!["chpasswd".to_owned(), "-e".to_owned()];
    let root = call.context.host.root();
    if root != std::path::Path::new("/") {
        // It knows no --prefix; what it needs is loaded before it goes there.
        argv.extend(["--root".to_owned(), root.to_string_lossy().into_owned()]);
    }
    let mut command = Command::argv(argv);
    command.stdin = format!("{user}:{hash}\n").into_bytes();
    command.timeout = TOOL_TIMEOUT;
    let output = call.context.host.run(&command)?;
    match output.code {
        0 => Ok(()),
        code => {
            Err(Failure::machine(format!("`chpasswd -e` ended with exit code {code}{}", last_words(&output))))
        }
    }
}

/// Text that goes into a field of passwd(5).
fn field(key: &str, args: &Args<'_>) -> Result<Option<String>, Failure> {
    let text = args.text(key)?;
    match &text {
        Some(t) if t.contains([':', '\n']) => {
            Err(Failure::declaration(format!("`{key}` must not hold `:` or a line end")))
        }
        _ => Ok(text),
    }
}

/// Options for the tool and the changes that they make.
#[derive(Default)]
struct Wishes {
    options: Vec<String>,
    changes: Map,
}

impl Wishes {
    /// `flag value`, where the value is wanted and is not there.
    fn set(&mut self, key: &str, flag: &str, wanted: Option<String>, now: Option<&str>) {
        let Some(wanted) = wanted.filter(|w| now != Some(w.as_str())) else { return };
        self.options.extend([flag.to_owned(), wanted.clone()]);
        let value = wanted.parse().map_or(Value::Str(wanted), Value::Int);
        self.changes.insert(key.to_owned(), value);
    }
}

fn missing_groups(want: &Want, accounts: &Accounts) -> Vec<String> {
    let named = want.groups.iter().flatten();
    let primary = want.gid.iter().filter(|g| g.parse::<u32>().is_err());
    named.chain(primary).filter(|g| accounts.group(g).is_none()).cloned().collect()
}

fn identity(want: &Want, accounts: &Accounts, wishes: &mut Wishes) {
    let now = accounts.user(&want.name);
    let number = |n: u32| n.to_string();
    let (uid, gid) = (now.map(|u| number(u.uid)), now.map(|u| number(u.gid)));
    wishes.set("uid", "-u", want.uid.map(number), uid.as_deref());
    if want.uid.is_some() && !want.unique && wishes.changes.contains_key("uid") {
        wishes.options.push("-o".to_owned());
    }
    let primary = want.gid.as_ref().map(|g| accounts.group(g).map_or_else(|| g.clone(), |g| number(g.gid)));
    wishes.set("gid", "-g", primary, gid.as_deref());
    wishes.set("home", "-d", want.home.clone(), now.map(|u| u.home.as_str()));
    wishes.set("shell", "-s", want.shell.clone(), now.map(|u| u.shell.as_str()));
    if let Some((field, changes)) = want.gecos.over(now.map_or("", |u| u.gecos.as_str())) {
        wishes.options.extend(["-c".to_owned(), field]);
        wishes.changes.extend(changes);
    }
}

/// The groups beside the primary one, which a user is in without being listed. As in Salt, a user that is made and is to
/// have more than that one is listed in it too, where it is named.
fn groups(want: &Want, accounts: &Accounts, wishes: &mut Wishes) {
    if want.groups.is_none() && want.optional.is_empty() {
        return;
    }
    let present = want.optional.iter().filter(|g| accounts.group(g).is_some());
    let mut wanted: Vec<String> = want.groups.iter().flatten().chain(present).cloned().collect();
    wanted.sort();
    wanted.dedup();
    let user = accounts.user(&want.name);
    let primary = primary(want, accounts);
    let change = match user {
        None => !wanted.is_empty() && wanted.iter().any(|g| Some(g) != primary.as_ref()),
        Some(_) => {
            wanted.retain(|g| Some(g) != primary.as_ref());
            let now = accounts.supplementary(&want.name);
            let own = |g: &String| *g == want.name && !wanted.contains(g);
            let now: Vec<String> =
                now.into_iter().filter(|g| Some(g) != primary.as_ref() && !own(g)).collect();
            if !want.remove_groups || want.groups.is_none() {
                wanted.extend(now.iter().cloned());
                wanted.sort();
                wanted.dedup();
            }
            wanted != now
        }
    };
    if change {
        wishes.options.extend(["-G".to_owned(), wanted.join(",")]);
        wishes.changes.insert("groups".to_owned(), texts(&wanted));
    }
}

/// The name of the primary group: as asked, else as it is, else the user's own.
fn primary(want: &Want, accounts: &Accounts) -> Option<String> {
    let named = |g: &String| match g.parse() {
        Ok(gid) => accounts.group_name(gid).map(str::to_owned),
        Err(_) => Some(g.clone()),
    };
    let now = || accounts.user(&want.name).and_then(|u| accounts.group_name(u.gid)).map(str::to_owned);
    want.gid.as_ref().and_then(named).or_else(now).or_else(|| Some(want.name.clone()))
}

/// What matters only when the user is made.
fn birth(want: &Want, wishes: &mut Wishes) {
    wishes.changes.insert("name".to_owned(), Value::Str(want.name.clone()));
    wishes.options.push(if want.createhome { "-m" } else { "-M" }.to_owned());
    if want.system {
        wishes.options.push("-r".to_owned());
    }
    if want.nologinit {
        wishes.options.push("-l".to_owned());
    }
    match want.usergroup {
        Some(true) => wishes.options.push("-U".to_owned()),
        Some(false) => wishes.options.push("-N".to_owned()),
        None => {}
    }
}
