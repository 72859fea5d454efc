//! Grains `virtual`, `virtual_subtype` and `virtual_hv_*`: what lies under the machine, told by files alone.
//!
//! Salt asks `systemd-detect-virt` and then looks for itself. [`Clues::kind`] answers as that program does, from the same
//! files; the rest are Salt's own corrections.

use super::hardware::Hardware;
use super::read::Root;
use super::{list, map, opt, text};
use crate::value::{Map, Value};

/// What a hypervisor signs the processor's identification with.
const SIGNATURES: &[(&str, &str)] = &[
    ("KVMKVMKVM", "kvm"),
    ("Linux KVM Hv", "kvm"),
    ("TCGTCGTCGTCG", "qemu"),
    ("VMwareVMware", "vmware"),
    ("Microsoft Hv", "microsoft"),
    ("XenVMMXenVMM", "xen"),
    ("bhyve bhyve", "bhyve"),
];

/// How vendors name themselves in the BIOS.
const VENDORS: &[(&str, &str)] = &[
    ("KVM", "kvm"),
    ("OpenStack", "kvm"),
    ("KubeVirt", "kvm"),
    ("Amazon EC2", "amazon"),
    ("QEMU", "qemu"),
    ("VMware", "vmware"),
    ("VMW", "vmware"),
    ("innotek GmbH", "oracle"),
    ("VirtualBox", "oracle"),
    ("Xen", "xen"),
    ("Bochs", "bochs"),
    ("Parallels", "parallels"),
    ("BHYVE", "bhyve"),
    ("Hyper-V", "microsoft"),
    ("Google Compute Engine", "google"),
];

/// What is read to tell what lies under the machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Clues {
    /// The container manager's name for what it made.
    pub container: Option<String>,
    /// The hypervisor's signature in the processor's identification.
    pub signature: String,
    /// The hypervisor that the kernel knows (`/sys/hypervisor/type`).
    pub hypervisor: Option<String>,
    /// The hypervisor's version: major, minor, extra.
    pub version: Option<[String; 3]>,
    /// Whether this is the machine that runs Xen's guests.
    pub xen_host: bool,
    /// Whether Xen's drivers are there.
    pub xen: bool,
    /// Whether this process sees another root than process 1.
    pub chroot: bool,
    /// `/proc/1/cgroup`.
    pub cgroup: String,
    /// OpenVZ: the host, or a guest of it.
    pub openvz: Option<&'static str>,
}

impl Clues {
    pub(crate) fn read(root: &Root) -> Self {
        let version = |part: &str| root.line(&format!("sys/hypervisor/version/{part}"));
        let versions =
            || Some([version("major")?, version("minor")?, version("extra")?]).filter(|v| !v[0].is_empty());
        let capabilities = root.text("proc/xen/capabilities").unwrap_or_default();
        let openvz = ["proc/vz/version", "proc/vz/veinfo"].map(|path| root.exists(path));
        Self {
            container: container(root),
            signature: signature(),
            hypervisor: root.line("sys/hypervisor/type"),
            version: versions(),
            xen_host: root.exists("proc/xen/xsd_kva") || capabilities.contains("control_d"),
            xen: ["proc/sys/xen", "sys/bus/xen", "proc/xen"].iter().any(|path| root.exists(path)),
            chroot: root.same(".", "proc/1/root/.") == Some(false),
            cgroup: root.text("proc/1/cgroup").unwrap_or_default(),
            openvz: match openvz {
                [true, _] => Some("openvzhn"),
                [_, true] => Some("openvzve"),
                _ => None,
            },
        }
    }

    /// The grains, which also depend on the firmware's words.
    pub(crate) fn grains(&self, hardware: &Hardware) -> Map {
        let (mut kind, mut subtype) = salts_words(self.kind(hardware));
        if self.chroot {
            subtype = Some("chroot".to_owned());
        }
        kind = self.openvz.unwrap_or(kind);
        if let Some(domain) = self.xen_domain(hardware) {
            (kind, subtype) = ("xen", Some(domain.to_owned()));
        }
        (kind, subtype) = by_product(hardware, kind, subtype);
        (kind, subtype) = self.by_cgroup(kind, subtype);
        if subtype.is_some() && kind == "physical" {
            kind = "virtual";
        }
        (kind, subtype) = on_ec2(hardware, kind, subtype);
        let mut grains = map([("virtual", text(kind))]);
        grains.extend(opt("virtual_subtype", subtype.map(Value::Str)));
        if kind == "xen" {
            grains.extend(self.version.iter().flat_map(xen_version));
        }
        grains
    }

    /// As `systemd-detect-virt` calls it: a container before the machine it runs on.
    fn kind(&self, hardware: &Hardware) -> &str {
        if let Some(container) = &self.container {
            return container;
        }
        let words =
            ["productname", "manufacturer", "boardname", "biosvendor"].map(|grain| hardware.said(grain));
        let vendor =
            |word: &str| VENDORS.iter().find(|(name, _)| word.starts_with(name)).map(|(_, kind)| *kind);
        let by_firmware = words.into_iter().find_map(vendor);
        let signed =
            SIGNATURES.iter().find(|(sign, _)| self.signature.starts_with(sign)).map(|(_, kind)| *kind);
        match by_firmware {
            Some(certain @ ("oracle" | "xen" | "amazon" | "parallels")) => certain,
            _ if self.hypervisor.as_deref() == Some("xen") && !self.xen_host => "xen",
            _ => signed.or(by_firmware).unwrap_or("none"),
        }
    }

    fn xen_domain(&self, hardware: &Hardware) -> Option<&'static str> {
        match () {
            () if !self.xen => None,
            () if self.xen_host => Some("Xen Dom0"),
            () if hardware.said("productname") == "HVM domU" => Some("Xen HVM DomU"),
            () => (self.hypervisor.as_deref() == Some("xen")).then_some("Xen PV DomU"),
        }
    }

    /// The control groups of process 1 name the manager of its container.
    fn by_cgroup<'a>(&self, kind: &'a str, subtype: Option<String>) -> (&'a str, Option<String>) {
        let within = |words: &[&str]| words.iter().any(|word| self.cgroup.contains(word));
        match () {
            () if within(&[":/lxc/"]) => ("container", Some("LXC".to_owned())),
            () if within(&[":/kubepods/"]) => (kind, Some("kubernetes".to_owned())),
            () if within(&[":/libpod_parent/"]) => (kind, Some("libpod".to_owned())),
            () if within(&[":/system.slice/docker", ":/docker/", ":/docker-ce/"]) => {
                ("container", Some("Docker".to_owned()))
            }
            () => (kind, subtype),
        }
    }
}

/// Salt's `virtual` and `virtual_subtype` for what `systemd-detect-virt` says.
fn salts_words(kind: &str) -> (&'static str, Option<String>) {
    let same = ["qemu", "kvm", "oracle", "xen", "bochs", "chroot", "uml", "systemd-nspawn"];
    let (kind, subtype) = match kind {
        "vmware" => ("VMware", None),
        "microsoft" => ("VirtualPC", None),
        "parallels" => ("Parallels", None),
        "bhyve" => ("bhyve", None),
        "lxc" | "lxc-libvirt" => ("container", Some("LXC")),
        "podman" => ("container", Some("Podman")),
        "docker" => ("container", Some("Docker")),
        "amazon" => ("Nitro", Some("Amazon EC2")),
        other => (same.into_iter().find(|word| *word == other).unwrap_or("physical"), None),
    };
    (kind, subtype.map(str::to_owned))
}

/// What emulators write into the processor's and the product's name.
fn by_product<'a>(hardware: &Hardware, kind: &'a str, subtype: Option<String>) -> (&'a str, Option<String>) {
    let product = hardware.said("productname");
    let kind = if hardware.cpuinfo.contains("QEMU Virtual CPU") { "kvm" } else { kind };
    let kvm = |subtype: &str| ("kvm", Some(subtype.to_owned()));
    match () {
        () if product.contains("VirtualBox") => ("VirtualBox", subtype),
        () if product.contains("RHEV Hypervisor") => kvm("rhev"),
        () if product.contains("oVirt Node") => kvm("ovirt"),
        () if product.contains("Google") => ("gce", subtype),
        () if product.contains("BHYVE") => ("bhyve", subtype),
        () => (kind, subtype),
    }
}

/// EC2's own hypervisors: Nitro names the maker, Xen has it in the version of the BIOS.
fn on_ec2<'a>(hardware: &Hardware, kind: &'a str, subtype: Option<String>) -> (&'a str, Option<String>) {
    if !["qemu", "kvm", "xen"].contains(&kind) {
        return (kind, subtype);
    }
    if hardware.said("manufacturer") == "Amazon EC2" {
        let kind = if kind == "xen" { kind } else { "Nitro" };
        return (kind, Some(format!("Amazon EC2 ({})", hardware.said("productname"))));
    }
    if hardware.said("biosversion").contains(".amazon") {
        return (kind, Some("Amazon EC2".to_owned()));
    }
    (kind, subtype)
}

fn xen_version(version: &[String; 3]) -> Map {
    let [major, minor, extra] = version;
    map([
        ("virtual_hv_version", text(&format!("{major}.{minor}{extra}"))),
        ("virtual_hv_version_info", list(version)),
    ])
}

/// What a container manager leaves behind for those within.
fn container(root: &Root) -> Option<String> {
    let environment = root.text("proc/1/environ").unwrap_or_default();
    let told = environment.split('\0').find_map(|entry| entry.strip_prefix("container="));
    let written = root.line("run/systemd/container").filter(|name| !name.is_empty());
    let left = || {
        let podman = root.exists("run/.containerenv").then_some("podman");
        podman.or_else(|| root.exists(".dockerenv").then_some("docker"))
    };
    written.or_else(|| told.map(str::to_owned)).or_else(|| left().map(str::to_owned))
}

/// The hypervisor's leaf of the processor's identification.
#[cfg(target_arch = "x86_64")]
fn signature() -> String {
    use std::arch::x86_64::__cpuid;
    const PRESENT: u32 = 1 << 31;
    if __cpuid(1).ecx & PRESENT == 0 {
        return String::new();
    }
    let leaf = __cpuid(0x4000_0000);
    let bytes = [leaf.ebx, leaf.ecx, leaf.edx].map(u32::to_le_bytes).concat();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Other processors have no such leaf.
#[cfg(not(target_arch = "x86_64"))]
fn signature() -> String {
    String::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hardware(words: &[(&str, &str)]) -> Hardware {
        let firmware = words.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Hardware { firmware, ..Hardware::default() }
    }

    fn told(clues: &Clues, words: &[(&str, &str)]) -> (String, String) {
        let grains = clues.grains(&hardware(words));
        let grain = |key: &str| grains.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        (grain("virtual"), grain("virtual_subtype"))
    }

    fn pair(kind: &str, subtype: &str) -> (String, String) {
        (kind.to_owned(), subtype.to_owned())
    }

    #[test]
    fn machines_by_their_firmware() {
        let none = Clues::default();
        let nitro = [("manufacturer", "Amazon EC2"), ("productname", "t3.micro")];
        assert_eq!(told(&none, &nitro), pair("Nitro", "Amazon EC2"));
        let google = [("productname", "Google Compute Engine")];
        assert_eq!(told(&none, &google), pair("gce", ""));
        assert_eq!(told(&none, &[("manufacturer", "Dell Inc.")]), pair("physical", ""));
        assert_eq!(told(&none, &[("manufacturer", "VMware, Inc.")]), pair("VMware", ""));
        let kvm = Clues { signature: "KVMKVMKVM\0\0\0".to_owned(), ..Clues::default() };
        assert_eq!(told(&kvm, &[]), pair("kvm", ""));
        assert_eq!(told(&kvm, &[("manufacturer", "QEMU")]), pair("kvm", ""));
    }

    #[test]
    fn an_old_ec2_instance_is_a_guest_of_xen() {
        let clues = Clues {
            hypervisor: Some("xen".to_owned()),
            version: Some(["4".to_owned(), "11".to_owned(), ".amazon".to_owned()]),
            xen: true,
            ..Clues::default()
        };
        let words = [("productname", "HVM domU"), ("manufacturer", "Xen"), ("biosversion", "4.11.amazon")];
        assert_eq!(told(&clues, &words), pair("xen", "Amazon EC2"));
        assert_eq!(clues.grains(&hardware(&words))["virtual_hv_version"], text("4.11.amazon"));
    }

    #[test]
    fn a_container_is_told_before_the_machine_below_it() {
        let docker = Clues { container: Some("docker".to_owned()), ..Clues::default() };
        assert_eq!(told(&docker, &[("manufacturer", "Amazon EC2")]), pair("container", "Docker"));
        let chroot = Clues { chroot: true, ..Clues::default() };
        assert_eq!(told(&chroot, &[]), pair("virtual", "chroot"));
        let pod = Clues { cgroup: "0:memory:/kubepods/pod1".to_owned(), ..Clues::default() };
        assert_eq!(told(&pod, &[]), pair("virtual", "kubernetes"));
    }
}
