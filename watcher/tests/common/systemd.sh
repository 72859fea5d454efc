# Boots a systemd of its own: `sh -c "$(cat systemd.sh)" NAME DIR`. It is process 1 of new namespaces, in a cgroup of its
# own, with `DIR/units` for the distribution's units and `DIR/etc/systemd/system` for the administrator's, and no other
# unit: nothing of the machine is started, mounted or set. The rest of the file system is the machine's, /tmp included.
set -e
dir=$1
hierarchy=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
[ -n "$hierarchy" ] || { echo 'no cgroup2 hierarchy is mounted' >&2; exit 1; }
group=$hierarchy/mayfly-test-$$
mkdir "$group"
echo "$group" >"$dir/group"
echo $$ >"$group/cgroup.procs"
mkdir -p "$dir/units" "$dir/etc/systemd/system" "$dir/dev"
for target in basic sysinit multi-user shutdown; do
    printf '[Unit]\nDefaultDependencies=no\n' >"$dir/units/$target.target"
done
exec unshare --pid --mount --cgroup --uts --ipc --net --fork --kill-child sh -c '
set -e
mount --make-rprivate /
mount -t proc proc /proc
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
umount -R /sys
mount -t sysfs sysfs /sys
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs tmpfs "$1/dev"
for device in null zero full random urandom tty; do
    touch "$1/dev/$device"
    mount --bind "/dev/$device" "$1/dev/$device"
done
mkdir "$1/dev/shm" "$1/dev/pts"
mount --rbind "$1/dev" /dev
mount -t tmpfs tmpfs /run
units=$(readlink -f /lib)/systemd/system
mount --bind "$1/units" "$units"
mount --bind "$1/etc/systemd/system" /etc/systemd/system
exec env -i container=mayfly PATH="$PATH" /lib/systemd/systemd --system --unit=basic.target --log-target=console \
    --show-status=no' sh "$dir"
