#!/bin/sh
# Cargo calls this instead of the compiler for what is ours, so that the fuzzer sees which ways an input takes through it.
compiler=$1
shift
case " $* " in
# What runs while building is linked without the fuzzer.
*' --crate-name build_script_build '*) ;;
*' --crate-name '*)
    set -- "$@" -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
        -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
        -Cllvm-args=-sanitizer-coverage-trace-compares
    ;;
esac
exec "$compiler" "$@"
