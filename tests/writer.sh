# A writer that counts: somebody on a worker writes through its balancer while things
# happen, and whatever was acknowledged must be there afterwards. Sourced after lib.sh
# and lab.sh, not run; the scenario's `kubectl` asks the API server.

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
# Succeeds when all that was acknowledged up to now is there.
acknowledged_is_there() {
    on w-1 cat /root/written >"$work/written"
    kubectl -n counted get configmaps -o name | sed 's#configmap/##' | sort >"$work/there"
    cut -d' ' -f2 "$work/written" | sort >"$work/acknowledged"
    wc -l <"$work/acknowledged"
    comm -23 "$work/acknowledged" "$work/there" | tee "$work/lost"
    [ ! -s "$work/lost" ]
}
# Ends the writer. How long it waited at most is in $SLIPWAY_CACHE/longest-pause.
nothing_acknowledged_is_lost() {
    on w-1 touch /root/stop
    sleep 3
    acknowledged_is_there
    [ "$(wc -l <"$work/acknowledged")" -gt 100 ]
    local longest
    longest=$(awk 'NR > 1 && $1 - last > max { max = $1 - last } { last = $1 } END { printf "%.1f", max / 1e9 }' "$work/written")
    echo "the longest pause of the writer: $longest s (aim 5)" | tee "$SLIPWAY_CACHE/longest-pause"
    awk -v it="$longest" 'BEGIN { exit it > 25 }'
}
