# What a page's script begins with: what readers do with their hands is done by functions here.
set -eE -o pipefail
exec 2>&1
trap 'status=$?; echo "FAILED with $status in the block at $block: $BASH_COMMAND"; tail -n 20 /tmp/server.log 2>/dev/null' ERR

at() {
    block=$1
    printf '\n== %s\n' "$block"
}

# A server is started in the background, in the place of the one before, and answers when the command ends.
serving=() server=
cargohold() {
    if [[ $1 == serve && $* != *--help* ]]; then
        serving=("$@")
        start_server
    else
        command cargohold "$@"
    fi
}

start_server() {
    stop_server
    : >/tmp/server.out
    command cargohold "${serving[@]}" >/tmp/server.out 2>>/tmp/server.log </dev/null &
    server=$!
    local tries
    for ((tries = 0; tries < 600; tries++)); do
        if grep -q 'Ctrl-C stops it' /tmp/server.out; then
            return
        fi
        kill -0 "$server"
        sleep 0.1
    done
    echo "the server was not ready within a minute"
    return 1
}

stop_server() {
    if [[ -n $server ]]; then
        kill -TERM "$server" 2>/dev/null || true
        wait "$server" || true
        server=
    fi
}

# A clone of the repository, and what is built in it.
cargo() {
    if [[ "$1 $2 $3" == "run --release --" ]]; then
        shift 3
        cargohold "$@"
    else
        echo "cargo $*: the suite only starts the server that was built"
        return 1
    fi
}

# The services of this machine: ours, as its unit starts it, and docker's.
systemctl() {
    local verb=$1
    shift
    [[ $1 == --now ]] && shift
    case "$verb ${1%.service}" in
    "start cargohold" | "restart cargohold" | "enable cargohold")
        if [[ -e /etc/cargohold/cargohold.yml ]]; then
            serving=(serve /etc/cargohold/cargohold.yml)
        fi
        start_server
        ;;
    "stop cargohold" | "disable cargohold") stop_server ;;
    "reload cargohold") kill -HUP "$server" ;;
    "start docker" | "restart docker") start_docker ;;
    "start docker-registry") registry serve /etc/docker/registry/config.yml ;;
    "stop docker-registry") stop_registry ;;
    "daemon-reload "*) ;;
    *)
        echo "systemctl $verb $*: the suite knows no such service"
        return 1
        ;;
    esac
}

# The CNCF registry, where readers come from and may go back to.
old_registry=
registry() {
    stop_registry
    mkdir -p /var/lib/registry
    export REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY=${REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY:-/var/lib/registry}
    command docker-registry "$@" >>/tmp/registry.log 2>&1 </dev/null &
    old_registry=$!
    local tries
    for ((tries = 0; tries < 600; tries++)); do
        if command curl --silent --fail --output /dev/null localhost:5000/v2/; then
            return
        fi
        kill -0 "$old_registry"
        sleep 0.1
    done
    echo "the old registry was not ready within a minute"
    return 1
}

stop_registry() {
    if [[ -n $old_registry ]]; then
        kill -TERM "$old_registry"
        wait "$old_registry" || true
        old_registry=
    fi
}

sudo() {
    while [[ $1 == -* ]]; do
        [[ $1 == -u ]] && shift
        shift
    done
    "$@"
}

engine=
start_docker() {
    if [[ -n $engine ]]; then
        kill -TERM "$engine"
        wait "$engine" || true
    fi
    mkdir -p /etc/docker
    [[ -e /etc/docker/daemon.json ]] || echo '{}' >/etc/docker/daemon.json
    command dockerd --iptables=false --ip6tables=false --ip-masq=false --bridge=none --storage-driver=vfs \
        --exec-opt=native.cgroupdriver=cgroupfs >>/tmp/dockerd.log 2>&1 </dev/null &
    engine=$!
    local tries
    for ((tries = 0; tries < 900; tries++)); do
        if command docker version >/dev/null 2>&1; then
            return
        fi
        kill -0 "$engine" || break
        sleep 0.1
    done
    echo "the docker engine does not start:"
    tail -n 20 /tmp/dockerd.log
    return 1
}

# The builder of the engine itself: the other one is a plugin that may not be there.
export DOCKER_BUILDKIT=0
docker() {
    [[ -n $engine ]] || start_docker
    typed docker "$@"
}

# The driver that works everywhere, and an engine without systemd.
export STORAGE_DRIVER=vfs
podman() { typed podman --cgroup-manager=cgroupfs --events-backend=none "$@"; }
skopeo() { typed skopeo "$@"; }
crane() { if [[ $* == *--password-stdin* ]]; then command crane "$@" <<<secret; else command crane "$@"; fi; }

# Whoever is asked for a password is ada, whose it is "secret".
typed() {
    if [[ " $* " == *" login "* && $* != *-p* ]]; then
        command "$@" --username ada --password secret
    else
        command "$@"
    fi
}
htpasswd() { command htpasswd -b "$@" secret; }
curl() {
    local word last= words=()
    for word in "$@"; do
        if [[ $last == -u && $word != *:* ]]; then
            word+=:secret
        fi
        words+=("$word")
        last=$word
    done
    command curl --fail-with-body --silent --show-error --max-time 60 "${words[@]}"
}

# What a reader has pushed before: a tiny image under each of the names.
push_image() {
    local name
    for name in "$@"; do
        echo "$name" >/tmp/content
        tar -C /tmp -cf /tmp/content.tar content
        command crane append --insecure --new_layer /tmp/content.tar --new_tag "localhost:5000/$name"
    done
}

# The end of the page.
leave() {
    stop_server
    stop_registry
    if [[ -n $engine ]]; then
        kill -TERM "$engine" 2>/dev/null || true
        wait "$engine" || true
    fi
    exit 0
}
