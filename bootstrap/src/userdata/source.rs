//! The key `states` checked: where the tree comes from, who may see it, whose signature it must bear, and the formula
//! repositories beside it. Pure.

use super::raw::{RawApp, RawFormula, RawStates};
use super::validate::{Places, absolute, commit, inside, reference, roots, safe_name};
use super::{Error, Remote, Signer};
use mayfly_states::tree::Roots;
use serde_json::Value;
use serde_saphyr::Spanned;
use std::collections::BTreeSet;
use std::path::PathBuf;

const MAX_LIST: usize = 32;

/// Where a repository is and how it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    /// The repository.
    pub(crate) remote: Remote,
    /// The same one elsewhere, asked in order when those before do not answer.
    pub(crate) mirrors: Vec<Remote>,
    /// Branch or tag that is followed.
    pub(crate) reference: String,
    /// The commit of the first converge: 40 lower-case hex digits.
    pub(crate) commit: Option<String>,
    /// Whether `reference` is followed after the first converge.
    pub(crate) follow: bool,
    /// Folders of the SLS files by environment, relative to the repository.
    pub(crate) file_roots: Roots,
    /// Folders of the pillar files by environment, relative to the repository.
    pub(crate) pillar_roots: Roots,
    /// Who we are to it.
    pub(crate) login: Login,
    /// Only commits that one of these has signed are used; none: all are.
    pub(crate) signed_by: Vec<Signer>,
    /// Whether submodules are fetched.
    pub(crate) submodules: bool,
    /// Repositories beside it.
    pub(crate) formulas: Vec<Formula>,
}

/// What a repository lets us in by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Login {
    /// An HTTPS token, or `user:token`.
    pub(crate) token: Option<Secret>,
    /// A GitHub App, which gives tokens for an hour.
    pub(crate) app: Option<App>,
    /// Private key for SSH.
    pub(crate) ssh_key: Option<Secret>,
    /// Known hosts for SSH.
    pub(crate) known_hosts_file: Option<PathBuf>,
    /// The HTTP proxy on the way there.
    pub(crate) proxy: Option<String>,
}

/// Where a secret is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Secret {
    /// In a file on the image.
    File(PathBuf),
    /// In SSM's Parameter Store.
    Parameter(String),
    /// In Secrets Manager; with a key, in a JSON mapping there.
    Managed(String, Option<String>),
}

/// An installation of a GitHub App.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct App {
    /// The app's id or client id.
    pub(crate) id: String,
    /// The installation's id.
    pub(crate) installation: u64,
    /// The app's private key.
    pub(crate) key: Secret,
    /// The base of GitHub's API.
    pub(crate) api: String,
}

/// A formula repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Formula {
    /// Its folder on the instance, and its name in `/status`.
    pub(crate) name: String,
    /// The repository.
    pub(crate) source: Source,
    /// The folder in it that joins the file roots.
    pub(crate) root: PathBuf,
}

/// Checks `states`.
pub(super) fn source(raw: Spanned<RawStates>, p: &Places<'_>) -> Result<Source, Error> {
    let place = Spanned::new((), raw.referenced, raw.defined);
    let raw = raw.value;
    let url = raw.url.clone().ok_or_else(|| p.at(&place, "`states.url` is required".into()))?;
    let remote = Remote::parse(&url.value).map_err(|e| p.at(&url, format!("states.url {e}")))?;
    let follow = raw.follow.as_ref().is_none_or(|f| f.value);
    let commit = p.check(raw.commit.clone(), |s| commit(&s))?;
    if let (false, None, Some(follow)) = (follow, &commit, &raw.follow) {
        return Err(p.at(follow, "`follow: false` needs `states.commit`, the commit to stay on".into()));
    }
    let mirrors = list(raw.mirrors.clone(), "mirrors", p, |url| Remote::parse(&url))?;
    let all: Vec<&Remote> = std::iter::once(&remote).chain(&mirrors).collect();
    let login = login(&raw, &all, p)?;
    let formulas = formulas(raw.formulas, &remote, &login, p)?;
    Ok(Source {
        remote,
        mirrors,
        reference: p.check(raw.reference, reference)?.unwrap_or_else(|| "main".to_owned()),
        commit,
        follow,
        file_roots: roots("file_root", raw.file_root, raw.file_roots, "", p)?,
        pillar_roots: roots("pillar_root", raw.pillar_root, raw.pillar_roots, "pillar", p)?,
        login,
        signed_by: list(raw.signed_by, "signed_by", p, |text| Signer::parse(&text))?,
        submodules: raw.submodules.is_none_or(|flag| flag.value),
        formulas,
    })
}

fn list<T, R>(
    given: Option<Vec<Spanned<T>>>,
    key: &str,
    p: &Places<'_>,
    check: impl Fn(T) -> Result<R, String>,
) -> Result<Vec<R>, Error>
where
    T: Clone,
{
    let given = given.unwrap_or_default();
    if let Some(extra) = given.get(MAX_LIST) {
        return Err(p.at(extra, format!("{key} has more than {MAX_LIST} entries")));
    }
    let one = |item: Spanned<T>| check(item.value.clone()).map_err(|e| p.at(&item, format!("{key} {e}")));
    given.into_iter().map(one).collect()
}

fn login(raw: &RawStates, remotes: &[&Remote], p: &Places<'_>) -> Result<Login, Error> {
    let file = |key: &'static str| move |text: String| absolute(key, &text).map(Secret::File);
    let token = p.check(raw.token.clone(), |v| secret("token", v))?;
    let token_file = p.check(raw.token_file.clone(), file("token_file"))?;
    let app = p.check(raw.github_app.clone(), app)?;
    let ssh_key = p.check(raw.ssh_key.clone(), |v| secret("ssh_key", v))?;
    let ssh_key_file = p.check(raw.ssh_key_file.clone(), file("ssh_key_file"))?;
    if let (Some(_), Some(second)) = (&raw.token, &raw.token_file) {
        return Err(p.at(second, "`token` and `token_file` are the same thing; keep one".into()));
    }
    if let (Some(_), Some(second)) = (&raw.ssh_key, &raw.ssh_key_file) {
        return Err(p.at(second, "`ssh_key` and `ssh_key_file` are the same thing; keep one".into()));
    }
    if let (true, Some(second)) = (token.is_some() || token_file.is_some(), &raw.github_app) {
        return Err(p.at(second, "`github_app` makes tokens of its own; keep it or the token".into()));
    }
    let message = || "a token would travel unencrypted over http://; use https://".to_owned();
    let open = raw.token_file.as_ref().map(|at| p.at(at, message()));
    let open = open.or_else(|| raw.token.as_ref().map(|at| p.at(at, message())));
    let open = open.or_else(|| raw.github_app.as_ref().map(|at| p.at(at, message())));
    if let (Some(error), true) = (open, remotes.iter().any(|remote| !remote.is_private())) {
        return Err(error);
    }
    Ok(Login {
        token: token.or(token_file),
        app,
        ssh_key: ssh_key.or(ssh_key_file),
        known_hosts_file: p.check(raw.known_hosts_file.clone(), |s| absolute("known_hosts_file", &s))?,
        proxy: p.check(raw.proxy.clone(), proxy)?,
    })
}

/// `{file: PATH}`, `{ssm: NAME}` or `{secret: ID, key: KEY}`.
fn secret(key: &str, value: Value) -> Result<Secret, String> {
    let usage = || format!("{key} is one of `{{file: /path}}`, `{{ssm: /name}}`, `{{secret: id, key: key}}`");
    let Value::Object(map) = value else { return Err(usage()) };
    let text = |name: &str| map.get(name).and_then(Value::as_str);
    let (file, ssm, secret, inner) = (text("file"), text("ssm"), text("secret"), text("key"));
    let found = match (file, ssm, secret, inner) {
        (Some(path), None, None, None) => Secret::File(absolute(&format!("{key}.file"), path)?),
        (None, Some(name), None, None) => Secret::Parameter(plain_id(key, name)?),
        (None, None, Some(id), inner) => Secret::Managed(plain_id(key, id)?, inner.map(str::to_owned)),
        _ => return Err(usage()),
    };
    let known = [file, ssm, secret, inner].iter().flatten().count();
    if known == map.len() { Ok(found) } else { Err(usage()) }
}

fn plain_id(key: &str, id: &str) -> Result<String, String> {
    let plain = id.bytes().all(|b| b.is_ascii_alphanumeric() || b"/_.:@+=-".contains(&b));
    match plain && !id.is_empty() && id.len() <= 2048 {
        true => Ok(id.to_owned()),
        false => Err(format!("{key} {id:?} is no name or ARN")),
    }
}

fn app(raw: RawApp) -> Result<App, String> {
    let id = match raw.id {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text,
        _ => String::new(),
    };
    if id.is_empty() || id.len() > 64 || !id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.') {
        return Err("github_app.id is the app's number or client id".into());
    }
    let api = raw.api.unwrap_or_else(|| "https://api.github.com".to_owned());
    match Remote::parse(&api) {
        Ok(remote @ Remote::Http(_)) if remote.is_private() => {}
        _ => return Err("github_app.api is an https:// address".into()),
    }
    let api = api.trim_end_matches('/').to_owned();
    Ok(App { id, installation: raw.installation, key: secret("github_app.key", raw.key)?, api })
}

fn proxy(text: String) -> Result<String, String> {
    match Remote::parse(&text) {
        Ok(Remote::Http(_)) => Ok(text),
        _ => {
            Err("proxy is http://HOST:PORT, without a password: user-data can be read by every process"
                .into())
        }
    }
}

fn formulas(
    raw: Option<Vec<Spanned<RawFormula>>>,
    tree: &Remote,
    login: &Login,
    p: &Places<'_>,
) -> Result<Vec<Formula>, Error> {
    let formulas = list(raw, "formulas:", p, |raw| formula(raw, tree, login))?;
    let mut names = BTreeSet::new();
    if let Some(twice) = formulas.iter().find(|formula| !names.insert(formula.name.clone())) {
        return Err(p.missing(&format!("two formulas are named {:?}; give one a `name`", twice.name)));
    }
    Ok(formulas)
}

/// What lets us into the tree's repository lets us into formulas of the same host, and nowhere else.
fn formula(raw: RawFormula, tree: &Remote, login: &Login) -> Result<Formula, String> {
    let remote = Remote::parse(&raw.url).map_err(|e| format!("url {e}"))?;
    let last = raw.url.trim_end_matches('/').rsplit(['/', ':']).next().unwrap_or_default();
    let name = raw.name.unwrap_or_else(|| last.trim_end_matches(".git").to_owned());
    let source = Source {
        login: if remote.same_host(tree) { login.clone() } else { login.elsewhere() },
        remote,
        mirrors: Vec::new(),
        reference: raw.reference.map_or_else(|| Ok("main".to_owned()), reference)?,
        commit: raw.commit.as_deref().map(commit).transpose()?,
        follow: true,
        file_roots: Roots::new(),
        pillar_roots: Roots::new(),
        signed_by: raw
            .signed_by
            .unwrap_or_default()
            .iter()
            .map(|s| Signer::parse(s))
            .collect::<Result<_, _>>()?,
        submodules: true,
        formulas: Vec::new(),
    };
    let root = raw.root.as_deref().map_or_else(|| Ok(PathBuf::new()), |root| inside("root", root))?;
    Ok(Formula { name: safe_name("name", name)?, source, root })
}

impl Login {
    /// What of it is for any host.
    pub(crate) fn elsewhere(&self) -> Self {
        let (known_hosts_file, proxy) = (self.known_hosts_file.clone(), self.proxy.clone());
        Self { known_hosts_file, proxy, ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    const HEAD: &str = "#mayfly\nrole: web\nstates:\n  url: https://github.com/acme/states.git\n";

    fn read(rest: &str) -> Result<Source, String> {
        parse(format!("{HEAD}{rest}").as_bytes()).map(|user| user.states).map_err(|e| e.to_string())
    }

    #[test]
    fn secrets_are_named_where_they_are_kept() {
        let login = |rest: &str| read(rest).unwrap().login;
        assert_eq!(login("  token: {ssm: /git/token}\n").token, Some(Secret::Parameter("/git/token".into())));
        let both = Secret::Managed("git".into(), Some("token".into()));
        assert_eq!(login("  token: {secret: git, key: token}\n").token, Some(both));
        assert_eq!(login("  ssh_key: {file: /k}\n").ssh_key, Some(Secret::File("/k".into())));
        let app = login("  github_app: {id: 7, installation: 9, key: {ssm: /k}}\n").app.unwrap();
        assert_eq!((app.id.as_str(), app.installation, app.api.as_str()), ("7", 9, "https://api.github.com"));
    }

    #[test]
    fn formulas_are_named_and_only_those_of_the_same_host_are_let_in_by_the_same_token() {
        let source = read(
            "  token_file: /t\n  formulas:\n    - url: https://github.com/acme/nginx-formula.git\n      ref: v1\n    \
             - {url: 'https://example.org/x', name: other, root: salt}\n",
        );
        let formulas = source.unwrap().formulas;
        let names: Vec<&str> = formulas.iter().map(|f| f.name.as_str()).collect();
        assert_eq!(names, ["nginx-formula", "other"]);
        assert_eq!(formulas[0].source.reference, "v1");
        assert_eq!(formulas[1].root, PathBuf::from("salt"));
        assert!(formulas[0].source.login.token.is_some() && formulas[1].source.login.token.is_none());
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        for (rest, expected) in [
            ("  token: /t\n", "user-data:5:10: token is one of"),
            ("  token: {ssm: /a, secret: b}\n", "user-data:5:10: token is one of"),
            ("  token: {ssm: /a, sm: b}\n", "user-data:5:10: token is one of"),
            ("  token: {ssm: 'a b'}\n", "user-data:5:10: token \"a b\" is no name"),
            ("  token: {ssm: /a}\n  token_file: /t\n", "user-data:6:15: `token` and `token_file`"),
            ("  token: {ssm: /a}\n  mirrors: ['http://h/x']\n", "user-data:5:10: a token would travel"),
            ("  mirrors: [x]\n", "user-data:5:13: mirrors must be"),
            ("  github_app: {id: 7, installation: 9, key: /k}\n", "user-data:5:15: github_app.key is one of"),
            (
                "  github_app: {id: 7, installation: 9, key: {ssm: /k}, api: 'http://x'}\n",
                "user-data:5:15: github_app.api",
            ),
            ("  proxy: 'http://u:p@h:1'\n", "user-data:5:10: proxy is http"),
            ("  signed_by: [ssh-dss AAAA]\n", "user-data:5:15: signed_by "),
            ("  formulas: [{url: 'https://h/a'}, {url: 'https://g/a.git'}]\n", "user-data:1:1: two formulas"),
            ("  formulas: [{url: 'https://h/a', root: ../x}]\n", "user-data:5:14: formulas: root"),
            ("  formulas: [{url: 'https://h/a', ruf: x}]\n", "user-data:5:35: unknown key `ruf`"),
        ] {
            let error = read(rest).unwrap_err();
            assert!(error.starts_with(expected), "{rest}: {error}");
        }
    }
}
