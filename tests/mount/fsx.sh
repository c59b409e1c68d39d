# Random reads, writes, truncates and mappings of one file agree with a copy in memory, and in the
# end the sandbox has the same bytes. SEED and OPS may be given.
. "$(dirname "$0")/lib.sh"

for seed in ${SEED:-1 2 3}; do
    for max in 60000 2500000; do
        check "seed $seed, up to $max bytes" env FSX_WANT="$WORK/want" \
            "$TEST_BIN/fsx" "$MNT/f$seed.$max" "$seed" "${OPS:-400}" $max
        "$DAYTONAFS" sync "$MNT" || check "sync" false
        check "the sandbox has it" cmp "$WORK/want" "$SBX/f$seed.$max"
    done
done
