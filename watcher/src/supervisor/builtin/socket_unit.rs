//! What a `.socket` file means: the stated subset of systemd.socket(5), as data. Pure.

use super::keys::note;
use super::text::{Directive, Specifiers, UnitError};
use super::unit::{boolean, octal};
use std::path::PathBuf;

/// One `ListenStream=`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Listen {
    /// A port on every address.
    Port(u16),
    /// An address and port.
    Address(std::net::SocketAddr),
    /// A path, or an abstract name after `@`.
    Unix(PathBuf),
}

/// The sockets held for a service, validated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sockets {
    pub(crate) listen: Vec<Listen>,
    pub(crate) backlog: i32,
    pub(crate) mode: u32,
    pub(crate) user: Option<String>,
    pub(crate) group: Option<String>,
    pub(crate) fd_name: String,
    pub(crate) notes: Vec<String>,
}

impl Sockets {
    /// The sockets that the directives of a `.socket` file describe.
    pub(crate) fn from_directives(all: &[Directive], with: &Specifiers) -> Result<Self, UnitError> {
        let mut sockets = Self {
            listen: vec![],
            backlog: 4096,
            mode: 0o666,
            user: None,
            group: None,
            fd_name: format!("{}.socket", with.name),
            notes: vec![],
        };
        for directive in all {
            if !sockets.take(directive, with)? {
                sockets.notes.extend(note(directive)?);
            }
        }
        Ok(sockets)
    }

    fn take(&mut self, d: &Directive, with: &Specifiers) -> Result<bool, UnitError> {
        if d.section != "Socket" {
            return Ok(d.section == "Install");
        }
        let text = with.expand(&d.value).map_err(|e| d.wrong(e))?;
        match d.key.as_str() {
            "ListenStream" if text.is_empty() => self.listen.clear(),
            "ListenStream" => self.listen.push(listen(&text).map_err(|e| d.wrong(e))?),
            "ListenDatagram" | "ListenSequentialPacket" | "ListenFIFO" => {
                return Err(d.wrong(format!("{} is not supported; use ListenStream=", d.key)));
            }
            "Accept" if boolean(d)? => {
                return Err(d.wrong("Accept=yes is not supported: the service accepts by itself"));
            }
            "Accept" => {}
            "Backlog" => self.backlog = text.parse().map_err(|_| d.wrong("expected a number"))?,
            "SocketMode" => self.mode = octal(d)?,
            "SocketUser" => self.user = Some(text),
            "SocketGroup" => self.group = Some(text),
            "FileDescriptorName" => self.fd_name = text,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl std::fmt::Display for Listen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Port(port) => write!(f, "{port}"),
            Self::Address(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// What a `ListenStream=` says.
pub(crate) fn listen(text: &str) -> Result<Listen, String> {
    if text.starts_with(['/', '@']) {
        return Ok(Listen::Unix(PathBuf::from(text)));
    }
    if let Ok(port) = text.parse() {
        return Ok(Listen::Port(port));
    }
    text.parse().map(Listen::Address).map_err(|_| {
        format!("`{text}` is not a port, an ADDRESS:PORT, an absolute path or an @abstract name")
    })
}
