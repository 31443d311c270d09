# Runs that are cut off at a named point. Sourced after lib.sh and lab.sh, not run.
set -a
journals=$XDG_STATE_HOME/slipway/$lab

kill_workstation() { kill -KILL "$1"; }
kill_agent() { podman exec "slipway-$lab-$2" pkill -KILL -f 'agent [-]-stdio'; }
interrupt() { kill -INT "$1"; }
cut_connection() { podman exec "slipway-$lab-$2" pkill -KILL -f 'sshd: ops'; }

# Runs a command and cuts it off as soon as its journal says that a matching step
# started. Usage: cut_at HOW HOST STEP COMMAND…
cut_at() {
    local how=$1 host=$2 step=$3 process status=0 deadline=$((SECONDS + 240))
    shift 3
    rm -rf "$journals"
    "$slipway" "$@" -f "$file" -y >"$work/run" 2>&1 &
    process=$!
    until grep -qE "\"step-started\",\"step\":\"$host/$step" "$journals"/*.ndjson 2>/dev/null; do
        if ! kill -0 "$process" 2>/dev/null; then
            wait "$process" || status=$?
            echo "it ended with $status before $host/$step started:"
            cat "$work/run"
            return 1
        fi
        [ "$SECONDS" -lt "$deadline" ] || { kill -KILL "$process"; echo "no $host/$step in time"; return 1; }
        sleep 0.02
    done
    "$how" "$process" "$host"
    wait "$process" || status=$?
    cat "$work/run"
    echo "cut off in $host/$step; exit code $status"
    [ "$status" -ne 0 ]
    # A message belongs to whoever is still there to give it.
    [ "$how" = kill_workstation ] || grep -q "$host" "$work/run"
}

# Runs Slipway on a host by itself and kills it as soon as a path is there: it is
# workstation and agent in one. Usage: cut_there HOST PATH ARGUMENT…
cut_there() {
    local host=$1
    shift
    on "$host" sh -c '
        path=$1
        shift
        /usr/local/bin/slipway "$@" &
        process=$!
        until [ -e "$path" ]; do
            kill -0 "$process" || { echo "it ended before $path was there"; exit 1; }
            sleep 0.02
        done
        kill -KILL "$process"
        if wait "$process"; then echo "it was done before it was killed"; exit 1; fi
        echo "cut off, $path is there"' sh "$@"
}
