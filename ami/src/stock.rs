//! Stock images: the script that brings `mayfly-boot` onto a machine that has only what its distribution gave it, and the
//! user-data that carries it beside a document. Nothing of the program runs before its checksum, and its signature where a
//! key is given, were checked.

use crate::recipe::RecipeError;
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// Where `mayfly-boot` comes from, and how it is known to be the one that was meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boot {
    /// `https://` (or, in a sandbox, `http://`) address of the program.
    pub url: String,
    /// Its SHA-256, 64 hex digits.
    pub sha256: String,
    /// Who must have signed it, if anybody.
    pub signed: Option<Signed>,
}

/// A signature of `ssh-keygen -Y sign -n mayfly-boot`: every stock image has `ssh-keygen`, which makes its host keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// Address of the signature.
    pub url: String,
    /// The public key as in an `authorized_keys` file, without options or comment: `ssh-ed25519 AAAA…`.
    pub key: String,
}

/// What the machine is to become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then<'a> {
    /// An instance: the program takes over.
    Run,
    /// An image with the program, and these lines in the file of known hosts of git servers.
    Seal(Option<&'a KnownHosts>),
}

/// What SSH knows of git servers: a file of the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownHosts {
    /// Where it is on the image.
    pub path: String,
    /// Its lines.
    pub text: String,
}

/// The unit, as packages install it too.
const UNIT: &str = include_str!("../../bootstrap/mayfly-boot.service");
/// What every stock machine does.
const FETCH: &str = include_str!("stock.sh");

/// Packages have the program elsewhere; comments need not travel.
fn unit() -> String {
    let lines = UNIT.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n"));
    lines.collect::<String>().replace("=/usr/bin/mayfly-boot", "=/usr/local/bin/mayfly-boot")
}

const ENABLE: &str = "\
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload
  systemctl enable mayfly-boot.service >/dev/null 2>&1
fi
";

const RUN: &str = "\
if [ -d /run/systemd/system ]; then
  systemctl \"$verb\" --no-block mayfly-boot.service
else
  trap - EXIT
  exec \"$program\" run
fi
";

const SEAL: &str = "\
\"$program\" seal --yes >/dev/console 2>&1 || fail 'this machine is not fit to be an image'
trap - EXIT
sync
poweroff
";

impl Boot {
    /// The script, for cloud-init (or the sandbox) to run as root.
    ///
    /// # Errors
    /// [`RecipeError`] for what could not stand in a script.
    pub fn script(&self, then: Then<'_>) -> Result<String, RecipeError> {
        self.check()?;
        let (signature, signer) =
            self.signed.as_ref().map_or(("", ""), |signed| (signed.url.as_str(), signed.key.as_str()));
        let after_failure = if matches!(then, Then::Run) { ":" } else { "poweroff" };
        let mut script = String::from(
            "#!/bin/sh\n# Brings mayfly-boot onto a stock image: fetched, checked, then installed; nothing of it runs before.\n",
        );
        for (name, value) in
            [("url", &*self.url), ("sha256", &*self.sha256), ("signature", signature), ("signer", signer)]
        {
            let _ = writeln!(script, "{name}='{value}'");
        }
        let _ = writeln!(script, "after_failure() {{ {after_failure}; }}");
        script += FETCH;
        script += &unit();
        script += "UNIT\n";
        script += ENABLE;
        match then {
            Then::Run => script += RUN,
            Then::Seal(known_hosts) => {
                script += &known_hosts.map(KnownHosts::script).transpose()?.unwrap_or_default();
                script += SEAL;
            }
        }
        Ok(script)
    }

    /// The user-data of a stock machine that is told `document` besides: MIME, of which cloud-init runs the script and
    /// `mayfly-boot` reads the document.
    ///
    /// # Errors
    /// [`RecipeError`] for what could not stand in a script.
    pub fn with_document(&self, document: &str) -> Result<Vec<u8>, RecipeError> {
        Ok(multipart(&self.script(Then::Run)?, document).into_bytes())
    }

    fn check(&self) -> Result<(), RecipeError> {
        check_url(&self.url)?;
        if self.sha256.len() != 64 || !self.sha256.chars().all(|c| c.is_ascii_hexdigit()) {
            return Err(RecipeError::BadSum(self.sha256.clone()));
        }
        let Some(signed) = &self.signed else { return Ok(()) };
        check_url(&signed.url)?;
        let is_base64 = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "+/=".contains(c));
        let is_kind = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "-.@".contains(c));
        match signed.key.split(' ').collect::<Vec<_>>()[..] {
            [kind, key] if !kind.is_empty() && is_kind(kind) && key.starts_with("AAAA") && is_base64(key) => {
                Ok(())
            }
            _ => Err(RecipeError::BadKey(signed.key.clone())),
        }
    }
}

impl KnownHosts {
    fn script(&self) -> Result<String, RecipeError> {
        let good = |c: char| c.is_ascii_graphic() || c == ' ';
        let path = &self.path;
        let lines = self.text.lines().all(|line| line.chars().all(good) && line != "KNOWN_HOSTS");
        let plain = path.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
        if !lines || !plain || !path.starts_with("/") || path.contains("/../") {
            return Err(RecipeError::BadKnownHosts(path.clone()));
        }
        let text = self.text.trim_end();
        let folder = path.rsplit_once('/').map_or("/", |(folder, _)| folder);
        Ok(format!(
            "mkdir -p '{folder}/'\ncat >'{path}' <<'KNOWN_HOSTS'\n{text}\nKNOWN_HOSTS\nchmod 0644 '{path}'\n"
        ))
    }
}

fn check_url(url: &str) -> Result<(), RecipeError> {
    let scheme = url.starts_with("https://") || url.starts_with("http://");
    if !scheme || !url.chars().all(|c| c.is_ascii_graphic() && !"'\"\\`$".contains(c)) {
        return Err(RecipeError::BadUrl(url.to_owned()));
    }
    Ok(())
}

/// The two parts in one message. The boundary is made of their content, so that it is not in it.
fn multipart(script: &str, document: &str) -> String {
    let boundary = format!("mayfly-{}", &hex(&Sha256::digest(format!("{script}{document}")))[..24]);
    let part = |kind: &str, body: &str| {
        format!(
            "--{boundary}\nContent-Type: {kind}; charset=\"utf-8\"\nContent-Transfer-Encoding: 8bit\n\n{body}\n"
        )
    };
    format!(
        "Content-Type: multipart/mixed; boundary=\"{boundary}\"\nMIME-Version: 1.0\n\n{}{}--{boundary}--\n",
        part("text/x-shellscript", script),
        part("text/mayfly", document)
    )
}

/// The document in user-data that [`Boot::with_document`] made; anything else as it is.
pub(crate) fn document_of(text: String) -> String {
    let Some(boundary) = text
        .strip_prefix("Content-Type: multipart/mixed; boundary=\"")
        .and_then(|rest| rest.split('"').next())
        .filter(|boundary| boundary.starts_with("mayfly-"))
    else {
        return text;
    };
    let mark = format!("--{boundary}");
    let mut parts = text.split(mark.as_str());
    let found = parts.find(|part| part.starts_with("\nContent-Type: text/mayfly"));
    found.and_then(|part| part.split_once("\n\n")).map(|(_, body)| body.to_owned()).unwrap_or_default()
}

/// Lower-case hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boot() -> Boot {
        Boot { url: "https://example.org/mayfly-boot".into(), sha256: "ab".repeat(32), signed: None }
    }

    #[test]
    fn what_could_break_out_of_the_script_is_refused() {
        for bad in ["https://x/'; reboot; '", "ftp://x/y", "https://x/$(id)", "https://x/a b"] {
            let boot = Boot { url: bad.into(), ..boot() };
            assert_eq!(boot.script(Then::Run), Err(RecipeError::BadUrl(bad.into())));
        }
        let bad = Boot { sha256: "12".into(), ..boot() };
        assert_eq!(bad.script(Then::Run), Err(RecipeError::BadSum("12".into())));
        for key in ["ssh-ed25519", "ssh-ed25519 AAAA'x", "cert-authority ssh-ed25519 AAAA", "a\nb AAAA"] {
            let signed = Some(Signed { url: "https://x/y.sig".into(), key: key.into() });
            let bad = Boot { signed, ..boot() };
            assert_eq!(bad.script(Then::Run), Err(RecipeError::BadKey(key.into())));
        }
        for (path, text) in
            [("/etc/../x", ""), ("etc/x", ""), ("/a'b", ""), ("/a", "KNOWN_HOSTS\nid"), ("/a", "\u{7}")]
        {
            let hosts = KnownHosts { path: path.into(), text: text.into() };
            let refused = boot().script(Then::Seal(Some(&hosts)));
            assert_eq!(refused, Err(RecipeError::BadKnownHosts(path.into())), "{path} {text}");
        }
    }

    #[test]
    fn the_document_comes_back_out_of_the_message() {
        let document = "#mayfly\nrole: wéb\npillar: {a: '--mayfly-1'}\n";
        let bytes = boot().with_document(document).expect("user-data");
        let text = String::from_utf8(bytes).expect("text");
        assert_eq!(document_of(text).trim_end(), document.trim_end());
        assert_eq!(document_of(document.to_owned()), document);
    }

    /// Every shell that a stock image has for `/bin/sh` reads POSIX; the one of this machine reads the script here.
    #[test]
    #[allow(clippy::disallowed_methods)]
    fn the_script_is_one_that_sh_reads() {
        let hosts =
            KnownHosts { path: "/etc/mayfly/known_hosts".into(), text: "h ssh-ed25519 AAAA\n".into() };
        for then in [Then::Run, Then::Seal(None), Then::Seal(Some(&hosts))] {
            let script = boot().script(then).expect("a script");
            assert!(
                script.starts_with("#!/bin/sh\n") && script.len() < 6_000 && script.is_ascii(),
                "{script}"
            );
            assert!(script.contains("\nExecStart=/usr/local/bin/mayfly-boot run\n"), "{script}");
            let read = std::process::Command::new("sh").args(["-n", "-c", &script]).output().expect("sh");
            assert!(read.status.success(), "{}\n{script}", String::from_utf8_lossy(&read.stderr));
        }
    }
}
