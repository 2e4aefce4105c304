# The package on a copy of this machine, as root: what it brings, that the server runs as its unit says, and what stays.
set -eE -o pipefail
exec 2>&1
trap 'echo "FAILED: $BASH_COMMAND"; cat /tmp/server.log 2>/dev/null' ERR
export DEBIAN_FRONTEND=noninteractive
# The index of manual pages is of no interest, and takes long.
rm -f /var/lib/man-db/auto-update
deb=/files/cargohold.deb

dpkg --install "$deb"
getent passwd cargohold
[[ $(stat -c %U:%a /usr/bin/cargohold) == root:755 ]]
[[ $(command -v cargohold) == /usr/bin/cargohold ]]
cargohold --version
systemd-analyze verify --man=no /usr/lib/systemd/system/cargohold.service
[[ -L /etc/systemd/system/multi-user.target.wants/cargohold.service ]]
for file in bash-completion/completions/cargohold fish/vendor_completions.d/cargohold.fish zsh/vendor-completions/_cargohold; do
    grep -q serve /usr/share/$file
done
bash -c 'source /usr/share/bash-completion/completions/cargohold; complete -p cargohold'
gzip --test /usr/share/man/man1/cargohold.1.gz /usr/share/man/man1/cargohold-serve.1.gz
(cd / && md5sum --check --quiet /var/lib/dpkg/info/cargohold.md5sums)

# There is no systemd to start it: what the unit says of the user, the folder and the command, by hand.
unit() { sed -n "s/^$1=//p" /usr/lib/systemd/system/cargohold.service; }
[[ $(unit User) == cargohold && $(unit StateDirectory) == cargohold ]]
install --directory --owner cargohold --group cargohold --mode "$(unit StateDirectoryMode)" /var/lib/cargohold
start() {
    : >/tmp/server.out
    # shellcheck disable=SC2046
    setpriv --reuid cargohold --regid cargohold --init-groups --inh-caps=-all --no-new-privs \
        $(unit ExecStart) >/tmp/server.out 2>>/tmp/server.log </dev/null &
    server=$!
    for ((tries = 0; tries < 600; tries++)); do
        grep -q 'Ctrl-C stops it' /tmp/server.out && return
        kill -0 "$server"
        sleep 0.1
    done
    return 1
}
stop() { kill -TERM "$server"; wait "$server"; }

start
curl --fail --silent http://127.0.0.1:5000/v2/
digest=sha256:$(printf hello | sha256sum | cut -d' ' -f1)
curl --fail --silent --data-binary hello "http://127.0.0.1:5000/v2/a/blobs/uploads/?digest=$digest"
setpriv --reuid cargohold --regid cargohold --init-groups cargohold sweep status --config /etc/cargohold/cargohold.yml
stop

# The configuration is the administrator's.
echo '# changed here' >>/etc/cargohold/cargohold.yml
dpkg --install "$deb"
grep -q 'changed here' /etc/cargohold/cargohold.yml
start
[[ $(curl --fail --silent "http://127.0.0.1:5000/v2/a/blobs/$digest") == hello ]]
stop

dpkg --remove cargohold
[[ ! -e /usr/bin/cargohold && -e /etc/cargohold/cargohold.yml && -e /var/lib/cargohold/cargohold.db ]]
dpkg --purge cargohold 2>&1 | tee /tmp/purge
grep -q 'still in /var/lib/cargohold' /tmp/purge
[[ ! -e /etc/cargohold/cargohold.yml && -e /var/lib/cargohold/cargohold.db ]]
echo 'all is well'
