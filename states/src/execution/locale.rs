//! `locale.*`: the language of the machine.

use super::asked::Asked;
use super::{Answer, Table, list, string};
use crate::value::Value;

pub(super) const FUNCTIONS: Table =
    &[("locale.avail", avail), ("locale.get_locale", get_locale), ("locale.list_avail", list_avail)];

fn get_locale(asked: &Asked<'_>) -> Answer {
    asked.nothing()?;
    let files = ["/etc/locale.conf", "/etc/default/locale", "/etc/sysconfig/i18n"];
    let lang = |file: &&str| {
        let text = asked.read(file).ok()?;
        let line = text.lines().find_map(|l| l.strip_prefix("LANG="))?;
        Some(line.replace(['"', '\''], ""))
    };
    Ok(string(files.iter().find_map(lang).unwrap_or_default()))
}

fn all(asked: &Asked<'_>) -> Result<Vec<String>, String> {
    Ok(asked.output(&["locale", "-a"])?.split('\n').map(str::to_owned).collect())
}

fn list_avail(asked: &Asked<'_>) -> Answer {
    asked.nothing()?;
    Ok(list(all(asked)?))
}

fn avail(asked: &Asked<'_>) -> Answer {
    let wanted = normal(&asked.only("locale")?);
    Ok(Value::Bool(all(asked)?.iter().any(|have| normal(have) == wanted)))
}

/// `en_US.UTF-8` and `en_US.utf8` are the same.
fn normal(locale: &str) -> String {
    let (name, modifier) = locale.trim().split_once('@').unwrap_or((locale.trim(), ""));
    let (name, charset) = name.split_once('.').unwrap_or((name, ""));
    let charset = charset.split_whitespace().next().unwrap_or_default().to_lowercase().replace('-', "");
    format!("{name}.{charset}@{}", modifier.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::super::bench::Bench;

    #[test]
    fn the_language_that_the_files_name() {
        let bench = Bench::new(&[("/etc/default/locale", "#  File\nLANG=\"de_CH.UTF-8\"\n")]);
        assert_eq!(bench.json("locale.get_locale", &[]), "\"de_CH.UTF-8\"");
        assert_eq!(Bench::new(&[]).json("locale.get_locale", &[]), "\"\"");
        assert_eq!(super::normal("en_US.UTF-8"), super::normal("en_US.utf8"));
    }
}
