# A writer that counts: somebody on a worker writes through its balancer while things
# happen, and whatever was acknowledged must be there afterwards; and a reader. Sourced
# after lib.sh and lab.sh, not run; the scenario's `kubectl` asks the API server.

# Writes numbered ConfigMaps on the worker, through its balancer, one after the
# other, and notes on the host which of them were acknowledged, and when.
writer_starts() {
    kubectl create namespace counted
    kubectl -n counted create serviceaccount writer
    kubectl -n counted create rolebinding writer --clusterrole=edit --serviceaccount=counted:writer
    kubectl -n counted create token writer --duration=2h | on w-1 sh -c 'umask 077; cat >/root/token'
    on w-1 sh -c 'cat >/root/write.sh' <<'WRITE'
n=0
while [ ! -e /root/stop ]; do
    n=$((n + 1))
    body="{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"n-$n\"}}"
    while [ ! -e /root/stop ]; do
        code=$(curl -s -o /dev/null -w '%{http_code}' --max-time 2 --cacert /etc/kubernetes/pki/ca.crt \
            -H "Authorization: Bearer $(cat /root/token)" -H 'Content-Type: application/json' \
            -d "$body" https://127.0.0.1:6443/api/v1/namespaces/counted/configmaps)
        # 409: it was written, and the answer was lost.
        case $code in 201 | 409) echo "$(date +%s%N) n-$n" >>/root/written; break ;; *) echo "$(date +%s%N) $code" >>/root/refused; sleep 0.1 ;; esac
    done
    sleep 0.1
done
WRITE
    on w-1 systemd-run --unit=writer sh /root/write.sh
    eventually 20 on w-1 test -s /root/written
}
written() { on w-1 sh -c 'wc -l </root/written'; }
more_is_written() { [ "$(written)" -gt "$(($1 + 5))" ]; }
writes_go_on() {
    local before
    before=$(written)
    eventually 25 more_is_written "$before"
}
# Succeeds when all that was acknowledged up to now is there; where two moments are given,
# all but what was acknowledged between them. Usage: acknowledged_is_there [FROM TO]
acknowledged_is_there() {
    on w-1 cat /root/written >"$work/written"
    kubectl -n counted get configmaps -o name | sed 's#configmap/##' | sort >"$work/there"
    awk -v from="${1:-0}" -v to="${2:-0}" '$1 < from || $1 > to { print $2 }' "$work/written" | sort >"$work/acknowledged"
    wc -l <"$work/acknowledged"
    comm -23 "$work/acknowledged" "$work/there" | tee "$work/lost"
    [ ! -s "$work/lost" ]
}
# Ends the writer, which has written enough to tell.
writer_ends() {
    on w-1 touch /root/stop
    sleep 3
    [ "$(written)" -gt 100 ]
}
# Prints for how many seconds the writer waited at most.
longest_pause() {
    awk 'NR > 1 && $1 - last > max { max = $1 - last } { last = $1 } END { printf "%.1f\n", max / 1e9 }' "$work/written"
}
nothing_acknowledged_is_lost() {
    writer_ends
    acknowledged_is_there
    local longest
    longest=$(longest_pause)
    figure "the longest pause of the writer: $longest s (aim 5)"
    awk -v it="$longest" 'BEGIN { exit it > 25 }'
}

# Asks the API server through a worker's balancer, about ten times a second, and prints
# for how many seconds it had no answer at most. Usage: longest_silence WORKER SECONDS_
longest_silence() {
    on "$1" sh -ec '
        last=$(date +%s%3N) at=$last longest=0
        end=$((last + $2 * 1000))
        while [ "$at" -lt "$end" ]; do
            answered=no
            if curl -sf -o /dev/null --max-time 2 --cacert /etc/kubernetes/pki/ca.crt \
                --cert /var/lib/kubelet/pki/kubelet-client-current.pem "https://127.0.0.1:6443/api/v1/nodes/$1"; then
                answered=yes
            fi
            at=$(date +%s%3N)
            [ $((at - last)) -le "$longest" ] || longest=$((at - last))
            [ "$answered" = no ] || last=$at
            sleep 0.1
        done
        echo "$((longest / 1000)).$((longest / 100 % 10))"' sh "$1" "$2"
}
# A control-plane host crashes. For how many seconds a worker had no answer at most is in
# $work/silence then. Usage: silence_after_crash HOST
silence_after_crash() {
    local worker
    for worker in w-1 w-2; do
        longest_silence "$worker" 30 >"$work/silence-$worker" &
    done
    sleep 2
    podman kill "slipway-$lab-$1"
    wait
    for worker in w-1 w-2; do
        grep -E '^[0-9]+\.[0-9]$' "$work/silence-$worker" || exit 1
    done | sort -n | tail -n 1 >"$work/silence"
}
