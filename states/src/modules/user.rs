//! `user.present`, with useradd and usermod.

use crate::engine::step::{Applied, Call, Diff, Failure, StateFn};
use crate::fsys;
use crate::host::Command;
use crate::modules::accounts::Accounts;
use crate::modules::args::Args;
use crate::modules::cmd::{TOOL_TIMEOUT, last_words, tool};
use crate::modules::file;
use crate::modules::group::{account_name, account_tool, read, texts};
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
    "unique",
    "nologinit",
    "password",
    "enforce_password",
];
pub(crate) const IGNORED: &[&str] = &["persist_home", "allow_uid_change", "allow_gid_change", "local"];

const SHADOW_LIMIT: usize = 64 << 20;

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
    fullname: Option<String>,
    /// A crypt(3) hash.
    password: Option<String>,
    enforce_password: bool,
}

/// Who is on the machine, and the hash of the user's password.
pub(crate) struct Observed {
    accounts: Accounts,
    password: Option<String>,
    /// The home directory of a user that exists, when it is to be there and is not.
    homeless: Option<String>,
}

/// What is to be done: the options of useradd or usermod.
#[derive(Debug, PartialEq)]
pub(crate) struct Plan {
    create: bool,
    options: Vec<String>,
    /// Set this hash.
    password: bool,
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
        for key in ["hash_password", "empty_password"] {
            args.refuse(key, "give `password` as a hash (mkpasswd makes one)")?;
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
            fullname: field("fullname", args)?,
            password: password(args)?,
            enforce_password: args.flag("enforce_password", true)?,
        })
    }

    fn observe(want: &Want, call: &Call<'_>) -> Result<Observed, Failure> {
        let password = if want.password.is_some() { shadow(&want.name, call)? } else { None };
        let accounts = read(call)?;
        let homeless = homeless(want, &accounts, call)?;
        Ok(Observed { accounts, password, homeless })
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
        let password = want.password.is_some()
            && want.password != observed.password
            && (create || want.enforce_password || observed.password.is_none());
        if let Some(home) = &observed.homeless {
            wishes.changes.insert("homeDoesNotExist".to_owned(), Value::Str(home.clone()));
        }
        if password {
            wishes.changes.insert("passwd".to_owned(), Value::Str("<hidden>".to_owned()));
        }
        if wishes.changes.is_empty() {
            return Diff::Same(format!("The user {} is as asked", want.name));
        }
        let word = if create { "added" } else { "changed" };
        let would = format!("The user {} would be {word}", want.name);
        Diff::Change {
            plan: Plan { create, options: wishes.options, password, home: observed.homeless.clone() },
            changes: wishes.changes,
            would,
        }
    }

    fn apply(want: &Want, plan: Plan, call: &Call<'_>) -> Result<Applied, Failure> {
        if plan.create || !plan.options.is_empty() {
            let mut argv = account_tool(if plan.create { "useradd" } else { "usermod" }, call);
            argv.extend(plan.options);
            argv.push(want.name.clone());
            tool(call, &argv, TOOL_TIMEOUT)?;
        }
        if let Some(home) = &plan.home {
            make_home(&want.name, home, call)?;
        }
        if let (true, Some(hash)) = (plan.password, &want.password) {
            set_password(&want.name, hash, call)?;
        }
        let word = if plan.create { "added" } else { "changed" };
        Ok(Applied::done(format!("User {} {word}", want.name)))
    }
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

/// The hash in shadow(5).
fn shadow(user: &str, call: &Call<'_>) -> Result<Option<String>, Failure> {
    let path = call.context.host.path("/etc/shadow");
    if fsys::stat(&path)?.kind == fsys::Kind::Missing {
        return Ok(None);
    }
    let text = fsys::read_text(&path, SHADOW_LIMIT)?;
    let mut fields = text.lines().map(|l| l.split(':'));
    let found = fields.find_map(|mut f| (f.next() == Some(user)).then(|| f.next().map(str::to_owned)));
    Ok(found.flatten())
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
    // The full name is the first part of the comment field; the others stay.
    let gecos = now.map(|u| u.gecos.as_str());
    let (full, rest) =
        gecos.map_or(("", None), |g| g.split_once(',').map_or((g, None), |(a, b)| (a, Some(b))));
    if let Some(wanted) = want.fullname.as_ref().filter(|w| w.as_str() != full) {
        let field = rest.map_or_else(|| wanted.clone(), |rest| format!("{wanted},{rest}"));
        wishes.options.extend(["-c".to_owned(), field]);
        wishes.changes.insert("fullname".to_owned(), Value::Str(wanted.clone()));
    }
}

fn groups(want: &Want, accounts: &Accounts, wishes: &mut Wishes) {
    if want.groups.is_none() && want.optional.is_empty() {
        return;
    }
    let now = accounts.supplementary(&want.name);
    let present = want.optional.iter().filter(|g| accounts.group(g).is_some());
    let mut wanted: Vec<String> = want.groups.iter().flatten().chain(present).cloned().collect();
    if !want.remove_groups || want.groups.is_none() {
        wanted.extend(now.iter().cloned());
    }
    wanted.sort();
    wanted.dedup();
    // The primary group needs no listing.
    let primary = want.gid.clone().or_else(|| {
        let gid = accounts.user(&want.name)?.gid;
        accounts.group_name(gid).map(str::to_owned)
    });
    wanted.retain(|g| Some(g) != primary.as_ref() || now.contains(g));
    if wanted != now {
        wishes.options.extend(["-G".to_owned(), wanted.join(",")]);
        wishes.changes.insert("groups".to_owned(), texts(&wanted));
    }
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
