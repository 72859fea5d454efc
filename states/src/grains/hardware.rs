//! Grains of the machine itself: processors, memory, firmware, disks, graphics.

use super::read::Root;
use super::{list, map, opt, text};
use crate::value::{Map, Value};

/// What the firmware says: grain, file below `/sys/class/dmi/id`. Serial number and UUID are root's alone.
const FIRMWARE: &[(&str, &str)] = &[
    ("biosversion", "bios_version"),
    ("biosvendor", "bios_vendor"),
    ("boardname", "board_name"),
    ("productname", "product_name"),
    ("manufacturer", "sys_vendor"),
    ("biosreleasedate", "bios_date"),
    ("uuid", "product_uuid"),
    ("serialnumber", "product_serial"),
];

/// The vendors of graphics cards that Salt tells apart, by their PCI numbers.
const VENDORS: &[(&str, &str)] = &[
    ("0x10de", "nvidia"),
    ("0x1002", "amd"),
    ("0x1022", "amd"),
    ("0x8086", "intel"),
    ("0x15ad", "vmware"),
    ("0x102b", "matrox"),
    ("0x1a03", "aspeed"),
];

/// PCI classes of displays (VGA, 3D, other) and of processing accelerators.
const DISPLAYS: &[&str] = &["0x0300", "0x0302", "0x0380", "0x1200"];

/// What is read of the hardware.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hardware {
    /// `/proc/meminfo`.
    pub meminfo: String,
    /// `/proc/cpuinfo`.
    pub cpuinfo: String,
    /// Firmware grains with their values.
    pub firmware: Vec<(String, String)>,
    /// Disks that turn.
    pub disks: Vec<String>,
    /// Disks that do not.
    pub ssds: Vec<String>,
    /// PCI vendor and device numbers of displays and accelerators.
    pub displays: Vec<(String, String)>,
    /// Whether the machine was started by UEFI.
    pub efi: bool,
    /// Whether UEFI checked the signatures of what it started.
    pub secure_boot: bool,
    /// Whether there is a fibre channel adapter.
    pub fibre_channel: bool,
    /// `/proc/mdstat` where the kernel has software RAID.
    pub mdstat: Option<String>,
}

impl Hardware {
    pub(crate) fn read(root: &Root) -> Self {
        let (disks, ssds) = disks(root);
        Self {
            meminfo: root.text("proc/meminfo").unwrap_or_default(),
            cpuinfo: root.text("proc/cpuinfo").unwrap_or_default(),
            firmware: firmware(root),
            disks,
            ssds,
            displays: displays(root),
            efi: root.exists("sys/firmware/efi/efivars") || root.exists("sys/firmware/efi/vars"),
            secure_boot: secure_boot(root),
            fibre_channel: root.exists("sys/class/fc_host"),
            mdstat: root.text("proc/mdstat"),
        }
    }

    /// What the firmware says of one thing.
    pub(crate) fn said(&self, grain: &str) -> &str {
        self.firmware.iter().find(|(key, _)| key == grain).map_or("", |(_, value)| value)
    }

    pub(crate) fn grains(&self) -> Map {
        let mut grains = processors(&self.cpuinfo);
        grains.extend(map([
            ("mem_total", Value::Int(mebibytes(&self.meminfo, "MemTotal"))),
            ("swap_total", Value::Int(mebibytes(&self.meminfo, "SwapTotal"))),
            ("disks", list(&self.disks)),
            ("ssds", list(&self.ssds)),
            ("efi", Value::Bool(self.efi)),
            ("efi-secure-boot", Value::Bool(self.secure_boot)),
            ("fibre_channel_host", Value::Bool(self.fibre_channel)),
            ("num_gpus", Value::Int(i64::try_from(self.displays.len()).unwrap_or(0))),
            ("gpus", Value::List(self.displays.iter().map(graphics_card).collect())),
        ]));
        grains.extend(self.firmware.iter().map(|(key, value)| (key.clone(), text(value))));
        grains.extend(opt("mdadm", self.mdstat.as_deref().map(arrays)));
        grains
    }
}

/// `num_cpus`, `cpu_model` and `cpu_flags` of `/proc/cpuinfo`; its last processor is the one that is described.
fn processors(cpuinfo: &str) -> Map {
    let (mut count, mut model, mut flags) = (0, "Unknown", Vec::new());
    for line in cpuinfo.lines() {
        let mut parts = line.split(':').map(str::trim);
        let (Some(key), Some(value)) = (parts.next(), parts.next()) else { continue };
        match key {
            "processor" => count += 1,
            "# processors" => count = value.parse().unwrap_or(count),
            "vendor_id" | "model name" | "cpu" => model = value,
            "flags" | "Features" => flags = value.split_whitespace().collect(),
            "Processor" => (model, count) = (value.split('-').next().unwrap_or_default(), 1),
            _ => {}
        }
    }
    map([("num_cpus", Value::Int(count)), ("cpu_model", text(model)), ("cpu_flags", list(&flags))])
}

/// A field of `/proc/meminfo` in MiB; 0 where it is absent.
fn mebibytes(meminfo: &str, field: &str) -> i64 {
    let value = |line: &str| {
        line.strip_prefix(field)?.strip_prefix(':')?.split_whitespace().next()?.parse::<i64>().ok()
    };
    meminfo.lines().find_map(value).unwrap_or(0) / 1024
}

/// The names of RAID arrays in `/proc/mdstat`.
fn arrays(mdstat: &str) -> Value {
    let name = |line: &str| {
        let told = ["Personalities : ", "unused devices:"].iter().any(|start| line.starts_with(start));
        line.split_once(" : ").filter(|_| !told).map(|(name, _)| name.to_owned())
    };
    let names: std::collections::BTreeSet<String> = mdstat.lines().filter_map(name).collect();
    list(names)
}

fn graphics_card((vendor, device): &(String, String)) -> Value {
    let name = VENDORS.iter().find(|(number, _)| number == vendor).map_or("unknown", |(_, name)| name);
    let device = format!("Device {}", device.trim_start_matches("0x"));
    Value::Map(map([("vendor", text(name)), ("model", text(&device))]))
}

/// The tables of the BIOS, or the device tree where a machine has that instead.
fn firmware(root: &Root) -> Vec<(String, String)> {
    let mut all = device_tree(root);
    for (grain, file) in FIRMWARE {
        let Some(value) = root.line(&format!("sys/class/dmi/id/{file}")) else { continue };
        let value = if *grain == "uuid" { value.to_lowercase() } else { value };
        all.retain(|(key, _)| key != grain);
        all.push(((*grain).to_owned(), value));
    }
    all
}

fn device_tree(root: &Root) -> Vec<(String, String)> {
    let read = |name: &str| {
        let value = root.text(&format!("proc/device-tree/{name}"))?.trim_end_matches('\0').to_owned();
        Some(value).filter(|value| !value.is_empty())
    };
    let model = read("model");
    let (maker, product) = match model.as_deref().map(|model| model.split_once(',').ok_or(model)) {
        Some(Ok((maker, product))) => (Some(maker.to_owned()), Some(product.to_owned())),
        Some(Err(product)) => (None, Some(product.to_owned())),
        None => (None, None),
    };
    let serial = read("serial-number").or_else(|| read("system-id"));
    [("manufacturer", maker), ("productname", product), ("serialnumber", serial)]
        .into_iter()
        .filter_map(|(grain, value)| Some((grain.to_owned(), value?)))
        .collect()
}

/// Disks of real devices: those that turn, and those that do not.
fn disks(root: &Root) -> (Vec<String>, Vec<String>) {
    let (mut turning, mut solid) = (Vec::new(), Vec::new());
    for name in root.names("sys/block") {
        if root.link(&format!("sys/block/{name}")).is_some_and(|to| to.starts_with("../devices/virtual")) {
            continue;
        }
        match root.line(&format!("sys/block/{name}/queue/rotational")).as_deref() {
            Some("0") => solid.push(name),
            Some("1") => turning.push(name),
            _ => {}
        }
    }
    (turning, solid)
}

fn displays(root: &Root) -> Vec<(String, String)> {
    let mut slots = root.names("sys/bus/pci/devices");
    slots.sort();
    let of_slot = |slot: &String| {
        let read = |file: &str| root.line(&format!("sys/bus/pci/devices/{slot}/{file}"));
        let class = read("class")?;
        let shown = DISPLAYS.iter().any(|display| class.starts_with(display));
        shown.then(|| Some((read("vendor")?, read("device")?)))?
    };
    slots.iter().filter_map(of_slot).collect()
}

/// The firmware's variable ends in 1 where it is on.
fn secure_boot(root: &Root) -> bool {
    let (folder, below) = if root.exists("sys/firmware/efi/efivars") {
        ("sys/firmware/efi/efivars", "")
    } else {
        ("sys/firmware/efi/vars", "/data")
    };
    let names: Vec<String> =
        root.names(folder).into_iter().filter(|name| name.starts_with("SecureBoot-")).collect();
    let [name] = names.as_slice() else { return false };
    root.bytes(&format!("{folder}/{name}{below}")).is_some_and(|bytes| bytes.last() == Some(&1))
}

#[cfg(test)]
mod tests {
    use super::super::read::written;
    use super::*;

    #[test]
    fn processors_of_several_kinds() {
        let intel = "processor : 0\nvendor_id\t: GenuineIntel\nmodel name\t: A Fast One\nflags\t\t: fpu vme\n\
                     processor : 1\nmodel name\t: A Fast One\n";
        let arm = "processor\t: 0\nBogoMIPS\t: 243.75\nFeatures\t: fp asimd\nCPU part\t: 0xd0c\n";
        for (cpuinfo, count, model, flags) in
            [(intel, 2, "A Fast One", ["fpu", "vme"]), (arm, 1, "Unknown", ["fp", "asimd"])]
        {
            let grains = processors(cpuinfo);
            assert_eq!((&grains["num_cpus"], &grains["cpu_model"]), (&Value::Int(count), &text(model)));
            assert_eq!(grains["cpu_flags"], list(flags));
        }
        assert_eq!(processors("")["cpu_flags"], Value::List(vec![]));
    }

    #[test]
    fn arrays_are_named_in_order_and_once() {
        let mdstat = "Personalities : [raid1]\nmd1 : active raid1 sdb[1]\nmd0 : active raid1 sda[0]\n      \
                      100 blocks\nunused devices: <none>\n";
        assert_eq!(arrays(mdstat), list(["md0", "md1"]));
    }

    #[test]
    fn firmware_disks_and_cards_below_a_root() {
        let folder = written(&[
            ("sys/class/dmi/id/sys_vendor", "Amazon EC2\n"),
            ("sys/class/dmi/id/product_uuid", "EC2A\n"),
            ("proc/device-tree/model", "Amazon EC2,board\0"),
            ("sys/block/nvme0n1/queue/rotational", "0\n"),
            ("sys/block/sda/queue/rotational", "1\n"),
            ("sys/block/odd/queue/rotational", "perhaps\n"),
            ("sys/bus/pci/devices/0000:00:03.0/class", "0x030000\n"),
            ("sys/bus/pci/devices/0000:00:03.0/vendor", "0x1d0f\n"),
            ("sys/bus/pci/devices/0000:00:03.0/device", "0x1111\n"),
            ("sys/firmware/efi/efivars/SecureBoot-8be4", "\u{6}\0\0\0\u{1}"),
        ]);
        let grains = Hardware::read(&Root(folder.path())).grains();
        for (grain, value) in [("manufacturer", "Amazon EC2"), ("uuid", "ec2a"), ("productname", "board")] {
            assert_eq!(grains[grain], text(value));
        }
        assert_eq!((&grains["disks"], &grains["ssds"]), (&list(["sda"]), &list(["nvme0n1"])));
        let card = map([("vendor", text("unknown")), ("model", text("Device 1111"))]);
        assert_eq!(grains["gpus"], Value::List(vec![Value::Map(card)]));
        assert_eq!((&grains["efi"], &grains["efi-secure-boot"]), (&Value::Bool(true), &Value::Bool(true)));
    }
}
