#!/usr/bin/env bash
# Every check of the crate, cheapest first; stops at the first that fails. Installs nothing.
#
#   ./tests/all.sh                    all features (the first run compiles polars: some ten minutes)
#   WITHOUT=polars ./tests/all.sh     without the heavy one
#
# PROGNOS_DATA names a folder with recorded data (datasets/README.md); what needs it says so where it is not set.
# All steps share the dev profile, so that each dependency is compiled once to run and once to check.
set -euo pipefail
cd "$(dirname "$0")/.."

missing=0
need() { # command, how to get it
    if ! "${@:2}" >/dev/null 2>&1; then
        echo "missing: $1" >&2
        missing=1
    fi
}
need "cargo and rustc (https://rustup.rs)" cargo --version
need "rustfmt (rustup component add rustfmt)" cargo fmt --version
need "clippy (rustup component add clippy)" cargo clippy --version
[ "$missing" = 0 ] || exit 1

step() { # name, command...
    local start=$SECONDS
    printf '\n== %s\n' "$1"
    if ! "${@:2}"; then
        printf '== %s: FAILED after %d s: %s\n' "$1" $((SECONDS - start)) "${*:2}" >&2
        exit 1
    fi
    printf '== %s: %d s\n' "$1" $((SECONDS - start))
}

# The features Cargo.toml lists, without `default` and those in WITHOUT (separated by blanks).
features=()
for f in $(awk '/^\[/ { on = $0 == "[features]" } on && /^[a-z]/ && $1 != "default" { print $1 }' Cargo.toml); do
    case " ${WITHOUT:-} " in
        *" $f "*) echo "without feature $f" ;;
        *) features+=("$f") ;;
    esac
done
all=$(IFS=,; echo "${features[*]}")

# The features that example $1 requires in Cargo.toml.
required() {
    awk -v name="name = \"$1\"" '/^\[/ { on = 0 } $0 == name { on = 1 }
        on && /^required-features/ { gsub(/required-features|[]=",[]/, " "); print }' Cargo.toml
}

[ -n "${PROGNOS_DATA:-}" ] || echo "PROGNOS_DATA is not set: checks on recorded data are skipped"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

example() {
    local name=$1 args=() f
    for f in $(required "$name"); do
        case ",$all," in
            *",$f,"*) ;;
            *) echo "skipped example $name: it needs the feature $f"; return ;;
        esac
    done
    case $name in
        quickstart) ;;
        fleet) args=(--assets 2000 --seconds 0.2 --rul 60) ;;
        generate_dataset) args=(--out "$scratch/turbofan_sim") ;;
        feature_table)
            args=(--out "$scratch/features.parquet")
            [ -z "${PROGNOS_DATA:-}" ] || args+=(--data "$PROGNOS_DATA/cmapss" --subset FD001)
            ;;
        table_anomaly) args=(--generated --seeds 1) ;;
        fleet_soak) args=(--rows 200000 --assets 100 --faulty 0.2) ;;
        bearing_diagnosis) [ -z "${PROGNOS_DATA:-}" ] || args=(--data "$PROGNOS_DATA/cwru") ;;
        bearing_life)
            if [ -z "${PROGNOS_DATA:-}" ] || [[ ",$all," != *,polars,* ]]; then
                echo "skipped example $name: it needs PROGNOS_DATA and the feature polars"
                return
            fi
            args=(--data "$PROGNOS_DATA/femto" --test "$PROGNOS_DATA/femto/raw_csv")
            ;;
        survival) [ -z "${PROGNOS_DATA:-}" ] || args=(--data "$PROGNOS_DATA/ai4i") ;;
        stream_anomaly)
            if [ -z "${PROGNOS_DATA:-}" ]; then
                echo "skipped example $name: it needs PROGNOS_DATA"
                return
            fi
            args=(--data "$PROGNOS_DATA/nab" --out "$scratch/nab")
            ;;
        turbofan)
            if [ -z "${PROGNOS_DATA:-}" ]; then
                echo "skipped example $name: it needs PROGNOS_DATA"
                return
            fi
            args=(--data "$PROGNOS_DATA/cmapss" --subset FD001)
            ;;
        pump_anomaly)
            if [ -z "${PROGNOS_DATA:-}" ]; then
                echo "skipped example $name: it needs PROGNOS_DATA"
                return
            fi
            args=(--data "$PROGNOS_DATA/skab" --out "$scratch/pump_anomaly")
            ;;
        *)
            echo "example $name: say here with which arguments it runs" >&2
            return 1
            ;;
    esac
    cargo run --locked --quiet --no-default-features --features "$all" --example "$name" -- "${args[@]}"
}

step "format" cargo fmt --check
step "light build" cargo check --locked --quiet --no-default-features --lib
# No feature, those that bring modules each alone, all. The library; with all of them and with none everything else too.
modules=$(printf '%s\n' "${features[@]}" | grep -vx -e parallel -e tracing || true)
for list in "" $modules "$all"; do
    targets=--lib
    [ -n "$list" ] && [ "$list" != "$all" ] || targets=--all-targets
    step "clippy, features: ${list:-none}" \
        cargo clippy --locked --quiet --no-default-features --features "$list" "$targets" -- -D warnings
done
step "documentation" env RUSTDOCFLAGS="-D warnings" \
    cargo doc --locked --quiet --no-deps --no-default-features --features "$all"
step "tests" cargo test --locked --quiet --no-default-features --features "$all"
step "benchmarks, once" cargo test --locked --quiet --no-default-features --features "$all" --benches -- --test
for file in examples/*.rs; do
    step "example $(basename "$file" .rs)" example "$(basename "$file" .rs)"
done
printf '\nAll passed in %d s.\n' "$SECONDS"
