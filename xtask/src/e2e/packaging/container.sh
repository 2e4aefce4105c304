# The image in /files/context, as users have it: built, pushed to Cargohold itself, pulled, and run in the place of registry:2.
image=localhost:5000/cargohold:test
docker build --quiet --tag $image /files/context
CARGOHOLD__AUTH=open cargohold serve
docker push $image
docker image rm --force $image
docker pull $image
stop_server

run() { docker run --detach --name registry --network host "$@"; }
answers() {
    local tries
    for ((tries = 0; tries < 600; tries++)); do
        if command curl --silent --fail --output /dev/null "localhost:${1:-5000}/v2/"; then
            return
        fi
        [[ $(docker inspect --format '{{.State.Running}}' registry) == true ]] || break
        sleep 0.1
    done
    docker logs registry
    return 1
}
gone() { docker stop registry && docker rm registry; }

at 'a new volume, and the arguments that registry:2 takes'
for arguments in '' /etc/docker/registry/config.yml 'serve /etc/distribution/config.yml' 'registry serve /etc/docker/registry/config.yml'; do
    # shellcheck disable=SC2086
    run --volume images:/var/lib/registry $image $arguments
    answers
    [[ $(docker top registry -o pid,uid | awk 'END { print $2 }') == 65532 ]]
    push_image "team/app:v$((++pushed))"
    docker exec registry cargohold health
    docker exec registry cargohold sweep status
    docker exec registry registry garbage-collect /etc/docker/registry/config.yml
    docker exec registry cargohold fsck
    gone
done

at 'its settings by variables'
run --volume images:/var/lib/registry --env REGISTRY_HTTP_ADDR=:5005 --env REGISTRY_STORAGE_DELETE_ENABLED=true $image
answers 5005
docker exec registry cargohold health
for tag in v1 v2 v3 v4; do
    crane digest --insecure localhost:5005/team/app:$tag
done
crane delete --insecure localhost:5005/team/app:v4
gone

at 'a folder that registry:2 has written, which is root'"'"'s'
mkdir /srv/old
REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY=/srv/old
export REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY
cat >/tmp/old.yml <<'END'
version: 0.1
storage: {filesystem: {rootdirectory: /srv/old}}
http: {addr: localhost:5000}
END
registry serve /tmp/old.yml
push_image old/app:v1
old=$(crane digest localhost:5000/old/app:v1)
stop_registry
seen() { (cd /srv/old/docker && find . -type f -exec sha256sum {} + -o -printf '%p %u %m\n' | sort | sha256sum); }
before=$(seen)
run --volume /srv/old:/var/lib/registry $image
[[ $(docker wait registry) == 1 ]]
docker logs registry 2>&1 | tee /tmp/refused
grep -q 'chown 65532 /var/lib/registry' /tmp/refused
docker rm registry
chown 65532 /srv/old
run --volume /srv/old:/var/lib/registry $image
answers
[[ $(crane digest localhost:5000/old/app:v1) == "$old" ]]
push_image old/app:v2
docker restart registry
answers
crane digest localhost:5000/old/app:v2
[[ $(crane digest localhost:5000/old/app:v1) == "$old" ]]
gone
[[ $(seen) == "$before" ]]

at 'and back again'
registry serve /tmp/old.yml
[[ $(crane digest localhost:5000/old/app:v1) == "$old" ]]
stop_registry
echo 'all is well'
leave
