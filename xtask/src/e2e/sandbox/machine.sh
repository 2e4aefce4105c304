# A copy of this machine that is thrown away. $1 is the folder that is /files in it, $2 the one that is /repository. It is run in
# namespaces of its own, so nothing of what is mounted here is seen outside, and all of it goes when the script ends.
set -e
files=$1 repository=$2
mount --make-rprivate /

# An overlay's layers cannot lie on an overlay, as the machine's own root may be one.
layers=$files.layers
mkdir -p "$layers"
mount -t tmpfs -o mode=755 tmpfs "$layers"
mkdir "$layers"/upper "$layers"/work "$layers"/root
root=$layers/root
mount -t overlay -o "lowerdir=/,upperdir=$layers/upper,workdir=$layers/work" overlay "$root"

mkdir -p "$root"/{dev,proc,sys,tmp,run,repository,var/lib/docker,var/lib/containers}
mount --rbind /dev "$root"/dev
mount -t proc proc "$root"/proc
mount --rbind /sys "$root"/sys
for folder in tmp run var/lib/docker var/lib/containers; do
    mount -t tmpfs -o mode=755 tmpfs "$root"/$folder
done
chmod 1777 "$root"/tmp
mount --bind -o ro "$repository" "$root"/repository
mkdir -p "$root"/files
mount --bind -o ro "$files" "$root"/files

# The machine is called as on the pages, and reaches nobody but itself.
hostname registry
echo '127.0.0.1 localhost registry registry.lan' >"$root"/etc/hosts
ip link set lo up
mkdir -p "$root"/home/ada "$root"/machine
# Not chroot alone: who enters a container later comes out at the root of its mounts.
cd "$root"
pivot_root . machine
exec env -i HOME=/home/ada LANG=C.UTF-8 TERM=dumb PATH=/files:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    chroot . bash -c 'umount --lazy /machine && rmdir /machine && cd ~ && exec bash /files/script'
