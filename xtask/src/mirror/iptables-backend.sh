#!/bin/sh
# Runs the iptables tool it is called as with the back end that the node's
# kubelet uses, so that all rules of a node are in one place.

tool=${0##*/}
memory=/run/iptables-backend

# The kubelet leaves a chain of a known name for everyone who has to choose.
kubelet_uses() {
    for family in iptables ip6tables; do
        case $("xtables-$1-multi" "$family-save" -t mangle 2>/dev/null) in
            *:KUBE-IPTABLES-HINT* | *:KUBE-KUBELET-CANARY*) return 0 ;;
        esac
    done
    return 1
}

# Listing legacy tables makes the kernel create them: look only where some are.
legacy_tables_exist() {
    for names in /proc/net/ip_tables_names /proc/net/ip6_tables_names; do
        if [ -r "$names" ] && read -r first < "$names" && [ -n "$first" ]; then
            return 0
        fi
    done
    return 1
}

count_rules() {
    "xtables-$1-multi" iptables-save 2>/dev/null | grep -c '^-A'
}

choose() {
    if kubelet_uses nft; then
        echo nft
    elif legacy_tables_exist && kubelet_uses legacy; then
        echo legacy
    elif ! xtables-nft-multi iptables-save > /dev/null 2>&1; then
        echo legacy # this kernel has no nf_tables
    elif legacy_tables_exist && [ "$(count_rules legacy)" -gt "$(count_rules nft)" ]; then
        echo legacy
    else
        echo nft
    fi
}

backend=
if [ -r "$memory" ]; then
    read -r backend < "$memory"
fi
case $backend in
    nft | legacy) ;;
    *)
        backend=$(choose)
        # Without a writable /run the choice is made each time.
        (echo "$backend" > "$memory") 2>/dev/null
        ;;
esac
exec "xtables-$backend-multi" "$tool" "$@"
