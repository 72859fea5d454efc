//! Grains of this process: its user, environment, folder, language and time zone.
// Effects: reads the environment and the clock; a time zone's short name depends on the season.
#![allow(clippy::disallowed_methods)]

use std::time::SystemTime;

use nix::unistd::{Gid, Group, Uid, User};
use tz::TimeZone;

use super::read::Root;
use super::{list, map, text};
use crate::value::{Map, Value};

/// What is read of the process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Process {
    /// `$PATH`.
    pub path: String,
    /// `$SHELL`, else `/bin/sh`.
    pub shell: String,
    /// `$LC_ALL`, else `$LC_CTYPE`, else `$LANG`.
    pub locale: String,
    /// The time zone's short name today, such as `UTC` or `CEST`.
    pub timezone: String,
    /// Name of the effective user.
    pub username: String,
    /// Name of that user's group.
    pub groupname: String,
    /// Effective user id.
    pub uid: i64,
    /// Effective group id.
    pub gid: i64,
    /// Process id.
    pub pid: i64,
    /// The folder that the process is in.
    pub cwd: String,
}

impl Process {
    pub(crate) fn read(root: &Root) -> Self {
        let var = |name: &str| std::env::var(name).ok();
        let said = |name: &str| var(name).filter(|value| !value.is_empty());
        let uid = Uid::effective();
        let user = User::from_uid(uid).ok().flatten();
        let group = user.as_ref().and_then(|user| Group::from_gid(user.gid).ok().flatten());
        Self {
            path: var("PATH").unwrap_or_default().trim().to_owned(),
            shell: var("SHELL").unwrap_or_else(|| "/bin/sh".to_owned()),
            locale: said("LC_ALL").or_else(|| said("LC_CTYPE")).or_else(|| said("LANG")).unwrap_or_default(),
            timezone: timezone(root, said("TZ").as_deref()),
            username: user.map(|user| user.name).unwrap_or_default(),
            groupname: group.map(|group| group.name).unwrap_or_default(),
            uid: i64::from(uid.as_raw()),
            gid: i64::from(Gid::effective().as_raw()),
            pid: i64::from(std::process::id()),
            cwd: std::env::current_dir()
                .map(|folder| folder.to_string_lossy().into_owned())
                .unwrap_or_default(),
        }
    }

    pub(crate) fn grains(&self) -> Map {
        let (language, encoding) = language(&self.locale);
        let locale = map([
            ("defaultlanguage", text(language)),
            ("defaultencoding", text(&encoding)),
            ("detectedencoding", text("utf-8")),
            ("timezone", text(&self.timezone)),
        ]);
        map([
            ("path", text(&self.path)),
            ("systempath", list(self.path.split(':'))),
            ("shell", text(&self.shell)),
            ("username", text(&self.username)),
            ("groupname", text(&self.groupname)),
            ("uid", Value::Int(self.uid)),
            ("gid", Value::Int(self.gid)),
            ("pid", Value::Int(self.pid)),
            ("cwd", text(&self.cwd)),
            ("locale_info", Value::Map(locale)),
        ])
    }
}

/// Language and encoding of a locale; Python takes the C locale for American English.
fn language(locale: &str) -> (&str, String) {
    let plain = locale.split('@').next().unwrap_or_default();
    let (language, encoding) = plain.split_once('.').unwrap_or((plain, "UTF-8"));
    let language = if ["", "C", "POSIX"].contains(&language) { "en_US" } else { language };
    let upper = encoding.to_uppercase();
    (language, if upper == "UTF8" { "UTF-8".to_owned() } else { upper })
}

/// The short name that the zone of `$TZ`, else of `/etc/localtime`, has now.
fn timezone(root: &Root, variable: Option<&str>) -> String {
    let variable = variable.map(|zone| zone.trim_start_matches(':'));
    let file = match variable {
        Some(zone) if zone.split('/').any(|part| part == "..") => return "UTC".to_owned(),
        Some(zone) => format!("usr/share/zoneinfo/{}", zone.trim_start_matches("/usr/share/zoneinfo/")),
        None => "etc/localtime".to_owned(),
    };
    let by_rule = || TimeZone::from_posix_tz(variable.filter(|zone| !zone.contains('/'))?).ok();
    let zone = root.bytes(&file).and_then(|bytes| TimeZone::from_tz_data(&bytes).ok()).or_else(by_rule);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let name = |zone: TimeZone| {
        let kind = zone.find_local_time_type(i64::try_from(now).ok()?).ok()?;
        Some(kind.time_zone_designation().to_owned())
    };
    zone.and_then(name).unwrap_or_else(|| "UTC".to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::read::written;
    use super::*;

    #[test]
    fn languages_and_encodings() {
        for (locale, known, code) in [
            ("", "en_US", "UTF-8"),
            ("C.UTF-8", "en_US", "UTF-8"),
            ("POSIX", "en_US", "UTF-8"),
            ("de_DE.utf8", "de_DE", "UTF-8"),
            ("de_DE.ISO-8859-15@euro", "de_DE", "ISO-8859-15"),
        ] {
            assert_eq!(language(locale), (known, code.to_owned()));
        }
    }

    #[test]
    fn a_time_zone_by_rule_and_nonsense_as_utc() {
        let folder = written(&[("etc/localtime", "TZif nonsense")]);
        let root = Root(folder.path());
        assert_eq!(timezone(&root, Some("JST-9")), "JST");
        assert_eq!(timezone(&root, Some("../../etc/shadow")), "UTC");
        assert_eq!(timezone(&root, None), "UTC");
    }

    #[test]
    fn the_path_is_taken_apart_as_it_is() {
        let grains = Process { path: "/bin::/sbin".to_owned(), ..Process::default() }.grains();
        assert_eq!(grains["systempath"], list(["/bin", "", "/sbin"]));
    }
}
