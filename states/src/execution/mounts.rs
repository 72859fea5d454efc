//! `mount.*` and `disk.*`: file systems and the room on them.

use super::asked::{Asked, str_arg, truth};
use super::{Answer, Table, list, map, number, str_of, string};
use crate::modules::accounts::Accounts;
use crate::value::{Map, Value};

pub(super) const FUNCTIONS: Table = &[
    ("disk.inodeusage", inodeusage),
    ("disk.percent", percent),
    ("disk.usage", usage),
    ("mount.active", active),
    ("mount.fstab", fstab),
    ("mount.is_mounted", is_mounted),
    ("mount.swaps", swaps),
];

/// By mount point, the last one mounted there.
fn mounted(asked: &Asked<'_>) -> Map {
    let accounts = Accounts::read(asked.host.root()).unwrap_or_default();
    let mut all = Map::new();
    for line in asked.read_or_empty("/proc/self/mounts").lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [device, point, kind, options, ..] = fields.as_slice() else { continue };
        let options = options.split(',').map(|option| numbered(&accounts, option));
        let entry = map([
            ("device", string(*device)),
            ("alt_device", string(*device)),
            ("fstype", string(*kind)),
            ("opts", list(options)),
        ]);
        all.insert((*point).to_owned(), entry);
    }
    all
}

/// `uid=web` as `uid=33`, and a blank as Salt writes it.
fn numbered(accounts: &Accounts, option: &str) -> String {
    let id = match option.split_once('=') {
        Some(("uid", name)) => accounts.user(name).map(|u| u.uid),
        Some(("gid", name)) => accounts.group(name).map(|g| g.gid),
        _ => None,
    };
    let option = id.map_or_else(|| option.to_owned(), |id| format!("{}={id}", &option[..3]));
    option.replace("\\040", "\\ ")
}

fn active(asked: &Asked<'_>) -> Answer {
    let [extended] = asked.bind(["extended"])?;
    if truth(extended) {
        return Err("`extended` is not supported in a template".to_owned());
    }
    Ok(Value::Map(mounted(asked)))
}

fn is_mounted(asked: &Asked<'_>) -> Answer {
    let name = asked.only("name")?;
    Ok(Value::Bool(mounted(asked).contains_key(&name)))
}

fn fstab(asked: &Asked<'_>) -> Answer {
    let [config] = asked.bind(["config"])?;
    let path = config.map_or_else(|| "/etc/fstab".to_owned(), str_of);
    let mut all = Map::new();
    for line in asked.read_or_empty(&path).lines().filter(|l| !l.starts_with('#')) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [device, name, kind, options, rest @ ..] = fields.as_slice() else { continue };
        let number = |at: usize| string(rest.get(at).copied().unwrap_or("0"));
        if rest.len() > 2 {
            continue;
        }
        let mut name = (*name).to_owned();
        while all.contains_key(&name) {
            name.push('_');
        }
        let entry = map([
            ("device", string(*device)),
            ("fstype", string(*kind)),
            ("opts", list(options.split(','))),
            ("dump", number(0)),
            ("pass", number(1)),
        ]);
        all.insert(name, entry);
    }
    Ok(Value::Map(all))
}

fn swaps(asked: &Asked<'_>) -> Answer {
    asked.nothing()?;
    let mut all = Map::new();
    for line in asked.read_or_empty("/proc/swaps").lines().filter(|l| !l.starts_with("Filename")) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [file, kind, size, used, priority, ..] = fields.as_slice() else { continue };
        let keys = ["type", "size", "used", "priority"];
        let values = [kind, size, used, priority].map(|v| string(*v));
        all.insert((*file).to_owned(), map(keys.into_iter().zip(values)));
    }
    Ok(Value::Map(all))
}

/// The lines of `df`: file system, four columns, mount point.
fn df(asked: &Asked<'_>, options: &[&str], flags: Option<&Value>) -> Result<Vec<[String; 6]>, String> {
    let mut argv = vec!["df".to_owned()];
    argv.extend(options.iter().map(|o| (*o).to_owned()));
    if let Some(flags) = flags.filter(|f| truth(Some(f))).map(str_of) {
        if let Some(flag) = flags.chars().find(|c| !"aBhHiklPtTxv".contains(*c)) {
            return Err(format!("Invalid flag `{flag}` passed to {}", asked.name));
        }
        argv.push(format!("-{flags}"));
    }
    let output = asked.run(&argv.iter().map(String::as_str).collect::<Vec<_>>())?;
    Ok(output.out().lines().skip(1).filter_map(columns).collect())
}

fn columns(line: &str) -> Option<[String; 6]> {
    let words: Vec<&str> = line.split_whitespace().collect();
    // The name of a file system may have blanks: the first number ends it.
    let at = words.iter().skip(1).position(|w| w.bytes().all(|b| b.is_ascii_digit()))? + 1;
    let numbers: Vec<String> = words.get(at..at + 4)?.iter().map(|w| (*w).to_owned()).collect();
    let [a, b, c, d] = <[String; 4]>::try_from(numbers).ok()?;
    Some([words[..at].join(" "), a, b, c, d, (*words.get(at + 4)?).to_owned()])
}

fn usage(asked: &Asked<'_>) -> Answer {
    let [flags] = asked.bind(["args"])?;
    let entry = |[system, blocks, used, free, capacity, point]: [String; 6]| {
        let keys = ["filesystem", "1K-blocks", "used", "available", "capacity"];
        (point, map(keys.into_iter().zip([system, blocks, used, free, capacity].map(Value::Str))))
    };
    Ok(map(df(asked, &["-P"], flags)?.into_iter().map(entry)))
}

fn inodeusage(asked: &Asked<'_>) -> Answer {
    let [flags] = asked.bind(["args"])?;
    let entry = |[system, inodes, used, free, share, point]: [String; 6]| {
        let keys = ["inodes", "used", "free", "use", "filesystem"];
        (point, map(keys.into_iter().zip([inodes, used, free, share, system].map(Value::Str))))
    };
    Ok(map(df(asked, &["-iP"], flags)?.into_iter().map(entry)))
}

fn percent(asked: &Asked<'_>) -> Answer {
    let [point] = asked.bind(["args"])?;
    let all: Map =
        df(asked, &["-P"], None)?.into_iter().map(|[_, _, _, _, c, p]| (p, Value::Str(c))).collect();
    match str_arg(point) {
        None => Ok(Value::Map(all)),
        Some(point) => Ok(all.get(&point).cloned().unwrap_or_else(|| Value::Map(Map::new()))),
    }
}

/// Bytes free and in all below a path.
pub(super) fn room(asked: &Asked<'_>, path: &str) -> Option<(Value, Value)> {
    let stats = rustix::fs::statvfs(asked.host.path(path)).ok()?;
    let bytes = |blocks: u64| number(blocks.saturating_mul(stats.f_bsize));
    Some((bytes(stats.f_bavail), bytes(stats.f_blocks)))
}

/// Mount points and their kinds.
pub(super) fn points(asked: &Asked<'_>) -> Vec<(String, String)> {
    let kind = |entry: &Value| entry.as_map().and_then(|e| e.get("fstype")).map(str_of).unwrap_or_default();
    mounted(asked).iter().map(|(point, entry)| (point.clone(), kind(entry))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::bench::Bench;

    #[test]
    fn what_is_mounted_and_what_will_be() {
        let bench = Bench::new(&[
            ("/etc/passwd", "root:x:0:0::/:/bin/sh\n"),
            ("/proc/self/mounts", "/dev/sda1 / ext4 rw,relatime 0 0\ntmpfs /run tmpfs rw,uid=root 0 0\n"),
            (
                "/etc/fstab",
                "# c\n/dev/sda1 / ext4 defaults,noatime 0 1\n/dev/sdb none swap sw 0 0\n/dev/sdc none swap sw\nbad\n",
            ),
            ("/proc/swaps", "Filename Type Size Used Priority\n/dev/sdb partition 100 1 -2\n"),
        ]);
        assert!(bench.json("mount.active", &[]).contains("\"fstype\":\"tmpfs\",\"opts\":[\"rw\",\"uid=0\"]"));
        assert_eq!(bench.json("mount.is_mounted", &["/run"]), "true");
        let fstab = bench.json("mount.fstab", &[]);
        assert!(fstab.contains("\"/\":{\"device\":\"/dev/sda1\",\"fstype\":\"ext4\",\"opts\":[\"defaults\",\"noatime\"],\"dump\":\"0\",\"pass\":\"1\"}"), "{fstab}");
        assert!(fstab.contains("\"none_\""), "{fstab}");
        assert!(bench.json("mount.swaps", &[]).contains("\"used\":\"1\",\"priority\":\"-2\""));
        assert!(bench.json("disk.usage", &[]).contains("\"capacity\":"));
        assert!(bench.call("disk.usage", &["z"]).is_err());
    }

    #[test]
    fn a_line_of_df_with_blanks_in_its_name() {
        assert_eq!(
            super::columns("my disk 100 20 80 20% /mnt").unwrap(),
            ["my disk", "100", "20", "80", "20%", "/mnt"]
        );
        assert!(super::columns("df: no such file").is_none());
    }
}
