# shellcheck shell=sh
# The runner: gets the distribution, waits for what scale-up writes for this instance, registers, runs.
# user-data.sh reads this after it has made the machine fit; what is not defined here is defined there.
#
# The secret (a JIT configuration, or a registration token) comes as one SSM parameter. It is kept in a
# variable of this shell and in the environment of the one process that registers: never in a file, on a
# command line or in a log. So nobody may `set -x` here.
# shellcheck disable=SC2034,SC2154 # user-data.sh reads some variables, and sets others

# On the disk: /tmp is memory on Amazon Linux 2023, and the archive has some 200 MB.
work=$home/work
mkdir -p "$work"
chmod 700 "$work"
archive=$work/runner.tar.gz
parameter=$(printf '/%s/%s/runners/%s' "$(printf '%s' "$STOKER_PREFIX" | sed 's,^/*,,; s,/*$,,')" "$STOKER_DEPLOYMENT" "$instance")

version='' # of the runner: what S3 offers
s3_problem=''
github_problem=''

# --- the user ----------------------------------------------------------------------------------------

prepare_user() {
    if ! id "$STOKER_RUN_AS" >/dev/null 2>&1; then
        useradd --create-home --shell /bin/bash "$STOKER_RUN_AS" ||
            fail "the user $STOKER_RUN_AS could not be made (see above); use an image that has it, or another name"
    fi
    user=$(id -u "$STOKER_RUN_AS")
    group=$(id -g "$STOKER_RUN_AS")
    user_home=$(getent passwd "$user" | cut -d: -f6)
    if [ "$(id -u)" = "$user" ]; then
        becoming=''
    else
        becoming="setpriv --reuid=$user --regid=$group --init-groups"
    fi
}

# Becomes the runner's user, in its folder, without what only this script needs. To be called in a
# subshell. Nothing of the environment goes over a command line.
become_runner() {
    HOME=$user_home USER=$STOKER_RUN_AS LOGNAME=$STOKER_RUN_AS
    export HOME USER LOGNAME
    cd "$runner" || exit 1
    for_hooks export_variable
    # shellcheck disable=SC2086 # words
    exec $becoming "$@" </dev/null 3>&-
}

# --- the distribution --------------------------------------------------------------------------------

know_platform() {
    case $(uname -m) in
        x86_64) platform=linux-x64 ;;
        aarch64) platform=linux-arm64 ;;
        *) fail "GitHub has no runner for $(uname -m); use x86_64 or arm64 instance types" ;;
    esac
}

prepare_distribution() {
    know_platform
    bucket=$STOKER_DISTRIBUTION_BUCKET
    prefix=$(printf '%s' "$STOKER_DISTRIBUTION_PREFIX" | sed 's,^/*,,; s,/*$,,; s,.$,&/,')
    offer=''
    [ -z "$bucket" ] || find_offer
    baked=$(cat "$runner/.stoker-version" 2>/dev/null) || baked=''
    if [ -n "$baked" ] && [ "$baked" = "${version:-$baked}" ]; then
        log "using the image's own runner, $baked"
    else
        { [ -n "$offer" ] && from_s3; } || from_github ||
            fail "there is no runner to start. S3: ${s3_problem:-no bucket is configured}. GitHub: $github_problem"
        unpack
    fi
    [ "$(stat -c %u "$runner")" = "$user" ] || chown -R "$user:$group" "$runner"
    rm -f "$archive"
}

# Sets `offer`, `version`, `key` and `sha256` when S3 offers something for this platform.
find_offer() {
    s3_problem="it could not be reached"
    retry 5 "asking s3://$bucket/${prefix}offered.json" ask_offer || log "S3 is given up: $s3_problem"
    [ "$offer" = asked ] || { offer='' && return 0; }
    offer=$(jq -c --arg platform "$platform" 'select(.version == 1)
        | .release as $release | .platforms[$platform] | select(.key and .sha256) | {$release, key, sha256}' \
        "$work/offered.json") || offer=''
    if [ -z "$offer" ]; then
        s3_problem="s3://$bucket/${prefix}offered.json has no $platform, is damaged, or is of another version than this script"
        log "$s3_problem"
        return
    fi
    version=$(printf '%s' "$offer" | jq -r .release)
    key=$(printf '%s' "$offer" | jq -r .key)
    sha256=$(printf '%s' "$offer" | jq -r .sha256)
}

# S3 may say that there is nothing (without s3:ListBucket it says 403 for that), or nothing at all.
ask_offer() {
    if AWS_MAX_ATTEMPTS=2 aws s3api get-object --region "$STOKER_REGION" --cli-connect-timeout 5 \
        --cli-read-timeout 20 --bucket "$bucket" --key "${prefix}offered.json" "$work/offered.json" \
        >/dev/null 2>"$work/errors"; then
        offer=asked
    elif grep -qE 'NoSuchKey|NoSuchBucket|AccessDenied|\((403|404)\)' "$work/errors"; then
        s3_problem="it offers nothing at s3://$bucket/${prefix}offered.json, or not to this instance ($(error_code))"
        log "S3: $s3_problem"
    else
        cat "$work/errors"
        return 1
    fi
}

# The code of the AWS CLI's last error, or the whole.
error_code() {
    tr '\n' ' ' <"$work/errors" | sed 's/.*(\([A-Za-z0-9]*\)) when calling.*/\1/; s/^ *//; s/ *$//'
}

# What is damaged may be whole the next time. What can't be had is tried for a minute.
from_s3() {
    for _ in 1 2; do
        s3_problem="s3://$bucket/$prefix$key could not be downloaded"
        retry 4 "downloading s3://$bucket/$prefix$key" download_from_s3 || break
        verify "$sha256" && return 0
        s3_problem="s3://$bucket/$prefix$key is not what offered.json says it is (its SHA-256 differs); let the syncer mirror it again"
    done
    log "S3: $s3_problem; asking GitHub"
    return 1
}

download_from_s3() {
    within aws s3 cp --region "$STOKER_REGION" --only-show-errors "s3://$bucket/$prefix$key" "$archive"
}

# The same version as S3 offers, or else the newest.
from_github() {
    releases=${STOKER_GITHUB_API_URL:-https://api.github.com}/repos/actions/runner/releases
    if [ -n "$version" ]; then releases=$releases/tags/v$version; else releases=$releases/latest; fi
    github_problem="$releases could not be read"
    retry 4 "asking $releases" download "$releases" "$work/release.json" || return 1
    asset=$(jq -c --arg platform "$platform" '(.tag_name | ltrimstr("v")) as $version
        | "actions-runner-\($platform)-\($version).tar.gz" as $name
        | .assets[] | select(.name == $name) | {$version, url: .browser_download_url, digest}' \
        "$work/release.json") || asset=''
    github_problem="$releases has no runner for $platform"
    [ -n "$asset" ] || return 1
    version=$(printf '%s' "$asset" | jq -r .version)
    url=$(printf '%s' "$asset" | jq -r .url)
    digest=$(printf '%s' "$asset" | jq -r '.digest // empty')
    github_problem="it publishes no SHA-256 for $url, and what can't be verified is not run"
    case $digest in sha256:*) ;; *) return 1 ;; esac
    log "downloading $url"
    for _ in 1 2; do
        github_problem="$url could not be downloaded"
        retry 4 "downloading $url" download "$url" "$archive" || return 1
        verify "${digest#sha256:}" && return 0
        github_problem="$url is not what GitHub says it is (its SHA-256 differs); is there a proxy in between?"
    done
    return 1
}

download() {
    within curl -fsSL --connect-timeout 10 -o "$2" "$1"
}

# What does not have this SHA-256 is deleted, so that nobody unpacks it.
verify() {
    found=$(sha256sum <"$archive" | cut -d' ' -f1)
    [ "$found" = "$(printf '%s' "$1" | tr 'A-F' 'a-f')" ] && return 0
    log "the archive has the SHA-256 $found and should have $1: not unpacked"
    rm -f "$archive"
    return 1
}

# Beside it first: a runner that is half unpacked is never in its place.
unpack() {
    log "unpacking runner $version"
    rm -rf "$runner.new"
    { mkdir -p "$runner.new" && tar -xzf "$archive" --no-same-owner -C "$runner.new" &&
        printf '%s\n' "$version" >"$runner.new/.stoker-version" && rm -rf "$runner" &&
        mv "$runner.new" "$runner"; } ||
        fail "the runner could not be unpacked to $runner (see above); is the volume large enough?"
}

# Ubuntu's name of the library has its version in it; the runner's own script knows them.
prepare_dependencies() {
    if [ "$system" = ubuntu ] && ! has_icu; then
        log "installing what the runner needs"
        retry 4 'installing what the runner needs' within "$runner/bin/installdependencies.sh" ||
            fail "the runner's dependencies could not be installed (see above): are the package sources reachable from the subnet? Or use an image that has libicu"
    fi
}

# --- job hooks ---------------------------------------------------------------------------------------

# The runner runs them with `bash -e`, as its own user; only root may change them.
prepare_job_hooks() {
    [ -z "$STOKER_HOOK_JOB_STARTED" ] || write_script "$home/job-started.sh" "$STOKER_HOOK_JOB_STARTED"
    [ -z "$STOKER_HOOK_JOB_COMPLETED" ] || write_script "$home/job-completed.sh" "$STOKER_HOOK_JOB_COMPLETED"
}

# for_hooks COMMAND: with each variable that tells the runner of a hook.
for_hooks() {
    [ -z "$STOKER_HOOK_JOB_STARTED" ] || "$1" ACTIONS_RUNNER_HOOK_JOB_STARTED "$home/job-started.sh"
    [ -z "$STOKER_HOOK_JOB_COMPLETED" ] || "$1" ACTIONS_RUNNER_HOOK_JOB_COMPLETED "$home/job-completed.sh"
}

export_variable() {
    export "$1=$2"
}

# --- the configuration -------------------------------------------------------------------------------

# Until it is there, SSM says that it is not, or (IAM goes by its tag) that it may not be read.
receive_configuration() {
    log "waiting for $parameter"
    every=2 told=''
    until configuration=$(AWS_MAX_ATTEMPTS=1 aws ssm get-parameter --region "$STOKER_REGION" \
        --cli-connect-timeout 5 --cli-read-timeout 15 --name "$parameter" --with-decryption \
        --query Parameter.Value --output text 2>"$work/errors"); do
        problem=$(error_code)
        case $problem in
            ParameterNotFound | AccessDenied*) every=2 ;;
            *Throttl* | *TooManyRequests*) [ "$every" -ge 16 ] || every=$((every * 2)) ;;
            *)
                every=4
                [ "$problem" = "$told" ] || log "SSM: $problem"
                told=$problem
                ;;
        esac
        [ "$(seconds_left)" -gt 0 ] ||
            fail "no configuration came at $parameter within $STOKER_BOOT_TIME_SECONDS s of the boot (SSM's last answer: $problem); scale-up's log says by this instance's id why it wrote none"
        pause $((every + $(od -An -N1 -tu1 /dev/urandom) % 3))
    done
    # It is of no use to anybody else, and scale-down sweeps what stays.
    retry 3 "deleting $parameter" aws ssm delete-parameter --region "$STOKER_REGION" --name "$parameter" ||
        log "$parameter could not be deleted (see above; the instance's role needs ssm:DeleteParameter on it); scale-down will"
    [ "$(field .version)" = 1 ] ||
        fail "the configuration is of a version that this script does not know; apply Terraform, so that new instances boot with the script of the Lambdas' release"
    name=$(field .name)
}

# By a pipe: printf is built in, so it is no command line.
field() {
    printf '%s' "$configuration" | jq -r "$1 // empty"
}

# GitHub's string, to the letter.
unpack_jit() {
    case $(field .encoding) in
        plain) jit=$(field .jit_config) ;;
        gzip+base64)
            jit=''
            if field .jit_config | base64 -d | gzip -t; then
                jit=$(field .jit_config | base64 -d | gzip -dc | base64 -w0)
            fi
            ;;
        *) jit='' ;;
    esac
    [ -n "$jit" ] || fail "the just-in-time configuration can't be unpacked; apply Terraform, so that new instances boot with the script of the Lambdas' release"
}

# --- registering and running -------------------------------------------------------------------------

# Jobs show it at the head of their log.
describe_machine() {
    jq -n --arg detail "Instance: $instance
Class: $STOKER_CLASS
Deployment: $STOKER_DEPLOYMENT" '[{group: "Stoker", detail: $detail}]' >"$runner/.setup_info"
}

# With a token. It is good for an hour, so nothing that outlives the registration may hold it.
register() {
    token=$(field .token)
    [ -n "$token" ] || fail "the configuration has no registration token; scale-up's log may tell why"
    url=$(field .url)
    labels=$(field '.labels | join(",")')
    runner_group=$(field .runner_group)
    ephemeral=$(field .ephemeral)
    configuration=''
    retry 3 'registering' register_once ||
        fail "the runner could not register with $url (see above, and the stream diagnostics)"
    token=''
    log "registered with $url as $name"
}

# What a failed attempt left would make the next one refuse.
register_once() {
    rm -f "$runner/.runner" "$runner/.credentials" "$runner/.credentials_rsaparams"
    (
        export ACTIONS_RUNNER_INPUT_TOKEN="$token"
        export ACTIONS_RUNNER_INPUT_URL="$url"
        export ACTIONS_RUNNER_INPUT_NAME="$name"
        export ACTIONS_RUNNER_INPUT_LABELS="$labels"
        export ACTIONS_RUNNER_INPUT_WORK=_work
        export ACTIONS_RUNNER_INPUT_UNATTENDED=true
        export ACTIONS_RUNNER_INPUT_REPLACE=true
        [ -z "$runner_group" ] || export ACTIONS_RUNNER_INPUT_RUNNERGROUP="$runner_group"
        [ "$ephemeral" != true ] || export ACTIONS_RUNNER_INPUT_EPHEMERAL=true
        [ "$STOKER_DISABLE_UPDATE" != true ] || export ACTIONS_RUNNER_INPUT_DISABLEUPDATE=true
        # A configuration may have come at the last moment.
        left=$(seconds_left)
        [ "$left" -ge 120 ] || left=120
        become_runner timeout --kill-after=10 "$left" ./config.sh
    )
}

# One job. In the background, so that a signal does not wait for the job's end.
serve_once() {
    log "starting the runner $name for one job"
    (
        [ -z "$jit" ] || export ACTIONS_RUNNER_INPUT_JITCONFIG="$jit"
        become_runner ./run.sh
    ) >>"$logs/runner.log" 2>&1 &
    serving=$!
    jit='' configuration=''
    status=0
    wait "$serving" || status=$?
    [ "$status" -eq 0 ] ||
        fail "the runner ended with status $status; the streams runner and diagnostics may tell why"
    reason="the runner has ended, after its job or because GitHub let it go"
}

# Job after job, and again after a reboot. The unit is root's: the log is opened before root is left. It
# runs run.sh, as GitHub's own unit does in the end by way of a Node.js that Amazon Linux 2 is too old for.
serve_for_good() {
    log "starting the runner $name as a service"
    service=stoker-runner.service
    configuration=''
    {
        printf '[Unit]\nDescription=GitHub Actions runner\nWants=network-online.target\nAfter=network-online.target\n\n'
        printf '[Service]\nWorkingDirectory=%s\n' "$runner"
        printf "ExecStart=/bin/sh -c 'exec %s %s/run.sh >>%s/runner.log 2>&1'\n" "$becoming" "$runner" "$logs"
        printf 'Environment=%s=%s\n' HOME "$user_home" USER "$STOKER_RUN_AS" LOGNAME "$STOKER_RUN_AS"
        for_hooks print_variable
        # A stop lets the job end itself: run.sh passes the signal on.
        printf 'Environment=RUNNER_MANUALLY_TRAP_SIG=1\n'
        printf 'KillMode=process\nKillSignal=SIGTERM\nTimeoutStopSec=5min\n\n'
        printf '[Install]\nWantedBy=multi-user.target\n'
    } >"$root/etc/systemd/system/$service"
    { systemctl daemon-reload && systemctl enable "$service" && systemctl start "$service"; } ||
        fail "systemd did not start $service (see above)"
    pause 5
    systemctl is-active --quiet "$service" ||
        fail "$service has ended at once; the streams runner and diagnostics may tell why"
    outcome=stays
    log "the runner $name serves jobs"
}

print_variable() {
    printf 'Environment=%s=%s\n' "$1" "$2"
}

# --- in order ----------------------------------------------------------------------------------------

prepare_user
prepare_distribution
prepare_dependencies
run_hook post-install "$STOKER_POST_INSTALL"
prepare_job_hooks
receive_configuration
describe_machine
rm -rf "$work"
jit=''
case $(field .mode) in
    ephemeral)
        unpack_jit
        serve_once
        ;;
    persistent)
        ephemeral=''
        register
        if [ "$ephemeral" = true ]; then serve_once; else serve_for_good; fi
        ;;
    *) fail "the configuration's mode is '$(field .mode)', which this script does not know; apply Terraform, so that new instances boot with the script of the Lambdas' release" ;;
esac
