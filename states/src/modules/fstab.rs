//! The texts of fstab(5), mountinfo and swaps, pure.

/// One line of fstab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) device: String,
    pub(crate) name: String,
    pub(crate) fstype: String,
    pub(crate) opts: String,
    pub(crate) dump: String,
    pub(crate) pass: String,
}

/// Which of its fields make a line the same entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    Device,
    Name,
    Both,
}

/// Kinds of file systems whose device says nothing.
const SPECIAL: &[&str] = &[
    "none",
    "tmpfs",
    "sysfs",
    "proc",
    "fusectl",
    "debugfs",
    "securityfs",
    "devtmpfs",
    "cgroup",
    "nfs",
    "nfs4",
    "glusterfs",
    "btrfs",
    "ceph",
];

impl By {
    /// As Salt's `match_on: auto` has it.
    pub(crate) fn auto(fstype: &str) -> Self {
        if SPECIAL.contains(&fstype) { By::Name } else { By::Device }
    }
}

impl Entry {
    fn parse(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.split_whitespace().collect();
        if line.starts_with('#') || !(4..=6).contains(&fields.len()) {
            return None;
        }
        let field = |i: usize| fields.get(i).map_or("0", |f| f).to_owned();
        Some(Self {
            device: field(0),
            name: field(1),
            fstype: field(2),
            opts: field(3),
            dump: field(4),
            pass: field(5),
        })
    }

    fn line(&self) -> String {
        let Self { device, name, fstype, opts, dump, pass } = self;
        format!("{device}\t\t{name}\t{fstype}\t{opts}\t{dump} {pass}")
    }

    fn is(&self, other: &Entry, by: By) -> bool {
        let slash = |n: &str| if n == "/" { "/".to_owned() } else { n.trim_end_matches('/').to_owned() };
        let (device, name) = (self.device == other.device, slash(&self.name) == slash(&other.name));
        match by {
            By::Device => device,
            By::Name => name,
            By::Both => device && name,
        }
    }

    fn same(&self, other: &Entry) -> bool {
        self.is(other, By::Both)
            && (&self.fstype, &self.opts, &self.dump, &self.pass)
                == (&other.fstype, &other.opts, &other.dump, &other.pass)
    }
}

/// Spaces and their like as fstab and mountinfo write them.
pub(crate) fn escape(text: &str) -> String {
    text.replace('\\', "\\134").replace(' ', "\\040").replace('\t', "\\011").replace('\n', "\\012")
}

pub(crate) fn unescape(text: &str) -> String {
    text.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

/// fstab with the entry in it, and whether it replaced another; `None` when it is there.
pub(crate) fn with(text: &str, entry: &Entry, by: By) -> Option<(String, bool)> {
    let mut lines: Vec<String> = Vec::new();
    let (mut found, mut changed) = (false, false);
    for line in text.lines() {
        match Entry::parse(line).filter(|e| e.is(entry, by)) {
            None => lines.push(line.to_owned()),
            Some(now) => {
                found = true;
                changed |= !now.same(entry);
                lines.push(if now.same(entry) { line.to_owned() } else { entry.line() });
            }
        }
    }
    if found && !changed {
        return None;
    }
    if !found {
        lines.push(entry.line());
    }
    Some((lines.iter().map(|l| format!("{l}\n")).collect(), found))
}

/// fstab without the mount point; `None` when it is not there.
pub(crate) fn without(text: &str, name: &str, device: Option<&str>) -> Option<String> {
    let own = |line: &str| {
        Entry::parse(line).is_some_and(|e| {
            unescape(&e.name).trim_end_matches('/') == name.trim_end_matches('/')
                && device.is_none_or(|d| e.device == d)
        })
    };
    text.lines().any(own).then(|| text.lines().filter(|l| !own(l)).map(|l| format!("{l}\n")).collect())
}

/// What is mounted somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Active {
    pub(crate) source: String,
    pub(crate) fstype: String,
    /// Of the mount and of the file system.
    pub(crate) opts: Vec<String>,
}

/// The topmost mount at a place.
pub(crate) fn active(mountinfo: &str, name: &str) -> Option<Active> {
    mountinfo.lines().filter_map(|l| mount(l, name)).next_back()
}

fn mount(line: &str, name: &str) -> Option<Active> {
    let (own, system) = line.split_once(" - ")?;
    let own: Vec<&str> = own.split(' ').collect();
    let mut system = system.split(' ');
    let (fstype, source) = (system.next()?, system.next()?);
    let opts = [own.get(5).copied()?, system.next().unwrap_or_default()];
    let opts = opts.iter().flat_map(|o| o.split(',')).filter(|o| !o.is_empty()).map(str::to_owned).collect();
    (unescape(own.get(4)?) == name).then(|| Active {
        source: unescape(source),
        fstype: fstype.to_owned(),
        opts,
    })
}

/// A device or file that is swapped to: its kind, size, use and priority.
pub(crate) fn swap(swaps: &str, name: &str) -> Option<[String; 4]> {
    let line =
        swaps.lines().skip(1).find(|l| l.split_whitespace().next().map(unescape).as_deref() == Some(name))?;
    let fields: Vec<String> = line.split_whitespace().skip(1).map(str::to_owned).collect();
    fields.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(device: &str, name: &str) -> Entry {
        let text = |s: &str| s.to_owned();
        Entry {
            device: text(device),
            name: text(name),
            fstype: text("ext4"),
            opts: text("defaults"),
            dump: text("0"),
            pass: text("0"),
        }
    }

    #[test]
    fn an_entry_is_added_replaced_and_removed() {
        let one = entry("/dev/sdb1", "/mnt/a");
        let line = "/dev/sdb1\t\t/mnt/a\text4\tdefaults\t0 0\n";
        assert_eq!(with("# x\n", &one, By::Device), Some((format!("# x\n{line}"), false)));
        assert_eq!(with("/dev/sdb1 /mnt/a/ ext4 defaults 0 0\n", &one, By::Device), None);
        assert_eq!(with("/dev/sdb1 /mnt/b ext4 ro\n", &one, By::Device), Some((line.to_owned(), true)));
        assert_eq!(with("x /mnt/a ext4 ro\n", &one, By::Name), Some((line.to_owned(), true)));
        assert_eq!(without(line, "/mnt/a", None), Some(String::new()));
        assert_eq!(without(line, "/mnt/a", Some("/dev/sdc")), None);
    }

    #[test]
    fn the_topmost_mount_counts() {
        let info = "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n\
                    2 1 0:5 / /mnt/a\\040b rw,nosuid shared:1 - tmpfs tmpfs rw,size=4k\n\
                    3 2 0:6 / /mnt/a\\040b ro - tmpfs other ro\n";
        let top = active(info, "/mnt/a b").unwrap();
        assert_eq!(
            (top.source.as_str(), top.opts.clone()),
            ("other", vec!["ro".to_owned(), "ro".to_owned()])
        );
        assert_eq!(active(info, "/mnt"), None);
        let swaps = "Filename\tType\tSize\tUsed\tPriority\n/swapfile file 1024 0 -2\n";
        assert_eq!(swap(swaps, "/swapfile").unwrap()[1], "1024");
    }
}
