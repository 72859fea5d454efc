//! `cmd.*`: commands that the tree asks for, and where programs are.
// Effects: looks for programs, and reads its own environment.
#![allow(clippy::disallowed_methods)]

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use super::asked::{Asked, flag, split, text, truth};
use super::{Answer, Table, list, map, str_of, string};
use crate::host::{Command, CommandError, Host, Output, Program};
use crate::modules::accounts;
use crate::value::Value;

pub(super) const FUNCTIONS: Table = &[
    ("cmd.exec_code", exec_code),
    ("cmd.exec_code_all", exec_code_all),
    ("cmd.has_exec", has_exec),
    ("cmd.retcode", retcode),
    ("cmd.run", run),
    ("cmd.run_all", run_all),
    ("cmd.run_stderr", run_stderr),
    ("cmd.run_stdout", run_stdout),
    ("cmd.shell", shell),
    ("cmd.shells", shells),
    ("cmd.which", which_program),
    ("cmd.which_bin", which_bin),
];

/// A tree that is compiled waits for its commands, but not for ever.
const TIMEOUT: Duration = Duration::from_secs(300);

/// What the functions have in front of the arguments that only some of them have; the rest is given by name.
const POSITIONAL: &[&str] = &["cmd", "cwd", "stdin", "runas", "group", "shell", "python_shell", "env"];

fn argument<'a>(asked: &Asked<'a>, name: &str) -> Option<&'a Value> {
    let in_shell = asked.name == "cmd.shell";
    let mut positional = POSITIONAL.iter().filter(|n| !in_shell || **n != "python_shell");
    let at = positional.position(|n| *n == name);
    let given = at.and_then(|at| asked.args.get(at)).or_else(|| asked.kwargs.get(name));
    given.filter(|v| !matches!(v, Value::Null))
}

/// What to run, from the arguments; no shell unless the tree asks for one.
fn command(asked: &Asked<'_>, merge_errors: bool) -> Result<Command, String> {
    if asked.args.len() > POSITIONAL.len() {
        return Err("options behind `env` must be given by name".to_owned());
    }
    let cmd = argument(asked, "cmd").ok_or("missing required argument: 'cmd'")?;
    let in_shell = flag(argument(asked, "python_shell"), asked.name == "cmd.shell");
    let mut command = match (cmd, in_shell) {
        (Value::List(argv), _) => Command::argv(argv.iter().map(str_of)),
        (line, true) => Command::shell(&shell_of(asked), &str_of(line)),
        (line, false) => {
            let line = str_of(line);
            Command::argv(shell_words::split(&line).map_err(|_| format!("No closing quotation in {line:?}"))?)
        }
    };
    command.user = argument(asked, "runas").map(str_of);
    command.cwd = Some(directory(asked, command.user.as_deref())?);
    command.stdin = argument(asked, "stdin").map(str_of).unwrap_or_default().into_bytes();
    command.clean_env = truth(argument(asked, "clean_env"));
    command.merge_errors = merge_errors;
    command.umask = umask(argument(asked, "umask"))?;
    command.timeout = match argument(asked, "timeout").map(str_of).and_then(|t| t.parse::<f64>().ok()) {
        Some(seconds) if seconds >= 0.0 => Duration::try_from_secs_f64(seconds).unwrap_or(TIMEOUT),
        _ => TIMEOUT,
    };
    command.env = environment(asked);
    refuse(asked)?;
    Ok(command)
}

/// Options that would change what runs, and are not there.
fn refuse(asked: &Asked<'_>) -> Result<(), String> {
    let all = ["group", "template", "use_vt", "bg", "password", "encoded_cmd"];
    match all.iter().find(|name| truth(argument(asked, name))) {
        Some(name) => Err(format!("`{name}` is not supported in a template")),
        None => Ok(()),
    }
}

/// The shell asked for, else that of who runs this, as in Salt.
fn shell_of(asked: &Asked<'_>) -> String {
    let own = || std::env::var("SHELL").ok().filter(|shell| shell.starts_with('/'));
    argument(asked, "shell").map(str_of).or_else(own).unwrap_or_else(|| "/bin/sh".to_owned())
}

/// Where it runs: as asked, or at home where that can be read, as Salt has it.
fn directory(asked: &Asked<'_>, user: Option<&str>) -> Result<String, String> {
    if let Some(cwd) = argument(asked, "cwd").filter(|c| truth(Some(c))).map(str_of) {
        let there = cwd.starts_with('/') && asked.host.path(&cwd).is_dir();
        let missing = || format!("Specified cwd '{cwd}' either not absolute or does not exist");
        return if there { Ok(cwd) } else { Err(missing()) };
    }
    let home = match user {
        Some(user) => accounts::account(asked.host.root(), user).ok().flatten().map(|a| a.home),
        None => std::env::var("HOME").ok(),
    };
    Ok(home.filter(|h| h.starts_with('/') && asked.host.path(h).is_dir()).unwrap_or_else(|| "/".to_owned()))
}

fn umask(value: Option<&Value>) -> Result<Option<u32>, String> {
    let Some(value) = value.map(str_of) else { return Ok(None) };
    match u32::from_str_radix(value.trim_start_matches('0'), 8) {
        Ok(mask) if mask > 0 => Ok(Some(mask)),
        _ => Err(format!("Invalid umask: '{value}'")),
    }
}

/// The locale is C unless the tree wants its own.
fn environment(asked: &Asked<'_>) -> Vec<(String, Option<String>)> {
    const LOCALE: &[&str] = &[
        "LC_CTYPE",
        "LC_NUMERIC",
        "LC_TIME",
        "LC_COLLATE",
        "LC_MONETARY",
        "LC_MESSAGES",
        "LC_PAPER",
        "LC_NAME",
        "LC_ADDRESS",
        "LC_TELEPHONE",
        "LC_MEASUREMENT",
        "LC_IDENTIFICATION",
        "LANGUAGE",
    ];
    let reset = flag(argument(asked, "reset_system_locale"), true);
    let mut all: Vec<(String, Option<String>)> = Vec::new();
    if reset {
        all.extend(LOCALE.iter().map(|name| ((*name).to_owned(), Some("C".to_owned()))));
    }
    let mut own = |value: &Value| {
        let Value::Map(env) = value else { return };
        let text = |v: &Value| if matches!(v, Value::Null) { String::new() } else { str_of(v) };
        all.extend(env.iter().map(|(k, v)| (k.clone(), Some(text(v)))));
    };
    match argument(asked, "env") {
        Some(Value::List(parts)) => parts.iter().for_each(&mut own),
        Some(env) => own(env),
        None => {}
    }
    if let Some(front) = argument(asked, "prepend_path") {
        let path = std::env::var("PATH").unwrap_or_default();
        all.push(("PATH".to_owned(), Some(format!("{}:{path}", str_of(front)))));
    }
    all
}

/// How a command of the tree ended, its texts as Salt gives them.
struct Done {
    pid: u32,
    code: i32,
    out: String,
    err: String,
}

fn done(asked: &Asked<'_>, merge_errors: bool) -> Result<Done, String> {
    let command = command(asked, merge_errors)?;
    let seconds = command.timeout.as_secs();
    let mut done = match asked.host.run(&command) {
        Ok(output) => Done::of(&output, flag(argument(asked, "rstrip"), true)),
        Err(CommandError::TimedOut { .. }) if argument(asked, "timeout").is_some() => {
            let shown = match &command.program {
                Program::Argv(argv) => str_of(&list(argv.clone())),
                Program::Shell { line, .. } => line.clone(),
            };
            let out = format!("{shown} : Timed out after {seconds} seconds");
            Done { pid: 0, code: 1, out, err: String::new() }
        }
        Err(error) => return Err(error.to_string()),
    };
    if done.is_success_by(asked) {
        done.code = 0;
    }
    if truth(argument(asked, "hide_output")) {
        (done.out, done.err) = (String::new(), String::new());
    }
    Ok(done)
}

impl Done {
    fn of(output: &Output, strip: bool) -> Self {
        let text = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes);
            if strip { text.trim_end().to_owned() } else { text.into_owned() }
        };
        Self { pid: output.pid, code: output.code, out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// What the tree takes for success.
    fn is_success_by(&self, asked: &Asked<'_>) -> bool {
        let codes = split(argument(asked, "success_retcodes"));
        let says =
            |name: &str, text: &str| split(argument(asked, name)).iter().any(|part| text.contains(part));
        codes.contains(&self.code.to_string())
            || says("success_stdout", &self.out)
            || says("success_stderr", &self.err)
    }
}

fn run(asked: &Asked<'_>) -> Answer {
    let done = done(asked, flag(argument(asked, "redirect_stderr"), true))?;
    if done.code != 0 && truth(argument(asked, "raise_err")) {
        return Err(done.out);
    }
    Ok(string(done.out))
}

fn shell(asked: &Asked<'_>) -> Answer {
    Ok(string(done(asked, true)?.out))
}

fn run_stdout(asked: &Asked<'_>) -> Answer {
    Ok(string(done(asked, false)?.out))
}

fn run_stderr(asked: &Asked<'_>) -> Answer {
    Ok(string(done(asked, false)?.err))
}

fn retcode(asked: &Asked<'_>) -> Answer {
    Ok(Value::Int(i64::from(done(asked, true)?.code)))
}

fn run_all(asked: &Asked<'_>) -> Answer {
    Ok(all(&done(asked, truth(argument(asked, "redirect_stderr")))?))
}

fn all(done: &Done) -> Value {
    map([
        ("pid", Value::Int(i64::from(done.pid))),
        ("retcode", Value::Int(i64::from(done.code))),
        ("stdout", string(&*done.out)),
        ("stderr", string(&*done.err)),
    ])
}

/// The program, where it is on the search path.
pub(super) fn which(host: &dyn Host, program: &str) -> Option<String> {
    const MORE: &[&str] = &["/sbin", "/bin", "/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"];
    let runs = |path: &str| {
        let found = std::fs::metadata(host.path(path));
        found.is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
    };
    if program.is_empty() {
        return None;
    }
    if program.starts_with('/') {
        return runs(program).then(|| program.to_owned());
    }
    let path = std::env::var("PATH").unwrap_or_default();
    let mut dirs: Vec<&str> = path.split(':').filter(|d| d.starts_with('/')).collect();
    dirs.extend(MORE.iter().filter(|d| !path.split(':').any(|p| p == **d)));
    dirs.iter().map(|dir| format!("{}/{program}", dir.trim_end_matches('/'))).find(|path| runs(path))
}

fn which_program(asked: &Asked<'_>) -> Answer {
    let [program] = asked.bind(["cmd"])?;
    let program = program.map(str_of).ok_or("missing required argument: 'cmd'")?;
    Ok(which(asked.host, &program).map_or(Value::Null, Value::Str))
}

fn which_bin(asked: &Asked<'_>) -> Answer {
    let [programs] = asked.bind(["cmds"])?;
    let programs = match programs {
        Some(Value::List(all)) => all.iter().map(str_of).collect(),
        other => vec![text("cmds", other)?],
    };
    Ok(programs.iter().find_map(|p| which(asked.host, p)).map_or(Value::Null, Value::Str))
}

fn has_exec(asked: &Asked<'_>) -> Answer {
    let program = asked.only("cmd")?;
    Ok(Value::Bool(which(asked.host, &program).is_some()))
}

fn shells(asked: &Asked<'_>) -> Answer {
    asked.nothing()?;
    let lines = asked.read_or_empty("/etc/shells");
    Ok(list(lines.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'))))
}

fn exec_code(asked: &Asked<'_>) -> Answer {
    Ok(string(executed(asked)?.out))
}

fn exec_code_all(asked: &Asked<'_>) -> Answer {
    Ok(all(&executed(asked)?))
}

/// A script of the tree, given to an interpreter as a file.
fn executed(asked: &Asked<'_>) -> Result<Done, String> {
    let at = |index: usize, name: &str| asked.args.get(index).or_else(|| asked.kwargs.get(name));
    let (lang, code) = (text("lang", at(0, "lang"))?, text("code", at(1, "code"))?);
    let mut file = tempfile::NamedTempFile::new().map_err(|e| e.to_string())?;
    file.write_all(code.as_bytes()).map_err(|e| e.to_string())?;
    let mut argv = vec![string(lang), string(file.path().display().to_string())];
    match at(3, "args") {
        Some(Value::List(more)) => argv.extend(more.iter().cloned()),
        Some(one @ Value::Str(_)) => argv.push(one.clone()),
        _ => {}
    }
    let mut kwargs = asked.kwargs.clone();
    kwargs.retain(|name, _| !["lang", "code", "args", "python_shell"].contains(&name.as_str()));
    if let Some(user) = kwargs.get("runas").map(str_of) {
        let uid = accounts::uid(asked.host.root(), &user).ok().flatten();
        let uid = uid.ok_or_else(|| format!("User '{user}' is not available"))?;
        std::os::unix::fs::chown(file.path(), Some(uid), None).map_err(|e| e.to_string())?;
    }
    let args = [Value::List(argv), at(2, "cwd").cloned().unwrap_or(Value::Null)];
    kwargs.shift_remove("cwd");
    done(&Asked { host: asked.host, name: "cmd.run_all", args: &args, kwargs: &kwargs }, false)
}

#[cfg(test)]
mod tests {
    use super::super::bench::Bench;
    use crate::value::Value;

    fn text(bench: &Bench, name: &str, line: &str, kwargs: &[(&str, Value)]) -> String {
        super::str_of(&bench.with(name, &[line], kwargs).unwrap())
    }

    #[test]
    fn a_shell_reads_the_line_only_where_the_tree_asks_for_one() {
        let bench = Bench::new(&[]);
        let yes = [("python_shell", Value::Bool(true))];
        assert_eq!(text(&bench, "cmd.run", "echo a; echo b", &[]), "a; echo b");
        assert_eq!(text(&bench, "cmd.run", "echo a; echo b", &yes), "a\nb");
        assert_eq!(text(&bench, "cmd.shell", "echo a; echo b", &[]), "a\nb");
        assert_eq!(text(&bench, "cmd.run_stdout", "echo 'a  b'", &[]), "a  b");
    }

    #[test]
    fn errors_come_among_the_output_in_their_order() {
        let bench = Bench::new(&[]);
        let line = "echo 1; echo 2 >&2; echo 3";
        assert_eq!(text(&bench, "cmd.shell", line, &[]), "1\n2\n3");
        let yes = [("python_shell", Value::Bool(true))];
        assert_eq!(text(&bench, "cmd.run_stdout", line, &yes), "1\n3");
        assert_eq!(text(&bench, "cmd.run_stderr", line, &yes), "2");
    }

    #[test]
    fn exit_codes_and_what_counts_as_success() {
        let bench = Bench::new(&[]);
        let yes = ("python_shell", Value::Bool(true));
        assert_eq!(bench.with("cmd.retcode", &["exit 3"], std::slice::from_ref(&yes)), Ok(Value::Int(3)));
        let wanted = ("success_retcodes", Value::List(vec![Value::Int(3)]));
        assert_eq!(bench.with("cmd.retcode", &["exit 3"], &[yes, wanted]), Ok(Value::Int(0)));
        assert!(bench.call("cmd.run", &["/no/such/program"]).unwrap_err().contains("cannot run"));
        assert!(bench.with("cmd.run", &["id"], &[("use_vt", Value::Bool(true))]).is_err());
    }

    #[test]
    fn a_script_runs_with_its_interpreter() {
        let bench = Bench::new(&[]);
        assert_eq!(bench.call("cmd.exec_code", &["sh", "echo 5\necho 6"]), Ok(Value::Str("5\n6".into())));
    }
}
