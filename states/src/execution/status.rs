//! `status.*` and `ps.*`: how the machine is.

use super::asked::{Asked, str_arg};
use super::file::text::regex;
use super::{Answer, Table, list, map, mounts, number, str_of, string};
use crate::python::glob::fnmatch;
use crate::value::{Map, Value};

pub(super) const FUNCTIONS: Table = &[
    ("ps.boot_time", boot_time),
    ("ps.num_cpus", nproc),
    ("ps.total_physical_memory", total_memory),
    ("status.cpuinfo", cpuinfo),
    ("status.diskusage", diskusage),
    ("status.loadavg", loadavg),
    ("status.meminfo", meminfo),
    ("status.netdev", netdev),
    ("status.nproc", nproc),
    ("status.pid", pid),
    ("status.procs", procs),
    ("status.time", time),
    ("status.uptime", uptime),
    ("status.version", version),
    ("status.vmstats", vmstats),
    ("status.w", who),
];

/// A number of the kernel's.
fn parsed(text: &str) -> Value {
    let float = || text.parse().map_or_else(|_| string(text), Value::Float);
    text.parse().map_or_else(|_| float(), Value::Int)
}

fn up(asked: &Asked<'_>) -> Result<i64, String> {
    let text = asked.read("/proc/uptime").map_err(|_| "File /proc/uptime was not found.".to_owned())?;
    let seconds = text.split(['.', ' ']).next().and_then(|s| s.parse().ok());
    seconds.ok_or_else(|| "/proc/uptime has no number".to_owned())
}

#[allow(clippy::cast_possible_truncation)] // Seconds fit.
fn uptime(asked: &Asked<'_>) -> Answer {
    asked.nothing()?;
    let seconds = up(asked)?;
    let since = asked.host.now() - seconds as f64;
    let rest = seconds % 86_400;
    let mut all = vec![
        ("seconds", Value::Int(seconds)),
        ("since_iso", string(asked.iso_time(since)?)),
        ("since_t", Value::Int(since as i64)),
        ("days", Value::Int(seconds / 86_400)),
        ("time", string(format!("{}:{}", rest / 3600, rest % 3600 / 60))),
    ];
    if asked.which("who").is_some() {
        let users = asked.output(&["who", "-s"])?;
        all.push(("users", number(users.split('\n').count())));
    }
    Ok(map(all))
}

#[allow(clippy::cast_possible_truncation)] // Seconds fit.
fn boot_time(asked: &Asked<'_>) -> Answer {
    asked.nothing()?;
    Ok(Value::Int((asked.host.now() - up(asked)? as f64) as i64))
}

fn loadavg(asked: &Asked<'_>) -> Answer {
    asked.nothing()?;
    let text = asked.read("/proc/loadavg")?;
    let numbers = text.split_whitespace().filter_map(|n| n.parse().ok()).map(Value::Float);
    Ok(map(["1-min", "5-min", "15-min"].into_iter().zip(numbers)))
}

fn cpuinfo(asked: &Asked<'_>) -> Answer {
    asked.nothing()?;
    let mut all = Map::new();
    for (key, value) in asked.read_or_empty("/proc/cpuinfo").lines().filter_map(|l| l.split_once(':')) {
        let key = key.trim();
        let value = match key {
            "flags" => list(value.split_whitespace()),
            // Salt cuts at every colon and takes the first piece.
            _ => string(value.split(':').next().unwrap_or_default().trim()),
        };
        all.insert(key.to_owned(), value);
    }
    Ok(Value::Map(all))
}

fn meminfo(asked: &Asked<'_>) -> Answer {
    asked.nothing()?;
    let text = asked.read_or_empty("/proc/meminfo");
    let entry = |line: &str| {
        let mut words = line.split_whitespace();
        let (key, value, unit) = (words.next()?.replace(':', ""), words.next()?, words.next());
        let unit = unit.map(|unit| ("unit", string(unit)));
        Some((key, map([("value", string(value))].into_iter().chain(unit))))
    };
    Ok(map(text.lines().filter_map(entry)))
}

fn total_memory(asked: &Asked<'_>) -> Answer {
    let text = asked.read_or_empty("/proc/meminfo");
    let total = text
        .lines()
        .find_map(|l| l.strip_prefix("MemTotal:")?.split_whitespace().next()?.parse::<i64>().ok());
    Ok(Value::Int(total.unwrap_or(0).saturating_mul(1024)))
}

fn vmstats(asked: &Asked<'_>) -> Answer {
    asked.nothing()?;
    let text = asked.read_or_empty("/proc/vmstat");
    Ok(map(text.lines().filter_map(|l| l.split_once(' ')).map(|(k, v)| (k.to_owned(), parsed(v.trim())))))
}

fn nproc(asked: &Asked<'_>) -> Answer {
    asked.nothing()?;
    Ok(number(std::thread::available_parallelism().map_or(1, usize::from)))
}

fn version(asked: &Asked<'_>) -> Answer {
    asked.nothing()?;
    Ok(asked.read("/proc/version").map_or_else(|_| Value::Map(Map::new()), |v| string(v.trim())))
}

/// Room by mount point, for all, for paths, or for kinds of file system.
fn diskusage(asked: &Asked<'_>) -> Answer {
    let wanted: Vec<String> = asked.args.iter().map(str_of).collect();
    let mut paths: Vec<String> = wanted.iter().filter(|w| w.starts_with('/')).cloned().collect();
    let kinds: Vec<&String> = wanted.iter().filter(|w| !w.starts_with('/')).collect();
    if wanted.is_empty() || !kinds.is_empty() {
        let fits = |kind: &str| wanted.is_empty() || kinds.iter().any(|k| fnmatch(kind, k));
        paths
            .extend(mounts::points(asked).into_iter().filter(|(_, kind)| fits(kind)).map(|(point, _)| point));
    }
    let entry = |path: String| {
        let (free, all) = mounts::room(asked, &path)?;
        Some((path, map([("available", free), ("total", all)])))
    };
    Ok(map(paths.into_iter().filter_map(entry)))
}

fn netdev(asked: &Asked<'_>) -> Answer {
    asked.nothing()?;
    const KEYS: &[&str] = &[
        "rx_bytes",
        "rx_packets",
        "rx_errs",
        "rx_drop",
        "rx_fifo",
        "rx_frame",
        "rx_compressed",
        "rx_multicast",
        "tx_bytes",
        "tx_packets",
        "tx_errs",
        "tx_drop",
        "tx_fifo",
        "tx_colls",
        "tx_carrier",
        "tx_compressed",
    ];
    let text = asked.read_or_empty("/proc/net/dev");
    let entry = |line: &str| {
        let (name, numbers) = line.split_once(':')?;
        let numbers = KEYS.iter().copied().zip(numbers.split_whitespace().map(parsed));
        Some((name.trim().to_owned(), map([("iface", string(name.trim()))].into_iter().chain(numbers))))
    };
    Ok(map(text.lines().filter_map(entry)))
}

/// What the program `ps` lists, a process a line.
fn processes(asked: &Asked<'_>) -> Result<String, String> {
    Ok(asked.run(&["ps", "-efHww"])?.out())
}

fn procs(asked: &Asked<'_>) -> Answer {
    asked.nothing()?;
    let all = processes(asked)?;
    let entry = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (user, pid) = (*words.first()?, (*words.get(1)?).to_owned());
        Some((pid, map([("user", string(user)), ("cmd", string(words.get(7..)?.join(" ")))])))
    };
    Ok(map(all.lines().skip(1).filter_map(entry)))
}

/// The numbers of all processes whose line fits, a line each.
fn pid(asked: &Asked<'_>) -> Answer {
    let pattern = regex(&asked.only("sig")?, "")?;
    let own = std::process::id().to_string();
    let all = processes(asked)?;
    let fitting = all.lines().filter(|line| !line.contains(&own) && pattern.is_match(line));
    let pids: Vec<&str> = fitting.filter_map(|line| line.split_whitespace().nth(1)).collect();
    Ok(string(pids.join("\n")))
}

/// Who is logged in.
fn who(asked: &Asked<'_>) -> Answer {
    asked.nothing()?;
    let all = asked.run(&["w", "-fh"])?.out();
    let entry = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let word = |at: usize| string(words.get(at).copied().unwrap_or_default());
        let what = words.get(6..).unwrap_or_default().join(" ");
        map([
            ("idle", word(3)),
            ("jcpu", word(4)),
            ("login", word(2)),
            ("pcpu", word(5)),
            ("tty", word(1)),
            ("user", word(0)),
            ("what", string(what)),
        ])
    };
    Ok(Value::List(all.lines().filter(|l| !l.is_empty()).map(entry).collect()))
}

/// The time of the machine in a format of `strftime`.
fn time(asked: &Asked<'_>) -> Answer {
    let [format] = asked.bind(["format"])?;
    let format = str_arg(format).unwrap_or_else(|| "%A, %d. %B %Y %I:%M%p".to_owned());
    asked.output(&["date", &format!("+{format}")]).map(string)
}

#[cfg(test)]
mod tests {
    use super::super::bench::Bench;

    #[test]
    fn what_the_kernel_says() {
        let bench = Bench::new(&[
            ("/proc/uptime", "90061.5 1.0\n"),
            ("/proc/loadavg", "0.50 0.25 0.10 1/100 5\n"),
            ("/proc/cpuinfo", "processor\t: 0\nflags\t: fpu vme\n\n"),
            ("/proc/meminfo", "MemTotal: 2048 kB\nHugePages_Total: 0\n"),
            ("/proc/net/dev", "Inter-| x\n face | y\n  lo: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"),
            ("/proc/vmstat", "nr_free_pages 5\n"),
        ]);
        let uptime = bench.json("status.uptime", &[]);
        assert!(uptime.starts_with("{\"seconds\":90061,"), "{uptime}");
        assert!(uptime.contains("\"days\":1,\"time\":\"1:1\""), "{uptime}");
        assert_eq!(bench.json("status.loadavg", &[]), "{\"1-min\":0.5,\"5-min\":0.25,\"15-min\":0.1}");
        assert_eq!(bench.json("status.cpuinfo", &[]), "{\"processor\":\"0\",\"flags\":[\"fpu\",\"vme\"]}");
        let memory =
            "{\"MemTotal\":{\"value\":\"2048\",\"unit\":\"kB\"},\"HugePages_Total\":{\"value\":\"0\"}}";
        assert_eq!(bench.json("status.meminfo", &[]), memory);
        assert_eq!(bench.json("ps.total_physical_memory", &[]), "2097152");
        assert!(bench.json("status.netdev", &[]).contains("\"tx_bytes\":9,\"tx_packets\":10"));
        assert_eq!(bench.json("status.vmstats", &[]), "{\"nr_free_pages\":5}");
        assert!(Bench::new(&[]).call("status.uptime", &[]).is_err());
    }
}
