//! The address of the state repository, taken apart and refused where it could mean something else. Pure.

use std::path::PathBuf;

/// A repository address that is safe to use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Remote {
    /// `https://` or `http://`, without credentials in it.
    Http(String),
    /// `file://`: a repository on this machine.
    File(PathBuf),
    /// `ssh://user@host:port/path` or `user@host:path`.
    Ssh(SshAddress),
}

/// Where `ssh` goes and what it asks for there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SshAddress {
    /// Login name.
    pub(crate) user: Option<String>,
    /// Host name or address.
    pub(crate) host: String,
    /// Port, where it is not ssh's own choice.
    pub(crate) port: Option<u16>,
    /// Path of the repository there; relative ones are relative to the login's home.
    pub(crate) path: String,
}

impl Remote {
    /// Reads an address; the error says what to write instead.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        if url.is_empty() || url.len() > 2048 || url.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err("must be an address without blanks, at most 2048 characters".into());
        }
        if url.starts_with("https://") || url.starts_with("http://") {
            return http(url);
        }
        if let Some(path) = url.strip_prefix("file://") {
            return match path.starts_with('/') {
                true => Ok(Self::File(PathBuf::from(path))),
                false => Err("file:// needs an absolute path: file:///srv/states.git".into()),
            };
        }
        if let Some(rest) = url.strip_prefix("ssh://") {
            return ssh_url(rest).map(Self::Ssh);
        }
        match url.split_once("://") {
            Some((scheme, _)) => Err(format!("{scheme}:// is not supported; use https, http, file or ssh")),
            None => scp_like(url).map(Self::Ssh),
        }
    }

    /// The address in the form that libgit2 chooses the transport by.
    pub(crate) fn url(&self) -> String {
        match self {
            Self::Http(url) => url.clone(),
            Self::File(path) => format!("file://{}", path.display()),
            Self::Ssh(a) => format!("ssh://{}/{}", a.host, a.path.trim_start_matches('/')),
        }
    }

    /// Whether what lets us in here is for that other repository too: the same scheme, host and port.
    pub(crate) fn same_host(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Http(a), Self::Http(b)) => origin(a) == origin(b),
            (Self::Ssh(a), Self::Ssh(b)) => (&a.user, &a.host, a.port) == (&b.user, &b.host, b.port),
            (Self::File(_), Self::File(_)) => true,
            _ => false,
        }
    }

    /// The address that a submodule of this repository gives, which may be relative to it. A repository from elsewhere
    /// cannot have this machine read its own files, nor log in by SSH where we do not.
    pub(crate) fn submodule(&self, url: &str) -> Result<Self, String> {
        let found = if url.starts_with("./") || url.starts_with("../") {
            self.beside(url)?
        } else {
            Self::parse(url)?
        };
        let allowed = match (self, &found) {
            (Self::Http(ours), Self::Http(its)) => its.starts_with("https://") || ours.starts_with("http://"),
            (Self::Ssh(_), Self::Http(its)) => its.starts_with("https://"),
            (Self::Ssh(_), Self::Ssh(_)) => self.same_host(&found),
            (Self::File(_), _) => true,
            _ => false,
        };
        if allowed { Ok(found) } else { Err(format!("{url:?} is not reached from {}", self.url())) }
    }

    fn beside(&self, relative: &str) -> Result<Self, String> {
        let climb = |path: &str| {
            let mut parts: Vec<&str> = path.trim_end_matches('/').split('/').collect();
            for part in relative.split('/').filter(|part| !part.is_empty() && *part != ".") {
                match part {
                    ".." if parts.last().is_some_and(|last| !last.is_empty()) => drop(parts.pop()),
                    ".." => return Err(format!("{relative:?} leads out of the server")),
                    name => parts.push(name),
                }
            }
            Ok(parts.join("/"))
        };
        match self {
            Self::Http(url) => {
                let (scheme, rest) = url.split_once("://").ok_or("no scheme")?;
                let (host, path) = rest.split_once('/').ok_or("no path")?;
                Self::parse(&format!("{scheme}://{host}/{}", climb(path)?))
            }
            Self::File(path) => Ok(Self::File(PathBuf::from(climb(&path.to_string_lossy())?))),
            Self::Ssh(address) => {
                Ok(Self::Ssh(SshAddress { path: climb(&address.path)?, ..address.clone() }))
            }
        }
    }

    /// Whether requests travel encrypted, or never leave the machine.
    pub(crate) fn is_private(&self) -> bool {
        match self {
            Self::Http(url) => url.starts_with("https://") || is_loopback(url),
            Self::File(_) | Self::Ssh(_) => true,
        }
    }
}

fn http(url: &str) -> Result<Remote, String> {
    let authority = url.split("://").nth(1).unwrap_or("").split(['/', '?', '#']).next().unwrap_or("");
    if authority.is_empty() {
        return Err("has no host".into());
    }
    if authority.contains('@') {
        return Err(
            "has credentials in it, and user-data can be read by every process; put them into `token_file`"
                .into(),
        );
    }
    Ok(Remote::Http(url.trim_end_matches('/').to_owned()))
}

fn is_loopback(url: &str) -> bool {
    let authority = url.split("://").nth(1).unwrap_or("").split('/').next().unwrap_or("");
    let host = authority.rsplit_once(':').map_or(authority, |(h, _)| h);
    host == "localhost"
        || host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn ssh_url(rest: &str) -> Result<SshAddress, String> {
    let (authority, path) = rest.split_once('/').ok_or("has no path: ssh://user@host/path")?;
    let (user, host_port) = split_user(authority);
    let (host, port) = match host_port.rsplit_once(':') {
        Some((host, port)) if !host_port.ends_with(']') => {
            (host, Some(port.parse().map_err(|_| format!("port {port:?} is not a number up to 65535"))?))
        }
        _ => (host_port, None),
    };
    // `/~user/…` is a login's home, as git reads it.
    let path = if path.starts_with('~') { path.to_owned() } else { format!("/{path}") };
    checked(user, host.trim_matches(['[', ']']), port, &path)
}

/// Scheme, host and port as they are written.
fn origin(url: &str) -> String {
    url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/").to_ascii_lowercase()
}

fn scp_like(url: &str) -> Result<SshAddress, String> {
    let (authority, path) =
        url.split_once(':').ok_or("must be https://, http://, file://, ssh:// or user@host:path")?;
    if authority.contains('/') {
        return Err("must be https://, http://, file://, ssh:// or user@host:path".into());
    }
    let (user, host) = split_user(authority);
    checked(user, host, None, path)
}

fn split_user(authority: &str) -> (Option<&str>, &str) {
    match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    }
}

/// ssh would take a leading `-` as an option.
fn checked(user: Option<&str>, host: &str, port: Option<u16>, path: &str) -> Result<SshAddress, String> {
    let name = |s: &str, extra: &str| {
        !s.is_empty()
            && !s.starts_with('-')
            && s.chars().all(|c| c.is_ascii_alphanumeric() || extra.contains(c))
    };
    if !name(host, ".-_:") {
        return Err(format!("{host:?} is not a host name"));
    }
    if user.is_some_and(|u| !name(u, ".-_")) {
        return Err("has a login name with characters other than letters, digits, `.`, `_`, `-`".into());
    }
    if path.is_empty() || path == "/" || path.starts_with('-') {
        return Err("has no usable path after the host".into());
    }
    Ok(SshAddress { user: user.map(str::to_owned), host: host.to_owned(), port, path: path.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ssh(user: Option<&str>, host: &str, port: Option<u16>, path: &str) -> Remote {
        Remote::Ssh(SshAddress { user: user.map(Into::into), host: host.into(), port, path: path.into() })
    }

    #[test]
    fn the_five_forms_are_read() {
        let ok = |u: &str| Remote::parse(u).unwrap();
        assert_eq!(ok("https://h/a.git/"), Remote::Http("https://h/a.git".into()));
        assert_eq!(ok("http://h:80/a"), Remote::Http("http://h:80/a".into()));
        assert_eq!(ok("file:///srv/a.git"), Remote::File("/srv/a.git".into()));
        assert_eq!(ok("ssh://git@h:2222/a.git"), ssh(Some("git"), "h", Some(2222), "/a.git"));
        assert_eq!(ok("ssh://git@h/~git/a.git"), ssh(Some("git"), "h", None, "~git/a.git"));
        assert_eq!(ok("git@github.com:acme/a.git"), ssh(Some("git"), "github.com", None, "acme/a.git"));
    }

    #[test]
    fn what_ssh_would_take_as_an_option_is_refused() {
        for url in [
            "-oProxyCommand=x:y",
            "ssh://-oProxyCommand=x/y",
            "ssh://-x@h/y",
            "git@h:-x",
            "git@-h:x",
            "h;x:y",
        ] {
            assert!(Remote::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn odd_addresses_are_refused_with_the_reason() {
        for (url, part) in [
            ("ftp://h/x", "not supported"),
            ("https://u:p@h/x", "token_file"),
            ("https:///x", "no host"),
            ("file://x", "absolute"),
            ("/srv/x", "must be"),
            ("https://h/a b", "blanks"),
            ("ssh://h:99999/x", "port"),
        ] {
            let error = Remote::parse(url).unwrap_err();
            assert!(error.contains(part), "{url}: {error}");
        }
    }

    #[test]
    fn submodules_are_found_beside_their_tree_and_never_on_this_machine() {
        let tree = Remote::parse("https://github.com/acme/states.git").unwrap();
        let http = |url: &str| Remote::Http(url.to_owned());
        assert_eq!(tree.submodule("../nginx.git"), Ok(http("https://github.com/acme/nginx.git")));
        assert_eq!(tree.submodule("https://example.org/x"), Ok(http("https://example.org/x")));
        for url in ["file:///etc", "http://example.org/x", "git@github.com:acme/x", "../../../x", "-x:y"] {
            assert!(tree.submodule(url).is_err(), "{url}");
        }
        let tree = Remote::parse("git@github.com:acme/states.git").unwrap();
        assert_eq!(tree.submodule("../nginx.git"), Remote::parse("git@github.com:acme/nginx.git"));
        assert!(tree.submodule("git@example.org:x").is_err());
    }

    #[test]
    fn loopback_counts_as_private() {
        assert!(Remote::parse("http://127.0.0.1:80/x").unwrap().is_private());
        assert!(Remote::parse("http://[::1]:80/x").unwrap().is_private());
        assert!(!Remote::parse("http://127.0.0.1.example.com/x").unwrap().is_private());
        assert!(Remote::parse("https://h/x").unwrap().is_private());
    }
}
