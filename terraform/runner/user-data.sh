# shellcheck shell=sh
# What an instance does first: it makes the machine fit for a runner, and then hands over to
# start-runner.sh. Terraform puts `#!/bin/sh` and the settings (STOKER_…='…') above this text, and
# start-runner.sh into one of them; docs/runner-boot.md lists them.
#
# Whatever goes wrong here or there, the instance terminates itself, with the reason as the last line of
# its log. Nothing secret is known here. Amazon Linux 2, Amazon Linux 2023 and Ubuntu; sh may be dash.
set -eu
umask 022

# The tests' handles. Empty on an instance.
root=${STOKER_ROOT:-}
metadata=${STOKER_METADATA_URL:-http://169.254.169.254}

logs=$root/var/log/stoker
agent=$root/opt/aws/amazon-cloudwatch-agent
home=$root/opt/stoker
runner=$root/opt/actions-runner

STOKER_RUN_AS=${STOKER_RUN_AS:-runner}
STOKER_BOOT_TIME_SECONDS=${STOKER_BOOT_TIME_SECONDS:-600}

instance='' # its id
reason=''   # why this ends
outcome=''  # "stays": a runner serves here for good
logged=''   # whether the CloudWatch agent carries logs away

# --- words -------------------------------------------------------------------------------------------

# To the log, and to where cloud-init listens, which the instance's console output shows.
log() {
    words="$(date -u +%Y-%m-%dT%H:%M:%SZ) stoker: $*"
    printf '%s\n' "$words"
    printf '%s\n' "$words" >&3 2>/dev/null || true
}

fail() {
    reason=$*
    exit 1
}

pause() {
    sleep "${STOKER_PAUSE:-$1}"
}

# retry TIMES WHAT COMMAND…: with longer pauses each time.
retry() {
    times=$1 what=$2 attempt=1
    shift 2
    until "$@"; do
        [ "$attempt" -lt "$times" ] || return 1
        log "$what failed ($attempt of $times), trying again"
        pause $((attempt * 5))
        attempt=$((attempt + 1))
    done
}

# Seconds since the machine came up; STOKER_BOOTED_AT is for machines that were up before.
uptime() {
    read -r seconds _ </proc/uptime
    echo $((${seconds%.*} - ${STOKER_BOOTED_AT:-0}))
}

seconds_left() {
    echo $((STOKER_BOOT_TIME_SECONDS - $(uptime)))
}

# within COMMAND…: no longer than the boot may take, so that nothing that hangs keeps the instance.
within() {
    left=$(seconds_left)
    [ "$left" -gt 0 ] || left=1
    timeout --kill-after=10 "$left" "$@"
}

# --- the instance's end ------------------------------------------------------------------------------

on_exit() {
    status=$?
    trap - EXIT
    set +e
    [ "$outcome" = stays ] && exit 0
    if [ -z "$reason" ]; then
        reason="the boot script ended with status $status, which it never should; the lines above may tell why"
    fi
    [ -n "$instance" ] || identify 3
    log "terminating ${instance:-this instance}: $reason"
    if [ -n "$logged" ]; then
        # The agent reads and sends every few seconds.
        pause 15
    fi
    terminate
}

# AWS may refuse or not be reached. `InstanceInitiatedShutdownBehavior` is `terminate`, so a shutdown
# comes to the same; it does not ask anybody.
terminate() {
    if [ -n "$instance" ] && command -v aws >/dev/null &&
        retry 3 'terminating' aws ec2 terminate-instances --region "$STOKER_REGION" \
            --instance-ids "$instance" --output text >/dev/null; then
        return
    fi
    log "AWS did not terminate it, so it is shut down (see above; the instance's role needs ec2:TerminateInstances on itself)"
    shutdown -h now
}

# identify TIMES: asks the metadata service (v2 alone) who this is.
identify() {
    command -v curl >/dev/null || return 1
    retry "$1" 'asking the metadata service' ask_metadata
}

ask_metadata() {
    token=$(curl -fsS --connect-timeout 2 --max-time 5 -X PUT \
        -H 'X-aws-ec2-metadata-token-ttl-seconds: 300' "$metadata/latest/api/token") &&
        instance=$(metadata_item instance-id) && {
        [ -n "$STOKER_REGION" ] || STOKER_REGION=$(metadata_item placement/region)
    }
}

metadata_item() {
    curl -fsS --connect-timeout 2 --max-time 5 -H "X-aws-ec2-metadata-token: $token" "$metadata/latest/meta-data/$1"
}

# --- packages ----------------------------------------------------------------------------------------

# Sets `system` (amazon-2, amazon-2023 or ubuntu).
know_system() {
    # shellcheck source=/dev/null
    system=$(. "$root/etc/os-release" && echo "${ID:-}-${VERSION_ID:-}") || system=''
    case $system in
        amzn-2) system=amazon-2 ;;
        amzn-2023*) system=amazon-2023 ;;
        ubuntu-*) system=ubuntu ;;
        *) fail "the image's system is '${system:-unknown}' by its /etc/os-release; build the class's AMI from Amazon Linux 2, Amazon Linux 2023 or Ubuntu" ;;
    esac
}

# The packages without which a runner can't be started and that are not there.
missing_packages() {
    command -v jq >/dev/null || echo jq
    command -v tar >/dev/null || echo tar
    command -v gzip >/dev/null || echo gzip
    command -v setpriv >/dev/null || echo util-linux
    case $system in
        amazon-2) names='curl awscli shadow-utils' ;;
        amazon-2023) names='curl-minimal awscli-2 shadow-utils' ;;
        ubuntu) names='curl unzip passwd' ;;
    esac
    # shellcheck disable=SC2086 # three words
    set -- $names
    command -v curl >/dev/null || echo "$1"
    # Ubuntu has no package of it: what its installer needs.
    command -v aws >/dev/null || { [ "$system" = ubuntu ] && command -v unzip >/dev/null; } || echo "$2"
    id "$STOKER_RUN_AS" >/dev/null 2>&1 || command -v useradd >/dev/null || echo "$3"
    # The runner is a .NET program. On Ubuntu, where the library's name has a number in it, its own
    # installdependencies.sh finds the right one.
    [ "$system" = ubuntu ] || has_icu || echo libicu
}

has_icu() {
    # Not all systems have it in an ordinary user's PATH.
    { ldconfig -p || /sbin/ldconfig -p; } 2>/dev/null | grep -q libicuuc
}

install_packages() {
    case $system in
        amazon-2) within yum install -y "$@" ;;
        amazon-2023) within dnf install -y --setopt=install_weak_deps=False "$@" ;;
        ubuntu)
            # An image's own updates may hold the lock for the first minutes.
            export DEBIAN_FRONTEND=noninteractive
            within apt-get -o DPkg::Lock::Timeout=120 update -q &&
                within apt-get -o DPkg::Lock::Timeout=120 install -y -q --no-install-recommends "$@"
            ;;
    esac
}

# Installs what is missing, and nothing (without a network) where all is there.
prepare_packages() {
    packages=$(missing_packages | tr '\n' ' ')
    wanted=$packages
    if [ "$STOKER_LOGS" = true ] && [ "$system" != ubuntu ] && ! agent_installed; then
        wanted="$packages amazon-cloudwatch-agent"
    fi
    if [ -n "${wanted# }" ]; then
        log "installing $wanted"
        # shellcheck disable=SC2086 # words
        if ! retry 2 "installing $wanted" install_packages $wanted && [ -n "$packages" ]; then
            # The agent is not worth an instance; without the others there is no runner.
            retry 3 "installing $packages" install_packages $packages ||
                fail "the packages $packages could not be installed (see above): are the package sources reachable from the subnet? Or use an image that has them"
        fi
    fi
    command -v aws >/dev/null || install_aws_cli ||
        fail "the AWS CLI could not be installed from awscli.amazonaws.com (see above): let the subnet reach it, or use an image that has the CLI"
}

# Ubuntu's repositories have none for every release. What comes by TLS from AWS is not verified further:
# whoever wants that has it in the image.
install_aws_cli() {
    [ "$system" = ubuntu ] || return 1
    log "installing the AWS CLI"
    folder=$(mktemp -d) &&
        within curl -fsSL --retry 5 --connect-timeout 10 -o "$folder/cli.zip" \
            "https://awscli.amazonaws.com/awscli-exe-linux-$(uname -m).zip" &&
        unzip -q "$folder/cli.zip" -d "$folder" && "$folder/aws/install" >/dev/null && rm -rf "$folder"
}

# --- logs --------------------------------------------------------------------------------------------

agent_installed() {
    [ -x "$agent/bin/amazon-cloudwatch-agent-ctl" ]
}

# Amazon Linux has it among its packages.
install_agent() {
    [ "$system" = ubuntu ] || return 1
    case $(uname -m) in aarch64) arch=arm64 ;; *) arch=amd64 ;; esac
    package=$(mktemp) &&
        within curl -fsSL --retry 3 --connect-timeout 10 -o "$package" \
            "https://amazoncloudwatch-agent-$STOKER_REGION.s3.$STOKER_REGION.amazonaws.com/ubuntu/$arch/latest/amazon-cloudwatch-agent.deb" &&
        dpkg -i -E "$package" && rm -f "$package"
}

# A stream for each file. Runners without logs are better than none, so nothing here is fatal.
start_agent() {
    [ -z "$logged" ] && [ -n "$instance" ] || return 0
    mkdir -p "$agent/etc"
    stream() {
        printf '{"file_path":"%s","log_group_name":"%s","log_stream_name":"%s/%s"}' \
            "$1" "$STOKER_LOG_GROUP" "$instance" "$2"
    }
    printf '{"agent":{"run_as_user":"root"},"logs":{"force_flush_interval":5,"logs_collected":{"files":{"collect_list":[%s,%s,%s,%s]}}}}\n' \
        "$(stream "$logs/user-data.log" user-data)" "$(stream "$logs/runner.log" runner)" \
        "$(stream "$runner/_diag/Runner_*.log" diagnostics)" \
        "$(stream "$runner/_diag/Worker_*.log" diagnostics)" >"$agent/etc/stoker.json"
    # What the image's own configuration has the agent collect goes on being collected.
    how=fetch-config
    [ -z "$(ls -A "$agent/etc/amazon-cloudwatch-agent.d" 2>/dev/null)" ] || how=append-config
    if "$agent/bin/amazon-cloudwatch-agent-ctl" -a "$how" -m ec2 -s -c "file:$agent/etc/stoker.json"; then
        logged=yes
    else
        log "the CloudWatch agent did not start (see above); this instance's logs stay on it"
    fi
}

prepare_agent() {
    [ "$STOKER_LOGS" = true ] || return 0
    agent_installed || install_agent || true
    if agent_installed; then
        start_agent
    else
        log "the CloudWatch agent could not be installed (see above); this instance's logs stay on it"
    fi
}

# --- hooks -------------------------------------------------------------------------------------------

# run_hook NAME SCRIPT: runs an operator's script (base64), as root.
run_hook() {
    [ -n "$2" ] || return 0
    log "running the $1 hook"
    write_script "$home/$1.sh" "$2"
    # A new process, so that it can neither change nor end this one; it may be in any language.
    status=0
    within "$home/$1.sh" </dev/null 3>&- || status=$?
    [ "$status" -ne 124 ] ||
        fail "the $1 hook had not ended $STOKER_BOOT_TIME_SECONDS s after the boot (its output is above); make it quicker, or raise the boot time"
    [ "$status" -eq 0 ] || fail "the $1 hook ended with status $status (its output is above); mend the class's hook"
}

# write_script FILE SCRIPT: for root to change, for all to read.
write_script() {
    decode "$1" "$2"
    chmod 755 "$1"
}

# decode FILE SCRIPT: out of base64, and of gzip if it is packed: user data may have 16 KB.
decode() {
    printf '%s' "$2" | base64 -d >"$1.packed" ||
        fail "the setting for $(basename "$1") is not base64; Terraform's base64gzip() and base64encode() make it"
    gzip -dc <"$1.packed" >"$1" 2>/dev/null || cp "$1.packed" "$1"
    rm -f "$1.packed"
}

# --- in order ----------------------------------------------------------------------------------------

mkdir -p "$logs" "$home"
# What jobs run may not read, nor the runner's folder be a way into.
chmod 750 "$logs"
chmod 755 "$home"
exec 3>&1 >>"$logs/user-data.log" 2>&1
trap on_exit EXIT
trap 'fail "the boot script was told to end (by a signal)"' HUP INT TERM

log "booting a runner of class $STOKER_CLASS, deployment $STOKER_DEPLOYMENT"
know_system
identify 5 || log "the metadata service does not answer yet"
if [ "$STOKER_LOGS" = true ] && agent_installed; then
    start_agent
fi
run_hook pre-install "$STOKER_PRE_INSTALL"
prepare_packages
[ -n "$instance" ] || identify 5 ||
    fail "the instance's metadata service does not answer; the launch template has to leave it enabled"
prepare_agent

decode "$home/start-runner.sh" "$STOKER_START_RUNNER"
chmod 700 "$home/start-runner.sh"
# shellcheck source=terraform/runner/start-runner.sh
. "$home/start-runner.sh"
