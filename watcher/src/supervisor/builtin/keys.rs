//! Keys of unit files that nobody takes: what is said of them, and what they may have been meant to be. Pure.

use super::text::{Directive, UnitError};

/// Keys that change nothing here and are no reason for a note.
const SILENT: [&str; 12] = [
    "Description",
    "Documentation",
    "After",
    "Before",
    "Wants",
    "Requires",
    "DefaultDependencies",
    "PartOf",
    "Conflicts",
    "SyslogIdentifier",
    "Also",
    "BindsTo",
];

/// Our own keys begin so; systemd passes over all that begin with `X-`.
const OWN: &str = "X-Mayfly-";

/// What is done, by section.
const DONE: [(&str, &[&str]); 3] = [
    (
        "Service",
        &[
            "Type",
            "ExecStart",
            "ExecStartPre",
            "ExecStartPost",
            "X-Mayfly-ReadyPort",
            "X-Mayfly-ReadyCommand",
            "ExecReload",
            "RemainAfterExit",
            "NoNewPrivileges",
            "Restart",
            "RestartSec",
            "RestartMaxDelaySec",
            "KillSignal",
            "KillMode",
            "TimeoutStartSec",
            "TimeoutStopSec",
            "TimeoutSec",
            "User",
            "Group",
            "SupplementaryGroups",
            "Environment",
            "PassEnvironment",
            "EnvironmentFile",
            "WorkingDirectory",
            "UMask",
            "StandardOutput",
            "StandardError",
            "RuntimeDirectory",
            "RuntimeDirectoryMode",
            "StateDirectory",
            "StateDirectoryMode",
            "CacheDirectory",
            "CacheDirectoryMode",
            "LogsDirectory",
            "LogsDirectoryMode",
            "LimitNOFILE",
            "LimitNPROC",
            "LimitCORE",
            "LimitAS",
            "LimitMEMLOCK",
            "LimitSTACK",
            "LimitFSIZE",
            "LimitDATA",
            "LimitCPU",
            "LimitNICE",
            "LimitRTPRIO",
            "LimitSIGPENDING",
        ],
    ),
    ("Install", &["WantedBy", "RequiredBy", "Alias"]),
    (
        "Socket",
        &[
            "ListenStream",
            "Accept",
            "Backlog",
            "SocketMode",
            "SocketUser",
            "SocketGroup",
            "FileDescriptorName",
        ],
    ),
];

/// A sentence about a directive that is read and not done; an error when it is one of our own keys, which nobody else
/// would do either.
pub(super) fn note(d: &Directive) -> Result<Option<String>, UnitError> {
    let is_own = d.key.get(..OWN.len()).is_some_and(|start| start.eq_ignore_ascii_case(OWN));
    let is_silent =
        SILENT.contains(&d.key.as_str()) || d.section.starts_with("X-") || d.key.starts_with("X-");
    if is_silent && !is_own {
        return Ok(None);
    }
    let known = DONE.iter().find(|(section, _)| *section == d.section).map_or(&[][..], |(_, keys)| keys);
    let elsewhere = DONE.iter().find(|(_, keys)| keys.contains(&d.key.as_str())).map(|(section, _)| *section);
    let meant = match elsewhere {
        Some(section) if section == d.section => format!("; it belongs in a {} file", file_of(section)),
        Some(section) => format!("; it belongs in [{section}]"),
        None => nearest(&d.key, known).map(|key| format!("; did you mean `{key}`?")).unwrap_or_default(),
    };
    if is_own {
        let reason = format!("unknown key `{}` in [{}]{meant}", d.key, d.section);
        return Err(UnitError { file: d.file.clone(), line: d.line, column: 1, reason });
    }
    let place = format!("{}:{}", d.file.display(), d.line);
    Ok(Some(format!("{place}: {}= in [{}] is ignored by the built-in supervisor{meant}", d.key, d.section)))
}

/// What the files are called that have this section.
fn file_of(section: &str) -> &'static str {
    if section == "Socket" { ".socket" } else { ".service" }
}

/// A key that this one is a slip of: near enough that systemd's many others are not taken for one.
fn nearest(key: &str, known: &[&'static str]) -> Option<&'static str> {
    let lower = key.to_ascii_lowercase();
    let allowed = |known: &str| if known.len().min(key.len()) < 9 { 1 } else { 2 };
    // Units are read in every restart, and a comparison takes a thousand times as long as that of the lengths.
    let near = known.iter().filter(|known| known.len().abs_diff(key.len()) <= allowed(known));
    let scored = near.map(|k| (strsim::damerau_levenshtein(&lower, &k.to_ascii_lowercase()), *k));
    scored.filter(|(distance, known)| *distance <= allowed(known)).min().map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::super::socket_unit::Sockets;
    use super::super::text::{Specifiers, directives};
    use super::super::unit::Service;
    use super::*;
    use std::path::Path;

    fn noted(section: &str, key: &str) -> Result<Option<String>, UnitError> {
        let text = format!("[{section}]\n{key}=1\n");
        note(&directives(Path::new("/u/a.service"), &text).unwrap()[0])
    }

    #[test]
    fn a_slip_is_told_with_what_was_meant() {
        for (section, key, meant) in [
            ("Service", "Restrat", "did you mean `Restart`?"),
            ("Service", "execstart", "did you mean `ExecStart`?"),
            ("Service", "Enviroment", "did you mean `Environment`?"),
            ("Install", "WantedBby", "did you mean `WantedBy`?"),
            ("Socket", "ListenStraem", "did you mean `ListenStream`?"),
            ("Unit", "Restart", "it belongs in [Service]"),
            ("Socket", "ListenStream", "it belongs in a .socket file"),
        ] {
            let note = noted(section, key).unwrap().unwrap();
            assert!(note.starts_with("/u/a.service:2: ") && note.ends_with(meant), "{note}");
        }
    }

    #[test]
    fn what_systemd_knows_besides_is_no_slip() {
        for key in [
            "ExecStop",
            "ExecStopPost",
            "RestartSteps",
            "LimitRSS",
            "StandardInput",
            "TimeoutAbortSec",
            "PrivateTmp",
        ] {
            let note = noted("Service", key).unwrap().unwrap();
            assert!(note.ends_with("is ignored by the built-in supervisor"), "{note}");
        }
        assert_eq!(noted("Unit", "After").unwrap(), None);
        assert_eq!(noted("Service", "X-Other-Tool").unwrap(), None);
    }

    #[test]
    fn a_key_of_our_own_that_nobody_knows_is_an_error() {
        let error = noted("Service", "X-Mayfly-ReadyProt").unwrap_err().to_string();
        let expected = "/u/a.service:2:1: unknown key `X-Mayfly-ReadyProt` in [Service]; did you mean \
                        `X-Mayfly-ReadyPort`?";
        assert_eq!(error, expected);
        let error = noted("Unit", "X-Mayfly-ReadyPort").unwrap_err().to_string();
        assert!(error.ends_with("; it belongs in [Service]"), "{error}");
        assert!(noted("Service", "x-mayfly-whatever").is_err());
    }

    #[test]
    fn the_keys_that_are_proposed_are_the_ones_that_are_taken() {
        let with =
            Specifiers { name: "a".into(), user: "root".into(), home: "/root".into(), hostname: "h".into() };
        for (section, keys) in DONE {
            for key in keys {
                // A value that is wrong for this key is an error, and one that is right no note: it is taken.
                let text = format!("[Service]\nExecStart=/bin/a\n[{section}]\n{key}=1\n");
                let all = directives(Path::new("/u/a.service"), &text).unwrap();
                let notes = if section == "Socket" {
                    Sockets::from_directives(&all[1..], &with).map(|unit| unit.notes)
                } else {
                    Service::from_directives(&all, &with).map(|unit| unit.notes)
                };
                assert!(!notes.is_ok_and(|notes| !notes.is_empty()), "{section} {key}");
            }
        }
    }
}
